/** Compiles, and is never run: what users may write, against the package as they import it. */

import { createFetch, ForeshiftSocket, type ForeshiftSocketOptions, foreshiftFetch } from '@foreshift/client';
import { WebSocket as NodeWebSocket } from 'ws';

const options: ForeshiftSocketOptions = {
  reconnect: { minMs: 100, meanwhile: 'refuse' },
  hosts: ['edge.example'],
};
const socket = new ForeshiftSocket('wss://www.example/chat', ['chat'], options);

/** Wherever a WebSocket is asked for. */
const ordinary: WebSocket = socket;
ordinary.onmessage = (event) => console.log(event.data);

socket.onclose = ({ code }) => console.log(code.toFixed());
socket.onopen = function () {
  this.send(new Uint8Array(1));
};
socket.addEventListener('message', ({ data }) => console.log(data));
socket.addEventListener('migrated', ({ detail }) => console.log(detail.session, detail.complete));
socket.addEventListener('reconnecting', ({ detail }) => console.log(detail.delayMs.toFixed()));
socket.binaryType = 'arraybuffer';
const state: 0 | 1 | 2 | 3 = socket.readyState;
console.log(state, ForeshiftSocket.OPEN === 1);

new ForeshiftSocket(new URL('wss://www.example/'), 'chat', {
  webSocket: NodeWebSocket,
  webSocketOptions: { headers: { authorization: 'Bearer …' } },
  tokenIn: 'header',
});
new ForeshiftSocket('wss://www.example/', [], { webSocket: WebSocket, reconnect: false });

// @ts-expect-error a misspelt option is found
new ForeshiftSocket('wss://www.example/', [], { reconect: false });
// @ts-expect-error the state cannot be set
socket.readyState = 1;

const answer: Promise<Response> = foreshiftFetch('https://www.example/cart', { method: 'PUT', body: '{}' });
const ordinaryFetch: typeof fetch = createFetch({ fetch, hosts: ['edge.example'] });
console.log(answer, ordinaryFetch);
