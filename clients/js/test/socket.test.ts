/** To its user the socket is an ordinary WebSocket; beyond that it reconnects. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { WebSocket } from 'ws';
import { ForeshiftSocket, type ForeshiftSocketOptions } from '../dist/index.js';
import { MockIngress } from './mock_ingress.js';

async function pair(
  context: TestContext,
  options: ForeshiftSocketOptions = {},
  protocols: string | string[] = [],
): Promise<{ ingress: MockIngress; socket: ForeshiftSocket }> {
  const ingress = await MockIngress.start();
  context.after(() => ingress.stop());
  const socket = new ForeshiftSocket(ingress.url, protocols, { webSocket: WebSocket, ...options });
  context.after(() => socket.close());
  await once(socket, 'open');
  return { ingress, socket };
}

/** A quick reconnect, for tests. */
const SOON = { minMs: 1, maxMs: 1 };

test('it has the states, constants and attributes of a WebSocket', async (context) => {
  const ingress = await MockIngress.start();
  context.after(() => ingress.stop());
  const socket = new ForeshiftSocket(ingress.url, ['chat', 'other'], { webSocket: WebSocket });
  assert.equal(socket.readyState, socket.CONNECTING);
  assert.equal(socket.binaryType, 'blob');
  assert.equal(socket.url, ingress.url);
  assert.throws(() => socket.send('too early'), { name: 'InvalidStateError' });
  await once(socket, 'open');
  assert.equal(socket.readyState, socket.OPEN);
  assert.equal(socket.protocol, 'chat');
  assert.equal(socket.extensions, '');
  assert.equal(socket.bufferedAmount, 0);
  socket.close(4001, 'bye');
  assert.equal(socket.readyState, socket.CLOSING);
  socket.send('four');
  assert.equal(socket.bufferedAmount, 8, 'what is sent too late counts, and goes nowhere');
  const [closed] = (await once(socket, 'close')) as [CloseEvent];
  assert.deepEqual([closed.code, closed.reason, closed.wasClean], [4001, 'bye', true]);
  assert.equal(socket.readyState, socket.CLOSED);
  assert.deepEqual(
    [ForeshiftSocket.CONNECTING, ForeshiftSocket.OPEN, ForeshiftSocket.CLOSING, ForeshiftSocket.CLOSED],
    [0, 1, 2, 3],
  );
});

test('the subprotocol of this library is not shown to the user', async (context) => {
  const { socket } = await pair(context);
  assert.equal(socket.protocol, '');
});

test('without the offer the server is offered only the user’s own', async (context) => {
  const { ingress } = await pair(context, { offer: false }, 'chat');
  assert.equal(ingress.requests[0]?.headers['sec-websocket-protocol'], 'chat');
});

test('binary messages come in the type that was asked for, after a migration too', async (context) => {
  const { ingress, socket } = await pair(context);
  const bytes = new Uint8Array([0, 1, 255]);
  const got: unknown[] = [];
  socket.addEventListener('message', ({ data }) => typeof data === 'object' && got.push(data));
  socket.binaryType = 'arraybuffer';
  for (let round = 1; round <= 2; round++) {
    socket.send(bytes.subarray(1));
    while (got.length < round) await once(socket, 'message');
    assert.deepEqual(got.at(-1), new Uint8Array([1, 255]).buffer);
    ingress.instruct();
    await once(socket, 'migrated');
  }
});

test('handlers and listeners are called in the order of their setting', async (context) => {
  const { ingress, socket } = await pair(context);
  const calls: string[] = [];
  socket.onmessage = () => calls.push('replaced');
  socket.addEventListener('message', () => calls.push('listener'));
  socket.onmessage = function (event) {
    assert.equal(this, socket);
    assert.equal(event.origin, new URL(socket.url).origin);
    calls.push('handler');
  };
  ingress.say();
  await once(socket, 'message');
  assert.deepEqual(calls, ['handler', 'listener']);
  socket.onmessage = null;
  assert.equal(socket.onmessage, null);
});

test('arguments are checked as those of a WebSocket', async (context) => {
  const { socket } = await pair(context);
  for (const url of ['', 'no url', 'ftp://host/', 'ws://host/#fragment']) {
    const make = () => new ForeshiftSocket(url, [], { webSocket: WebSocket });
    assert.throws(make, { name: 'SyntaxError' }, url);
  }
  assert.throws(() => socket.close(1001), { name: 'InvalidAccessError' });
  assert.throws(() => socket.close(1000, 'é'.repeat(62)), { name: 'SyntaxError' });
  assert.throws(() => new ForeshiftSocket('ws://host/', [], {}), /give one, such as that of `ws`/);
});

test('what the socket sends from a listener goes out behind what was decided before', async (context) => {
  const { ingress, socket } = await pair(context);
  socket.addEventListener('migrated', () => {
    const bytes = new Uint8Array([7]);
    socket.send(bytes);
    bytes.fill(8);
  });
  socket.binaryType = 'arraybuffer';
  const got: unknown[] = [];
  socket.addEventListener('message', ({ data }) => got.push(data));
  ingress.instruct();
  while (typeof got.at(-1) !== 'object') await once(socket, 'message');
  assert.deepEqual(new Uint8Array(got.at(-1) as ArrayBuffer), new Uint8Array([7]));
});

test('a listener that sends has ended before the next event comes', async (context) => {
  const { ingress, socket } = await pair(context);
  const calls: string[] = [];
  socket.addEventListener('migrated', () => {
    calls.push('begins');
    socket.send('1');
    calls.push('ends');
  });
  socket.addEventListener('message', ({ data }) => calls.push(data));
  // What the new connection says is held, and comes in one go with the end of the old one.
  ingress.instruct();
  while (!calls.includes('4')) await once(socket, 'message');
  assert.deepEqual(calls, ['1', '2', '3', 'begins', 'ends', '4']);
});

test('a target that takes no connection leaves the old one in use, and the server is told', async (context) => {
  const { ingress, socket } = await pair(context);
  const stayed = once(socket, 'stayed') as Promise<[CustomEvent]>;
  ingress.instruct({ token: 'forged' });
  assert.equal((await stayed)[0].detail.why, 'the new connection could not be opened');
  if (ingress.refusals.length === 0) await once(ingress, 'refused');
  assert.deepEqual(ingress.refusals, ['the new connection could not be opened']);
  ingress.say();
  assert.equal(((await once(socket, 'message')) as [MessageEvent])[0].data, '1');
});

test('a malformed instruction is a message like any other', async (context) => {
  const { ingress, socket } = await pair(context);
  ingress.instruct({ within_ms: 'soon' });
  const [{ data }] = (await once(socket, 'message')) as [MessageEvent<string>];
  assert.match(data, /^\u001e\{"foreshift":"migrate"/);
});

test('a lost connection is opened again, and what was sent meanwhile arrives', async (context) => {
  const { ingress, socket } = await pair(context, { reconnect: SOON }, 'chat');
  ingress.socket.terminate();
  const [{ detail }] = (await once(socket, 'reconnecting')) as [CustomEvent];
  assert.deepEqual([detail.attempt, detail.code], [1, 1006]);
  assert.equal(socket.readyState, socket.CONNECTING);
  assert.equal(socket.protocol, 'chat');
  socket.send('1');
  assert.equal(socket.bufferedAmount, 2);
  await once(socket, 'reconnected');
  assert.equal(socket.readyState, socket.OPEN);
  while (ingress.heard.length === 0) await once(ingress, 'heard');
  assert.deepEqual(ingress.heard, [1]);
});

test('what may not be kept for a reconnect is refused', async (context) => {
  for (const [reconnect, name] of [
    [{ ...SOON, bufferBytes: 3 }, 'QuotaExceededError'],
    [{ ...SOON, meanwhile: 'refuse' }, 'InvalidStateError'],
  ] as const) {
    const { ingress, socket } = await pair(context, { reconnect });
    ingress.socket.terminate();
    await once(socket, 'reconnecting');
    assert.throws(() => socket.send('ab'), { name });
  }
});

test('a first connection that fails is an error and a close', async (context) => {
  const ingress = await MockIngress.start();
  context.after(() => ingress.stop());
  const socket = new ForeshiftSocket(`${ingress.url}&foreshift-token=none`, [], { webSocket: WebSocket });
  const told: string[] = [];
  for (const type of ['open', 'error', 'reconnecting']) socket.addEventListener(type, () => told.push(type));
  const [{ code, wasClean }] = (await once(socket, 'close')) as [CloseEvent];
  assert.deepEqual([code, wasClean, told], [1006, false, ['error']]);
});
