// Loads a file with Chrome DevTools' own worker: `node analyze-devtools.mjs FILE`.
import process from 'node:process';
import { load } from '../harness/devtools/load.mjs';

const snapshot = await load(process.argv[2]);
process.stdout.write(`${snapshot.totalSize}\n`);
process.exit(0);
