// The server: which tools there are, and what becomes of their answers and errors.

import fs from 'node:fs';

import { McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';

import { Answers, LARGE, SMALL } from './answers.js';
import { HeapTexts, errorText } from './heap-text.js';
import { Problem } from './problem.js';
import { Snapshots } from './snapshots.js';
import { comparisons } from './tools/comparisons.js';
import { objects } from './tools/objects.js';
import { overviews } from './tools/overviews.js';
import { processes } from './tools/processes.js';

const { version } = JSON.parse(fs.readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const SKILL = new URL('../skill/SKILL.md', import.meta.url);

const maxBytes = z.number().int().min(500).max(LARGE).default(SMALL).describe('the longest answer, in characters of text and of structure each');
const answer = z.looseObject({
  rows: z.array(z.looseObject({})).describe('sizes are bytes, times are ms; ids are objects of this snapshot alone'),
  total: z.number().int().describe('how many rows there are'),
  from: z.number().int().describe('the first row of this page, from 0'),
  next: z.string().optional().describe('the next page, for the tool more'),
});

/** @param {ReturnType<import('./settings.js').readSettings>} settings */
export function createServer(settings) {
  const server = new McpServer({ name: 'heapdump-rs', version }, { instructions: readSkill() });
  const answers = new Answers();
  const context = { settings, snapshots: new Snapshots(settings), texts: new HeapTexts(settings.values) };
  const tools = { ...overviews(context), ...objects(context), ...comparisons(context), ...processes(context) };
  for (const [name, { title, description, input, run, annotations = { readOnlyHint: true } }] of Object.entries(tools)) {
    const config = { title, description, inputSchema: z.object({ ...input, maxBytes }), outputSchema: answer };
    server.registerTool(name, { ...config, annotations: { openWorldHint: false, ...annotations } }, (question, call) =>
      inTurn(() => answered(async () => answers.first(await run(question, call.mcpReq?.signal), question.maxBytes)), call.mcpReq?.signal),
    );
  }
  const more = {
    title: 'The next page',
    description: 'The next rows of an answer that did not fit.',
    inputSchema: z.object({ page: z.string().describe('`next` of an answer, such as p1'), maxBytes }),
    outputSchema: answer,
    annotations: { readOnlyHint: true, openWorldHint: false },
  };
  server.registerTool('more', more, ({ page, maxBytes: bytes }) => answered(() => answers.more(page, bytes)));
  server.registerPrompt('hunt-a-leak', { title: 'Hunt a memory leak', description: 'How to find what leaks, step by step.' }, () => ({
    messages: [{ role: 'user', content: { type: 'text', text: readSkill() } }],
  }));
  return server;
}

/** One question at a time: each may hold three snapshots in memory, and close those of the one before. */
let turn = Promise.resolve();
function inTurn(work, signal) {
  const answer = turn.then(() => {
    signal?.throwIfAborted();
    return work();
  });
  turn = answer.catch(() => {});
  return answer;
}

/** What a caller can mend is an answer, too. */
async function answered(work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Problem) && !/^ERR_HEAPDUMP/.test(error.code) && !(error instanceof TypeError)) throw error;
    return { isError: true, content: [{ type: 'text', text: error instanceof Problem ? error.message : errorText(error.message) }] };
  }
}

/** Without the head that is for those who install it. */
function readSkill() {
  return fs.readFileSync(SKILL, 'utf8').replace(/^---\n[\s\S]*?\n---\n/, '');
}
