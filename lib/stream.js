'use strict';

// A snapshot as a stream: the child writes into a pipe, whose reader sets the pace.

const net = require('node:net');
const { Readable } = require('node:stream');

const { heap, nextId } = require('./native.js');
const { normalize } = require('./options.js');
const { toError, abortError } = require('./errors.js');
const { toReport, publish } = require('./report.js');

/**
 * A Readable of the snapshot's bytes; nothing lands on disk. Emits 'report' with the SnapshotReport before 'end'.
 * Destroying it ends the child.
 */
function createSnapshotStream(options = {}) {
  const native = normalize(options);
  return new SnapshotStream(options, native);
}

class SnapshotStream extends Readable {
  #id = nextId();
  #pipe;
  #source;
  #report;
  #pipeEnded = false;
  #kind;
  #isCertain;
  #signal;
  #abort = () => this.destroy(abortError(this.#signal.reason));

  constructor(options, native) {
    super();
    this.#kind = native.content === 'image' ? 'image' : 'snapshot';
    this.#isCertain = native.content !== 'image-if-no-memory';
    this.#signal = options.signal;
    const { onProgress } = options;
    if (this.#signal?.aborted) {
      this.destroy(abortError(this.#signal.reason));
      return;
    }
    this.#signal?.addEventListener('abort', this.#abort, { once: true });
    publish('start', { mode: native.inProcess ? 'inline' : 'fork' });
    // A subscriber may have aborted it.
    if (this.destroyed) return;
    const isInProcess = native.inProcess || (native.fallbackInline && heap.profilerUnavailable());
    if (isInProcess && this.#kind === 'snapshot') {
      this.#readInProcess(native);
      return;
    }
    const started = heap.stream(this.#id, native, (event) => {
      if (event.progress) onProgress(event.progress);
      else if (event.becomesImage) this.#kind = 'image';
      else this.#childEnded(event, native);
    });
    if (started.end) this.#childEnded(started.end, native);
    else this.#readPipe(started.fd);
  }

  /** What its bytes are: 'snapshot' or 'image'. With `lowMemory: 'image'` that is known with the first of them. */
  get kind() {
    return this.#kind;
  }

  _read() {
    this.#pipe?.resume();
  }

  _destroy(error, callback) {
    this.#signal?.removeEventListener('abort', this.#abort);
    heap.cancel(this.#id);
    this.#source?.destroy();
    this.#pipe?.destroy();
    if (error) publish('error', { error });
    callback(error);
  }

  #readPipe(fd) {
    this.#pipe = new net.Socket({ fd, readable: true, writable: false });
    this.#forward(() => {
      this.#pipeEnded = true;
      this.#finish();
    });
  }

  #forward(onEnd) {
    this.#pipe.pause();
    this.#pipe.on('data', (chunk) => {
      if (this.#isCertain) {
        if (!this.push(chunk)) this.#pipe.pause();
        return;
      }
      // What becomes of it was told before there was a child; that may be waiting in this very turn of the event loop.
      this.#pipe.pause();
      setImmediate(() => {
        this.#isCertain = true;
        if (!this.destroyed && this.push(chunk)) this.#pipe.resume();
      });
    });
    this.#pipe.on('end', onEnd);
    this.#pipe.on('error', (error) => this.destroy(error));
  }

  #childEnded(event, native) {
    if (this.destroyed) return;
    if (event.report) {
      this.#report = toReport(event.report);
      this.#finish();
    } else if (event.error.code === 'ERR_HEAPDUMP_FORK_UNAVAILABLE' && native.fallbackInline) {
      this.#pipe?.removeAllListeners().destroy();
      this.#fallBack(native, event.error.reason);
    } else {
      this.destroy(toError(event.error));
    }
  }

  #fallBack(native, reason) {
    const tooLittleMemory = heap.tooLittleMemory();
    if (tooLittleMemory) {
      this.destroy(toError(tooLittleMemory));
      return;
    }
    this.#readInProcess(native, reason);
    // Whoever asked for data has asked already, and does not again before there is some.
    if (!this.destroyed) this.#pipe.resume();
  }

  /** The end of the pipe alone says nothing: a child that died closes it too. */
  #finish() {
    if (!this.#pipeEnded || this.#report === undefined) return;
    publish('end', { report: this.#report });
    this.emit('report', this.#report);
    this.push(null);
  }

  /** V8's own stream, which is taken on this thread. */
  #readInProcess({ compress, redact, encrypt, exposeInternals, exposeNumericValues }, reason) {
    const v8 = require('node:v8');
    const start = performance.now();
    let source;
    try {
      this.#pipe = compress && compressor(compress);
      source = v8.getHeapSnapshot({ exposeInternals, exposeNumericValues });
    } catch (error) {
      this.destroy(error);
      return;
    }
    const pause = performance.now() - start;
    let bytes = 0;
    this.#source = source;
    const plain = redact ? source.pipe(require('./redact.js').redactor(redact)) : source;
    if (redact) plain.on('error', (error) => this.destroy(error));
    this.#pipe = this.#pipe ? plain.pipe(this.#pipe) : plain;
    if (encrypt) this.#pipe = this.#pipe.on('error', (error) => this.destroy(error)).pipe(require('./encrypt.js').sealer(encrypt));
    this.#pipe.on('data', (chunk) => (bytes += chunk.length));
    this.#forward(() => {
      this.#pipeEnded = true;
      this.#report = {
        kind: 'snapshot', path: undefined, bytes, sha256: undefined, nodes: 0, edges: 0, mode: 'inline', fallbackReason: reason, attempts: 0, retryReasons: [], pause,
        barrierWait: 0, forkTime: 0, duration: performance.now() - start, childPeakMemory: 0, childPrivateMemory: 0,
      };
      this.#finish();
    });
  }
}

function compressor(compress) {
  const zlib = require('node:zlib');
  if (compress === 'gzip') return zlib.createGzip({ level: 1 });
  if (zlib.createZstdCompress) return zlib.createZstdCompress();
  const error = new Error("compress: 'zstd' in process needs Node.js 22.15 or later for a stream; use 'gzip'");
  throw Object.assign(error, { code: 'ERR_HEAPDUMP_UNSUPPORTED' });
}

module.exports = { createSnapshotStream };
