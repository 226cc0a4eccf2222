/** What README.md shows is what is compiled and run here. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { carts, chat } from './example.js';
import { MockIngress } from './mock_ingress.js';

test('the code of README.md is the code that is tested', async () => {
  const [readme = '', example = ''] = await Promise.all(
    ['../README.md', '../test/example.ts'].map((file) => readFile(new URL(file, import.meta.url), 'utf8')),
  );
  for (const part of ['socket', 'fetch']) {
    const lines = example.split(`  // README: ${part}\n`)[1]?.split('  // README: end')[0];
    const code = lines?.replaceAll(/^ {2}/gm, '').trim() ?? assert.fail(`no part ${part}`);
    assert.ok(readme.includes(code), `README.md does not show:\n${code}`);
  }
});

test('the socket of README.md works', async (context) => {
  const ingress = await MockIngress.start();
  context.after(() => ingress.stop());
  const shown: string[] = [];
  const socket = chat(ingress.url, (line) => shown.push(line));
  if (ingress.heard.length === 0) await once(ingress, 'heard');
  ingress.instruct();
  await once(socket, 'migrated');
  ingress.socket.close(1000);
  await once(socket, 'close');
  assert.deepEqual(shown, ['got 1', 'got 2', 'got 3', 'moved, complete: true', 'got 4', 'closed with 1000']);
  assert.deepEqual(ingress.heard, [1]);
});

test('the fetch of README.md works', async (context) => {
  const ingress = await MockIngress.start((path) => ({ type: 'text/plain', body: path }));
  context.after(() => ingress.stop());
  assert.deepEqual(await carts(`http://127.0.0.1:${ingress.port}`), ['/cart', '/cart']);
});
