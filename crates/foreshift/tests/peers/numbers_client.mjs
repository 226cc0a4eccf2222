// The TypeScript client in Node, over the package `ws`. Arguments are the folder of the client, the URL, the moves, and
// under which name it asks for the server, if not that of the URL.

import { createRequire } from 'node:module';
import { talk } from './numbers.mjs';

const [folder, url, moves, host] = process.argv.slice(2);
const { WebSocket } = createRequire(`${folder}/package.json`)('ws');
const { ForeshiftSocket } = await import(`${folder}/dist/index.js`);
const socket = talk(ForeshiftSocket, url, Number(moves), {
  webSocket: WebSocket,
  webSocketOptions: host ? { headers: { host } } : {},
  tokenIn: 'header',
});
socket.addEventListener('close', ({ code }) => console.log(JSON.stringify({ event: 'closed', code })));
