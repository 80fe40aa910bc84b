// Keys of age (age-encryption.org/v1), as age-keygen makes them: X25519, in Bech32 (BIP 173).

import { generateKeyPairSync } from 'node:crypto';

const SIGNS = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';

/** `{recipient, identity}` of a new key. */
export function ageKey() {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const raw = (value) => Buffer.from(value, 'base64url');
  const { x, d } = privateKey.export({ format: 'jwk' });
  if (x !== publicKey.export({ format: 'jwk' }).x) throw new Error('a pair of two keys');
  return { recipient: bech32('age', raw(x)), identity: bech32('age-secret-key-', raw(d)).toUpperCase() };
}

function bech32(prefix, bytes) {
  const words = [];
  let value = 0;
  let bits = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) words.push((value >> (bits - 5)) & 31);
  }
  if (bits > 0) words.push((value << (5 - bits)) & 31);
  const letters = [...prefix].map((letter) => letter.charCodeAt(0));
  const expanded = [...letters.map((code) => code >> 5), 0, ...letters.map((code) => code & 31)];
  const sum = polymod([...expanded, ...words, 0, 0, 0, 0, 0, 0]) ^ 1;
  const check = Array.from({ length: 6 }, (_, at) => (sum >> (5 * (5 - at))) & 31);
  return `${prefix}1${[...words, ...check].map((word) => SIGNS[word]).join('')}`;
}

function polymod(words) {
  const generators = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
  let sum = 1;
  for (const word of words) {
    const top = sum >>> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ word;
    generators.forEach((generator, at) => { if ((top >> at) & 1) sum ^= generator; });
  }
  return sum;
}

/** The body of a program with a secret that answers signals and nothing else (startApp). */
export const answerSignals = ({ heapdump, say, stayAlive, args }) => {
  globalThis.password = args.secret.join('-');
  heapdump.getStatus();
  stayAlive();
  say('ready');
};
