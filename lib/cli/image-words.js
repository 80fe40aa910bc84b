'use strict';

// What is said of images and of machines that they do not fit: the restorer's words (crates/heapimage-restore) in a person's.

const os = require('node:os');

const { printable, size } = require('./command.js');

const PAGE = 4096;

/** V8 needs so many times the heap for a snapshot. */
const TIMES = { least: 4, most: 8 };

/** Lines about an image. */
function description(file, image) {
  const pages = Number(image.pages) * PAGE;
  const heap = Number(image['heap-used']);
  const lines = [
    `${file}: a heap image, whole, ${size(pages)} of memory in ${image.mappings} mappings`,
    `  of       ${[image.title, `process ${image.pid}`, `thread ${image.thread}`].filter(Boolean).join(', ')}`,
    `  when     ${date(Number(image.time))}`,
    `  made by  ${[image.node && `Node.js ${image.node}`, image.v8 && `V8 ${image.v8}`, image.writer, image.kernel && `Linux ${image.kernel}`].filter(Boolean).join(', ')}`,
  ];
  if (heap > 0) lines.push(`  heap     ${size(heap)}; ${memory(heap)}`);
  for (const path of image.files) lines.push(`  needs    ${path}`);
  return lines;
}

/** An image may say anything. */
function date(time) {
  const found = new Date(time);
  return Number.isNaN(found.getTime()) ? `${time}, which is no time` : found.toISOString();
}

function memory(heap) {
  const needed = `the snapshot takes ${size(heap * TIMES.least)} to ${size(heap * TIMES.most)} of memory`;
  return `${needed}, and here ${size(os.availableMemory?.() ?? os.freemem())} are free`;
}

/** What a machine lacks, and what would help. `named`: the --node that was given. */
function lacking(word, told, image, named, isCore = false) {
  const node = image.node ? `Node.js ${image.node}` : 'Node.js';
  const text = withNames(told);
  switch (word) {
    case 'cpu':
      return (
        `This CPU lacks what the image's had: ${text}. Use a machine that has it, or try with --ignore-cpu; a server that is ` +
        'started with GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512F,-AVX512VL makes images that need less'
      );
    case 'file':
      return (
        `${text}. ${named ? `${named} is no other name of it. ` : ''}If it is Node.js, install ${node} as it was there and name its ` +
        `binary with --node PATH; name another file with --map OLD=NEW${isCore ? '' : ". Images with embed: 'all' need no files"}`
      );
    case 'address-space':
      return `Address space: it needs ${text}`;
    case 'mappings':
      return `Mappings: it needs ${text}; sysctl vm.max_map_count raises that`;
    case 'descriptors':
      return `Descriptors: it needs ${text}`;
    default:
      return `${word}: ${text}`;
  }
}

/** A stable code and the words for a restorer that did not end well. `isCore`: a core file was given, and not an image. */
function ending(restorer, { status, signal }, named, isCore = false) {
  const { image, stop, lacks, hung, hasBegun } = restorer;
  if (lacks.length > 0) {
    const all = lacks.map(([word, text]) => `\n  ${lacking(word, text, image, named, isCore)}`);
    return ['ERR_HEAPDUMP_IMAGE_MACHINE', `this machine will not do:${all.join('')}`];
  }
  if (stop !== undefined) return stopped(stop, status);
  if (hung && !hasBegun) return ['ERR_HEAPDUMP_IMAGE_MACHINE', NO_ANSWER];
  if (restorer.isSilent) {
    const help = 'Install heapdump-rs again; if that does not help, something here refuses to run it (noexec, SELinux)';
    return ['ERR_HEAPDUMP_IMAGE_MACHINE', `the program that restores images could not run (${signal ?? `status ${status}`}). ${help}${lastWords(restorer.said + restorer.line)}`];
  }
  const what = isCore ? 'core' : 'image';
  const versions = [image.node && `Node.js ${image.node}`, image.writer].filter(Boolean).join(', ');
  const [why, help] = broken(restorer, status, signal, `The ${what} is kept; report this, please.`);
  const said = lastWords(restorer.said);
  return ['ERR_HEAPDUMP_IMAGE_FAILED', `${why}. ${help} The ${what} is of ${versions || 'an unknown version'}${said}`];
}

function stopped([word, told], status) {
  const text = withNames(told);
  if (status === 3 && word === 'unreadable') return ['ERR_HEAPDUMP_IMAGE_INVALID', `the image ${text.replace(/^it /, '')}`];
  if (status === 3) {
    const help = word === 'architecture' ? 'restore it on a machine of that kind' : word === 'version' ? 'another version of heapdump-rs reads it' : 'copy it again, or take another';
    return ['ERR_HEAPDUMP_IMAGE_INVALID', `no heap image that can be restored: ${text}; ${help}`];
  }
  if (word === 'collision') return ['ERR_HEAPDUMP_IMAGE_MACHINE', `${text}, each time; a machine with another kernel may do`];
  if (status === 4) return ['ERR_HEAPDUMP_IMAGE_MACHINE', `this machine will not do: ${text}`];
  return ['ERR_HEAPDUMP_IMAGE_FAILED', text];
}

/** Names of errors instead of the system's numbers. */
function withNames(text) {
  const names = Object.entries(os.constants.errno);
  return text.replace(/\(error (\d+)\)/g, (whole, number) => {
    const name = names.find(([, value]) => value === Number(number))?.[0];
    return name === undefined ? whole : `(${name})`;
  });
}

const NO_ANSWER =
  'a file did not answer before the process came back: the image names one that is a pipe here, or on a file server that is away; ' +
  'name another with --map OLD=NEW';

/** What became of a process that ran already. */
function broken({ hung, spun, isTaking, image }, status, signal, report) {
  if (spun && !isTaking) {
    return ['the restored process did not come to a place where V8 takes a snapshot, and was ended', 'A call of native code may last for long in it (crypto, zlib).'];
  }
  if (spun) return ['the restored process used the processor without an end, and was ended', report];
  if (hung) return ['the restored process waited for a thread that does not exist, and was ended', report];
  if (signal === 'SIGILL') return ['the restored process met an instruction that this CPU does not have', 'Use a machine like the one that it ran on.'];
  if (signal === 'SIGKILL') {
    const heap = Number(image['heap-used']);
    const needed = heap > 0 ? `: ${memory(heap)}` : '';
    return ['the restored process was killed', `Most likely memory ran out${needed}. Use a machine that has more.`];
  }
  if (signal) return [`the restored process crashed (${signal})`, report];
  if (status === 6) return ['the restored process could not write', ''];
  return [`V8 in the restored process gave no snapshot (status ${status})`, report];
}

function lastWords(said) {
  const lines = said.split('\n').filter((line) => line.trim() !== '');
  return lines.length === 0 ? '' : `. It said:\n${lines.slice(0, 12).map((line) => `  ${printable(line)}`).join('\n')}`;
}

module.exports = { description, ending, lacking, withNames };
