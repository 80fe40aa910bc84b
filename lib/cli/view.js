'use strict';

// heapdump-rs view: the pages of a report, live, in a browser.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');

const { IMAGE_NAME } = require('../extensions.js');
const { Problem, Progress, SIGNALS, printable, size } = require('./command.js');

const help = `Usage: heapdump-rs view FILE [FILE…]

Looks into a snapshot in a browser: what keeps what alive, classes, objects and what holds them. With several, the earliest first, also
what grew and what leaks. The server listens on 127.0.0.1 and answers only the page that it opens. Ctrl-C ends it.

Options:
      --port N         listen on this port; by default any that is free
      --no-open        do not open a browser, only print the address
      --identity FILE  read encrypted snapshots (.age) with the identities of this file; may be given again
      --salvage        use what is whole of a file that ends too early
      --source-maps    give places in what the scripts were compiled from
      --source-root DIR  look for scripts and their source maps there too

Over ssh: ssh -L 8137:127.0.0.1:8137 HOST, there heapdump-rs view FILE --port 8137 --no-open, and open what it prints here.

Examples:
  heapdump-rs view heap.heapsnapshot
  heapdump-rs view monday.heapsnapshot tuesday.heapsnapshot
`;

const options = {
  port: { type: 'string', default: '0' },
  'no-open': { type: 'boolean' },
  salvage: { type: 'boolean' },
  identity: { type: 'string', multiple: true },
  'source-maps': { type: 'boolean' },
  'source-root': { type: 'string' },
};

async function main(values, files) {
  if (files.length === 0) throw new Problem('which snapshot? `heapdump-rs view FILE`');
  if (!/^\d{1,5}$/.test(values.port) || Number(values.port) > 65535) throw new Problem(`--port must be a number up to 65535, not ${printable(values.port)}`);
  if (!files.some((file) => IMAGE_NAME.test(file))) return look(files, files, values);
  const { withSnapshots } = require('./images-first.js');
  return withSnapshots(files, (snapshots) => look(snapshots, files, values), values);
}

async function look(paths, names, values) {
  for (const path of paths) {
    if (!fs.existsSync(path)) throw new Problem(`cannot read ${path}: there is no such file`);
  }
  // Answers are computed on threads that a listener's exit would wait for; the signal itself does not.
  for (const signal of SIGNALS) process.removeAllListeners(signal);
  const { Answers } = require('../viewer/answers.js');
  const { serve } = require('../viewer/server.js');
  const { salvage, identity } = values;
  const maps = { salvage, identity, sourceMaps: values['source-maps'], ...(values['source-root'] && { sourceRoot: values['source-root'] }) };
  const answers = new Answers(paths, names, maps);
  const { server, address } = await serve(answers, Number(values.port)).catch((error) => {
    if (error.code === undefined) throw new Problem(error.message);
    throw new Problem(`cannot listen on port ${values.port}: ${error.code === 'EADDRINUSE' ? 'another program does' : printable(error.message)}`);
  });
  process.stdout.write(`${address}\n`);
  if (process.env.SSH_CONNECTION) process.stderr.write(`from your own machine: ssh -L ${server.address().port}:127.0.0.1:${server.address().port} ${os.hostname()}, then open that address there\n`);
  else if (!values['no-open']) openBrowser(address);
  const progress = new Progress();
  const timer = setInterval(() => progress.show(answers.status().files.map(({ read, total }) => `${size(read)} of ${size(total)}`).join(', ')), 200);
  try {
    await answers.loaded;
  } catch (error) {
    server.close();
    server.closeAllConnections();
    const hint = error.code === 'ERR_HEAPDUMP_ENCRYPTED' && !identity ? '\n--identity FILE says which: a file as age-keygen writes it' : '';
    throw new Problem(printable(error.message, 1000) + hint);
  } finally {
    clearInterval(timer);
    progress.clear();
  }
  process.stderr.write('loaded; Ctrl-C ends it\n');
  await new Promise((resolve) => server.once('close', resolve));
}

/** Whatever opens pages here; that it fails is no fault: the address is printed. */
function openBrowser(address) {
  const [command, ...args] = { darwin: ['open'], win32: ['rundll32', 'url.dll,FileProtocolHandler'] }[process.platform] ?? ['xdg-open'];
  if (process.platform === 'linux' && !process.env.DISPLAY && !process.env.WAYLAND_DISPLAY) return;
  spawn(command, [...args, address], { detached: true, stdio: 'ignore' }).on('error', () => {}).unref();
}

module.exports = { help, options, main, positionals: true };
