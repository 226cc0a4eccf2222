/** What the shared cases leave to each library: limits, hosts, and what its user is told. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Core } from '../dist/core.js';
import type { Action, Event } from '../dist/machine.js';
import { type ForeshiftSocketOptions, settingsOf } from '../dist/options.js';

const URL = 'wss://www.example/chat';
const SESSION = '0123456789abcdef0123456789abcdef';
const RESUMED = `\u001e{"foreshift":"resumed","session":"${SESSION}"}`;

function migrate(fields: Record<string, unknown> = {}): string {
  const whole = { foreshift: 'migrate', url: URL, token: 't', within_ms: 1_000, ...fields };
  return `\u001e${JSON.stringify(whole)}`;
}

/** A core whose first connection stands, and what it does on events given one after the other, a millisecond apart. */
function opened(options: ForeshiftSocketOptions = {}): { core: Core; on: (...events: Event[]) => Action[] } {
  const core = new Core(settingsOf(options, URL));
  let now = 0;
  const on = (...events: Event[]) => events.flatMap((event) => core.on(event, ++now, () => 0.5));
  on({ type: 'connect' }, { type: 'opened', link: 1 });
  return { core, on };
}

const received = (link: number, data: string): Event => ({ type: 'received', link, data });
const lost = (link: number, code: number): Event => ({
  type: 'lost',
  link,
  code,
  reason: '',
  wasClean: true,
});
const types = (actions: Action[]) => actions.map(({ type }) => type);

test('an instruction to a host that the user did not name is refused', () => {
  for (const [url, hosts, follows] of [
    ['wss://www.example:8443/x', [], true],
    ['wss://WWW.example/x', [], true],
    ['wss://evil.example/x', [], false],
    ['wss://www.example.evil/x', [], false],
    ['wss://www.example@evil.example/x', [], false],
    ['wss://edge.example/x', ['Edge.example'], true],
    ['wss://www.example/x#fragment', [], false],
  ] as const) {
    const { on } = opened({ hosts });
    const did = types(on(received(1, migrate({ url }))));
    assert.deepEqual(did, follows ? ['migrating', 'open'] : ['transmit', 'stayed'], url);
  }
});

test('the user is told of each step of a migration', () => {
  const { on } = opened();
  const did = on(
    received(1, migrate({ reason: 'rebalance' })),
    { type: 'opened', link: 2 },
    received(2, RESUMED),
    lost(1, 1000),
  );
  assert.deepEqual(types(did), ['migrating', 'open', 'transmit', 'migrated']);
  assert.deepEqual(did[0], { type: 'migrating', url: URL, reason: 'rebalance' });
  assert.deepEqual(did[3], { type: 'migrated', url: URL, session: SESSION, complete: true });
});

test('the user is told why a migration was given up', () => {
  const { on } = opened();
  const did = on(received(1, migrate()), lost(2, 1006));
  assert.deepEqual(did.at(-1), { type: 'stayed', url: URL, why: 'the new connection could not be opened' });
});

test('an old connection that breaks is reported as not complete', () => {
  const { on } = opened();
  const did = on(received(1, migrate()), { type: 'opened', link: 2 }, received(2, RESUMED), lost(1, 1006));
  assert.deepEqual(did.at(-1), { type: 'migrated', url: URL, session: SESSION, complete: false });
});

test('an old connection is left when the new one has said more than may be held', () => {
  const { on } = opened({ holdBytes: 20 });
  on(received(1, migrate()), { type: 'opened', link: 2 }, received(2, RESUMED));
  assert.deepEqual(on(received(2, '0123456789')), []);
  const did = on(received(2, 'a'));
  assert.deepEqual(types(did), ['hang up', 'migrated', 'deliver', 'deliver']);
  assert.deepEqual(did[1], { type: 'migrated', url: URL, session: SESSION, complete: false });
  assert.deepEqual(types(on(received(1, 'too late'), lost(1, 1000))), []);
});

test('an instruction on a connection that was left is void', () => {
  const { on } = opened();
  on(received(1, migrate()), { type: 'opened', link: 2 }, received(2, RESUMED));
  assert.deepEqual(on(received(1, migrate())), []);
  assert.deepEqual(types(on(received(1, RESUMED))), ['deliver']);
});

test('without reconnects a lost connection ends the socket', () => {
  const { core, on } = opened({ reconnect: false });
  assert.deepEqual(types(on(lost(1, 1006))), ['ended']);
  assert.equal(core.wakeAt, undefined);
});

test('the user is told of a reconnect and of its success', () => {
  const { core, on } = opened();
  const did = on(lost(1, 1012));
  assert.deepEqual(did, [{ type: 'reconnecting', attempt: 1, delayMs: 250, code: 1012, reason: '' }]);
  assert.equal(core.phase, 'reconnecting');
  const again = core.on({ type: 'time' }, 1_000, () => 0);
  const opened2 = core.on({ type: 'opened', link: 2 }, 1_010, () => 0);
  assert.deepEqual(
    [...again, ...opened2],
    [
      { type: 'open', link: 2 },
      { type: 'reconnected', attempt: 1 },
    ],
  );
});

test('no more is kept for a reconnect than may be', () => {
  const { core, on } = opened({ reconnect: { bufferBytes: 20 } });
  on(lost(1, 1006), { type: 'send', data: '01234' });
  assert.equal(core.backlogBytes, 10);
  assert.equal(core.admits('01234'), true);
  assert.equal(core.admits('012345'), false);
  assert.equal(core.admits(new Uint8Array(11)), false);
});

test('where messages are refused meanwhile, not even an empty one is kept', () => {
  const { core, on } = opened({ reconnect: { meanwhile: 'refuse' } });
  assert.equal(core.admits('x'.repeat(10_000_000)), true, 'on an open connection nothing is kept');
  on(lost(1, 1006));
  assert.equal(core.admits(''), false);
});

test('wrong options name themselves', () => {
  for (const [options, name] of [
    [{ drainMs: -1 }, 'drainMs'],
    [{ holdBytes: Number.NaN }, 'holdBytes'],
    [{ reconnect: { minMs: 0 } }, 'minMs'],
    [{ reconnect: { attempts: -1 } }, 'attempts'],
    [{ reconnect: { meanwhile: 'drop' } }, 'reconnect.meanwhile'],
  ] as [ForeshiftSocketOptions, string][]) {
    assert.throws(() => settingsOf(options, URL), { name: 'RangeError', message: new RegExp(`^${name}: `) });
  }
});
