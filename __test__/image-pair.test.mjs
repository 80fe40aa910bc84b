// What test:image takes for the same snapshot.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { areTheSameButForAddresses } from './image/pair.mjs';

const SNAPSHOT = '[9,1,3,4,5\n,8,7,100,8,0,0,0\n,3,4,5,6\n,9,7,1002,0,0,0,0\n],["a"]';

/** Whether it is the same with something else in it. */
const isTheSame = (...replaced) => areTheSameButForAddresses(Buffer.from(SNAPSHOT), Buffer.from(SNAPSHOT.replace(...replaced)));

test('an id that V8 made of an address may be another, shorter or longer', () => {
  assert.ok(isTheSame('', ''));
  assert.ok(isTheSame('100,', '98,'));
  assert.ok(isTheSame('1002', '12'));
  assert.ok(isTheSame(/100/g, '123456'));
});

test('nothing else may', () => {
  for (const replaced of [['100,', '99,'], ['8,7,100', '8,6,100'], ['100,8', '100,9'], ['3,4,5,6', '3,4,6,6'], ['[9', '[8'], ['"a"', '"b"'], [']', ']]'], ['"]', '"']]) {
    assert.ok(!isTheSame(...replaced), replaced.join(' → '));
  }
});
