/** Requests go where an answer's `Foreshift-Migrate` leads, and come back when that fails. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { Detours } from '../dist/detours.js';
import { createFetch } from '../dist/index.js';

/** Notes what it was asked: method, path, token, body. */
interface Place {
  origin: string;
  server: Server;
  asked: string[];
  /** Set once: the header of the next answer. */
  migrate: string | undefined;
  status: number;
}

async function place(context: TestContext): Promise<Place> {
  const here: Place = { origin: '', server: createServer(), asked: [], migrate: undefined, status: 200 };
  here.server.on('request', async (request: IncomingMessage, response) => {
    const body = await text(request);
    const token = request.headers['foreshift-token'];
    here.asked.push([request.method, request.url, token, body].join(' ').trim());
    if (here.migrate !== undefined) response.setHeader('Foreshift-Migrate', here.migrate);
    here.migrate = undefined;
    response.writeHead(here.status).end(here.origin);
  });
  here.server.listen(0, '127.0.0.1');
  await once(here.server, 'listening');
  here.origin = `http://127.0.0.1:${(here.server.address() as AddressInfo).port}`;
  context.after(() => {
    here.server.closeAllConnections();
    here.server.close();
  });
  return here;
}

function to({ origin }: Place, more = 'within=30'): string {
  return `url="${origin}", token="t", ${more}`;
}

async function both(context: TestContext): Promise<{ old: Place; new_: Place; fetch: typeof fetch }> {
  const [old, new_, fetch] = [await place(context), await place(context), createFetch()];
  old.migrate = to(new_);
  await (await fetch(`${old.origin}/first`)).text();
  return { old, new_, fetch };
}

test('the token goes with one request, and the others follow it', async (context) => {
  const { old, new_, fetch } = await both(context);
  const answer = await fetch(new Request(`${old.origin}//a?b=c`));
  assert.equal(await answer.text(), new_.origin);
  await fetch(`${old.origin}/post`, { method: 'POST', body: 'x' });
  await fetch(new Request(`${old.origin}/put`, { method: 'PUT', body: 'y' }));
  assert.deepEqual(old.asked, ['GET /first']);
  assert.deepEqual(new_.asked, ['GET //a?b=c t', 'POST /post  x', 'PUT /put  y']);
});

test('a request that must not be sent twice does not go first', async (context) => {
  const { old, new_, fetch } = await both(context);
  await fetch(`${old.origin}/post`, { method: 'POST', body: 'x' });
  assert.deepEqual([old.asked, new_.asked], [['GET /first', 'POST /post  x'], []]);
});

test('a refused token is not used again, and the request is answered by the old address', async (context) => {
  const { old, new_, fetch } = await both(context);
  new_.status = 403;
  const answer = await fetch(`${old.origin}/a`);
  assert.deepEqual([answer.status, await answer.text()], [200, old.origin]);
  await fetch(`${old.origin}/b`);
  assert.deepEqual(new_.asked, ['GET /a t']);
  assert.deepEqual(old.asked, ['GET /first', 'GET /a', 'GET /b']);
});

test('a new address that cannot be reached leaves requests at the old one', async (context) => {
  const { old, new_, fetch } = await both(context);
  new_.server.close();
  await once(new_.server, 'close');
  assert.equal(await (await fetch(`${old.origin}/a`)).text(), old.origin);
});

test('a new address that is lost later fails what must not be sent twice, once', async (context) => {
  const { old, new_, fetch } = await both(context);
  await (await fetch(`${old.origin}/a`)).text();
  new_.server.closeAllConnections();
  new_.server.close();
  await once(new_.server, 'close');
  await assert.rejects(fetch(`${old.origin}/post`, { method: 'POST', body: 'x' }), { name: 'TypeError' });
  await fetch(`${old.origin}/post`, { method: 'POST', body: 'x' });
  assert.deepEqual(old.asked, ['GET /first', 'POST /post  x']);
});

test('an answer of 403 to a request without the token is the service’s own', async (context) => {
  const { old, new_, fetch } = await both(context);
  await fetch(`${old.origin}/a`);
  new_.status = 403;
  assert.equal((await fetch(`${old.origin}/b`)).status, 403);
  assert.deepEqual(old.asked, ['GET /first']);
});

test('an abort is the caller’s, and is not tried elsewhere', async (context) => {
  const { old, fetch } = await both(context);
  await assert.rejects(fetch(`${old.origin}/a`, { signal: AbortSignal.abort() }), { name: 'AbortError' });
  assert.deepEqual(old.asked, ['GET /first']);
});

test('an answer at the new address can lead on', async (context) => {
  const { old, new_, fetch } = await both(context);
  const third = await place(context);
  new_.migrate = to(third);
  await fetch(`${old.origin}/a`);
  assert.equal(await (await fetch(`${old.origin}/b`)).text(), third.origin);
});

const INSTRUCTION = { url: 'https://www.example:8443', token: 't', withinMs: 30_000, delayMs: 1_000 };

test('requests wait for the delay, and come back when the time is over', () => {
  const detours = new Detours();
  const origin = 'https://www.example';
  assert.equal(detours.instruct(origin, INSTRUCTION, 0), true);
  assert.equal(detours.route(origin, true, 999), undefined);
  assert.equal(detours.route('https://other.example', true, 1_000), undefined);
  assert.deepEqual(detours.route(origin, true, 1_000), { origin: INSTRUCTION.url, token: 't' });
  assert.equal(detours.route(origin, true, 1_001), undefined, 'one request carries the token');
  detours.accepted(origin, 't');
  assert.deepEqual(detours.route(origin, false, 30_999), { origin: INSTRUCTION.url, token: undefined });
  assert.equal(detours.route(origin, true, 31_000), undefined);
});

test('an answer to an old token says nothing of a new one', () => {
  const detours = new Detours();
  const origin = 'https://www.example';
  detours.instruct(origin, INSTRUCTION, 0);
  detours.route(origin, true, 1_000);
  detours.instruct(origin, { ...INSTRUCTION, token: 'u' }, 1_001);
  detours.accepted(origin, 't');
  assert.equal(detours.route(origin, true, 2_001)?.token, 'u');
});

test('an instruction leads only where it may', () => {
  for (const [url, hosts, follows] of [
    ['https://www.example', [], true],
    ['http://www.example', [], false],
    ['wss://www.example', [], false],
    ['https://evil.example', [], false],
    ['https://edge.example', ['edge.example'], true],
    ['edge', ['edge'], false],
  ] as const) {
    const detours = new Detours(hosts);
    assert.equal(detours.instruct('https://www.example', { ...INSTRUCTION, url }, 0), follows, url);
  }
  const smuggled = { ...INSTRUCTION, token: 'a\r\nb' };
  assert.equal(new Detours().instruct('https://www.example', smuggled, 0), false);
});

test('of many origins the oldest instruction is forgotten', () => {
  const detours = new Detours();
  for (let host = 0; host <= 64; host++) {
    detours.instruct(`https://${host}.example`, { ...INSTRUCTION, url: `https://${host}.example` }, 0);
  }
  assert.equal(detours.route('https://0.example', true, 2_000), undefined);
  assert.ok(detours.route('https://1.example', true, 2_000));
});
