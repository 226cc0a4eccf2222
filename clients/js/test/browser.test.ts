/** The built bundle in a real browser: Debian's Chromium, without a window. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { MockIngress } from './mock_ingress.js';

const MOVES = 20;

const BUNDLE = await readFile(new URL('../dist/foreshift-client.min.js', import.meta.url), 'utf8');

/** Speaks all the time until it hears `end`, then closes and reports what it saw. */
const PAGE = `<!doctype html><title>Twenty moves</title><script type="module">
import { ForeshiftSocket } from '/client.js';
const got = [], told = [];
let sent = 0;
const socket = new ForeshiftSocket('/session?user=1', 'chat');
for (const type of ['open', 'migrated', 'stayed', 'reconnecting', 'error', 'close'])
  socket.addEventListener(type, (event) => told.push(type + (event.detail?.complete ?? '')));
const talk = setInterval(() => {
  for (let burst = 0; burst < 3 && socket.readyState === WebSocket.OPEN; burst++) socket.send(String(++sent));
}, 1);
socket.onmessage = ({ data }) => {
  if (data !== 'end') return got.push(Number(data));
  clearInterval(talk);
  socket.close(1000, 'done');
};
socket.onclose = ({ code, reason, wasClean }) => {
  const report = { got, told, sent, code, reason, wasClean, protocol: socket.protocol,
    isWebSocket: socket instanceof EventTarget, type: socket.binaryType };
  fetch('/report', { method: 'POST', body: JSON.stringify(report) });
};
</script>`;

test(
  'a page in Chromium keeps its socket through twenty migrations',
  {
    timeout: 60_000,
  },
  async (context) => {
    const ingress = await MockIngress.start((path) => {
      if (path === '/client.js') return { type: 'text/javascript', body: BUNDLE };
      return path === '/' ? { type: 'text/html', body: PAGE } : undefined;
    });
    context.after(() => ingress.stop());
    await openBrowser(context, `http://127.0.0.1:${ingress.port}/`);
    await once(ingress, 'connection');
    const chatter = setInterval(() => ingress.say(), 1);
    context.after(() => clearInterval(chatter));
    for (let move = 0; move < MOVES; move++) {
      ingress.instruct({ delay_ms: move });
      await once(ingress, 'ended');
      while ((ingress.heard.at(-1) ?? 0) < 10 * move) await once(ingress, 'heard');
    }
    clearInterval(chatter);
    const reported = once(ingress, 'report');
    ingress.socket.send('end');
    const [report] = await reported;
    assert.deepEqual(report.told, ['open', ...Array(MOVES).fill('migratedtrue'), 'close']);
    assert.deepEqual([report.code, report.reason, report.wasClean], [1000, 'done', true]);
    assert.deepEqual([report.protocol, report.isWebSocket, report.type], ['chat', true, 'blob']);
    assert.deepEqual(report.got, numbers(ingress.said));
    assert.deepEqual(ingress.heard, numbers(report.sent));
  },
);

async function openBrowser(context: TestContext, url: string): Promise<void> {
  const profile = await mkdtemp(join(tmpdir(), 'foreshift-client-'));
  const arguments_ = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--no-proxy-server',
    `--user-data-dir=${profile}`,
    // Without a debugging port a headless browser loads the page, prints it and ends.
    '--remote-debugging-port=0',
    url,
  ];
  const browser = spawn('chromium', arguments_, { stdio: 'ignore', detached: true });
  const failed = once(browser, 'error').then(([error]) => {
    throw new Error(`chromium does not start: install Debian's package chromium`, { cause: error });
  });
  await Promise.race([once(browser, 'spawn'), failed]);
  context.after(async () => {
    const ended = once(browser, 'exit');
    // The group: the browser's own children are in it.
    process.kill(-(browser.pid ?? assert.fail('it was started')), 'SIGKILL');
    await ended;
    await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  });
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at + 1);
}
