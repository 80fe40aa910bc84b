// Loads a file with DevTools' worker.
import fs from 'node:fs';
import { MessageChannel } from 'node:worker_threads';
import { devtoolsWorker } from './bundle.mjs';

// Node 20 has it not yet.
Promise.withResolvers ??= function withResolvers() {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
};

/** The worker's JSHeapSnapshot of a file. */
export async function load(file) {
  const { HeapSnapshotLoader, SecondaryInitManager } = await import(await devtoolsWorker());
  const loader = new HeapSnapshotLoader({ sendEvent() {} });
  if (file.includes('+traces')) loader.write(withTheTrueCount(fs.readFileSync(file, 'utf8')));
  else {
    for await (const chunk of fs.createReadStream(file, { encoding: 'utf8', highWaterMark: 1 << 20 })) {
      loader.write(chunk);
    }
  }
  loader.close();
  const channel = new MessageChannel();
  new SecondaryInitManager(channel.port2);
  const warn = console.warn;
  console.warn = () => {}; // It reports unreachable nodes, which every snapshot of Node has.
  try {
    return await loader.buildSnapshot(channel.port1);
  } finally {
    console.warn = warn;
    channel.port1.close();
    channel.port2.close();
  }
}

// V8 counts the functions that allocated before it has met all of them, and DevTools fails on what is beyond.
function withTheTrueCount(text) {
  const list = /"trace_function_infos":\[([^\]]*)/.exec(text)[1];
  const numbers = list.split(',').length;
  return text.replace(/"trace_function_count":\d+/, `"trace_function_count":${numbers / 6}`);
}
