/** Twenty instructed migrations over real sockets, with numbered messages both ways all the time. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { ForeshiftSocket } from '../dist/index.js';
import { MockIngress } from './mock_ingress.js';

const MOVES = 20;

for (const tokenIn of ['query', 'header'] as const) {
  test(`twenty migrations lose, double and reorder nothing; the token is in the ${tokenIn}`, async () => {
    const ingress = await MockIngress.start();
    const told: string[] = [];
    const socket = new ForeshiftSocket(ingress.url, 'chat', { webSocket: WebSocket, tokenIn });
    for (const type of ['open', 'migrating', 'migrated', 'stayed', 'reconnecting', 'error', 'close']) {
      socket.addEventListener(type, () => told.push(type));
    }
    const got: number[] = [];
    socket.onmessage = ({ data }) => got.push(Number(data));
    await once(socket, 'open');
    const chatter = setInterval(() => ingress.say(), 1);
    let sent = 0;
    const talk = setInterval(() => {
      for (let burst = 0; burst < 3; burst++) socket.send(String(++sent));
    }, 1);
    for (let move = 0; move < MOVES; move++) {
      const done = once(socket, 'migrated') as Promise<[CustomEvent]>;
      ingress.instruct({ delay_ms: move % 4 });
      const [{ detail }] = await done;
      assert.equal(detail.complete, true);
      assert.equal(socket.readyState, ForeshiftSocket.OPEN);
    }
    clearInterval(chatter);
    clearInterval(talk);
    socket.send(String(++sent));
    while (ingress.heard.at(-1) !== sent) await once(ingress, 'heard');
    ingress.socket.close(1000, 'done');
    const [closed] = (await once(socket, 'close')) as [CloseEvent];
    assert.deepEqual([closed.code, closed.reason, closed.wasClean], [1000, 'done', true]);
    assert.deepEqual(got, numbers(ingress.said));
    assert.deepEqual(ingress.heard, numbers(sent));
    assert.equal(ingress.moves, MOVES);
    assert.deepEqual(told, ['open', ...Array(MOVES).fill(['migrating', 'migrated']).flat(), 'close']);
    assert.ok(got.length > 2 * MOVES && sent > 2 * MOVES, `only ${got.length} and ${sent} messages`);
    for (const { headers, url } of ingress.requests) {
      assert.equal(headers['sec-websocket-protocol'], 'foreshift.v1,chat');
      assert.match(url ?? '', /^\/session\?user=1(&foreshift-token=|$)/);
    }
    await ingress.stop();
  });
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at + 1);
}
