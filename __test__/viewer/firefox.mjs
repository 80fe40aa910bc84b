// Debian's Firefox, by WebDriver BiDi (w3.org/TR/webdriver-bidi) over its own port: Playwright drives only a build of its own.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import limits from '../../harness/limits.cjs';

const { connect } = createRequire(import.meta.url)('../../lib/cli/websocket.js');

export const FIREFOX = ['/usr/bin/firefox-esr', '/usr/bin/firefox'].find((file) => existsSync(file));

/** WebDriver's code for it. */
const TAB = '\uE004';

export async function startFirefox() {
  const profile = mkdtempSync(join(tmpdir(), 'heapdump-firefox-'));
  // It would open pages of its own.
  writeFileSync(join(profile, 'user.js'), 'user_pref("datareporting.policy.dataSubmissionEnabled", false);\nuser_pref("browser.shell.checkDefaultBrowser", false);\n');
  const browser = spawn(FIREFOX, ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0', 'about:blank'], {
    stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, MOZ_DISABLE_CONTENT_SANDBOX: '1', HOME: profile },
  });
  const ended = new Promise((resolve) => browser.once('close', resolve));
  const close = async () => {
    browser.kill();
    await ended;
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  };
  try {
    const port = await new Promise((resolve, reject) => {
      let said = '';
      const fail = (why) => reject(new Error(`Firefox ${why}:\n${said}`));
      browser.once('close', () => fail('ended'));
      setTimeout(fail, limits.WAIT, 'does not listen').unref();
      browser.stderr.setEncoding('utf8').on('data', (text) => {
        said += text;
        const [, found] = /WebDriver BiDi listening on ws:\/\/127\.0\.0\.1:(\d+)/.exec(said) ?? [];
        if (found) resolve(Number(found));
      });
    });
    const session = new Session(await connect({ host: '127.0.0.1', port, path: '/session' }));
    const { capabilities } = await session.ask('session.new', { capabilities: {} });
    return { version: capabilities.browserVersion, open: (address, size) => openPage(session, address, size), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Commands and their answers, and what happens in between. */
class Session {
  listeners = new Set();
  #socket;
  #waiting = new Map();

  constructor(socket) {
    this.#socket = socket;
    void this.#read();
  }

  ask(method, params) {
    return new Promise((resolve, reject) => this.#waiting.set(this.#socket.post(method, params), { resolve, reject }));
  }

  async #read() {
    for await (const message of this.#socket.messages()) {
      const { type, id, result, error, message: why } = message;
      if (type === 'event') for (const listener of this.listeners) listener(message);
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (type === 'error') waiting?.reject(new Error(`${error}: ${why}`));
      else waiting?.resolve(result);
    }
    for (const { reject } of this.#waiting.values()) reject(new Error('Firefox has ended'));
  }
}

/** The same shape as a page of run.mjs: what it said and asked for that it should not have is in `faults`. */
async function openPage(session, address, { width = 1280, height = 900 } = {}) {
  const { context } = await session.ask('browsingContext.create', { type: 'tab' });
  await session.ask('browsingContext.setViewport', { context, viewport: { width, height } });
  const faults = [];
  session.listeners.add(({ method, params }) => {
    if (method === 'log.entryAdded' && params.source.context === context) faults.push(`${params.level}: ${params.text}`);
    if (method !== 'network.beforeRequestSent' || params.context !== context) return;
    // The icon, which is none.
    if (params.request.url === 'data:,') return;
    if (new URL(params.request.url).origin !== new URL(address).origin) faults.push(`request: ${params.request.url}`);
  });
  await session.ask('session.subscribe', { events: ['log.entryAdded', 'network.beforeRequestSent'], contexts: [context] });
  await session.ask('browsingContext.navigate', { context, url: address, wait: 'complete' });
  /** What an expression of the page gives, awaited. */
  const evaluate = async (expression) => {
    const found = await session.ask('script.evaluate', { expression: `(async () => JSON.stringify(await (${expression})))()`, target: { context }, awaitPromise: true });
    if (found.type !== 'success') throw new Error(found.exceptionDetails.text);
    return found.result.value === undefined ? undefined : JSON.parse(found.result.value);
  };
  const until = async (expression) => {
    const deadline = performance.now() + limits.WAIT;
    while (!(await evaluate(expression))) {
      if (performance.now() > deadline) throw new Error(`in vain: ${expression}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const go = async (route) => {
    await evaluate(`void (location.hash = ${JSON.stringify(`#/${route === 'overview' ? '' : route}`)})`);
    await until('Boolean(document.querySelector("main h1")) && !document.querySelector("main p[role=status].quiet")');
  };
  const key = (value) => session.ask('input.performActions', { context, actions: [{ type: 'key', id: 'keys', actions: [{ type: 'keyDown', value }, { type: 'keyUp', value }] }] });
  await until('Boolean(document.querySelector("nav[aria-label=Pages]"))');
  return { faults, evaluate, go, tab: () => key(TAB), close: () => session.ask('browsingContext.close', { context }) };
}
