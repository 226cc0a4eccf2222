/** The code that README.md shows. Compiled, and run by `readme.test.ts` against a server that moves its clients. */

import { createFetch, ForeshiftSocket } from '@foreshift/client';
import { WebSocket } from 'ws';

export function chat(url: string, show: (line: string) => void): ForeshiftSocket {
  // README: socket
  const socket = new ForeshiftSocket(url, ['chat'], { webSocket: WebSocket });
  socket.onopen = () => socket.send('1');
  socket.onmessage = ({ data }) => show(`got ${data}`);
  socket.onclose = ({ code }) => show(`closed with ${code}`);

  // Only where you want to know:
  socket.addEventListener('migrated', ({ detail }) => show(`moved, complete: ${detail.complete}`));
  socket.addEventListener('reconnected', () => show('reconnected: ask for what was missed'));
  // README: end
  return socket;
}

export async function carts(base: string): Promise<string[]> {
  // README: fetch
  const fetch = createFetch({ hosts: ['edge.example'] });
  const first = await fetch(`${base}/cart`);
  const second = await fetch(`${base}/cart`);
  // README: end
  return [await first.text(), await second.text()];
}
