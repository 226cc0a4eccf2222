/**
 * Laws of the core over random histories: a model of the server and the network, driven from a seed.
 *
 * The model delivers what each side said per connection in order, and interleaves connections at random. Without faults no
 * message is lost, doubled or reordered in either direction, however instructions, refusals and messages fall. With
 * faults (any connection lost at any moment) what arrives is still in order and never doubled.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Core } from '../dist/core.js';
import type { Action, Event } from '../dist/machine.js';
import { settingsOf } from '../dist/options.js';

const HISTORIES = 400;
const STEPS = 300;
const URL = 'wss://www.example/';
const RESUMED = `\u001e${JSON.stringify({ foreshift: 'resumed', session: '0'.repeat(32) })}`;

test('without faults every message arrives once and in order, both ways', () => {
  for (let seed = 1; seed <= HISTORIES; seed++) {
    const world = new World(seed, 0);
    world.run();
    world.settle();
    const all = (count: number) => Array.from({ length: count }, (_, at) => at + 1);
    assert.deepEqual(world.atUser, all(world.fromServer), `seed ${seed}: to the user`);
    assert.deepEqual(world.atServer, all(world.fromUser), `seed ${seed}: to the server`);
    total += world.moves;
  }
  assert.ok(total > HISTORIES, `only ${total} migrations were completed: the model does not exercise them`);
});

test('with faults what arrives is in order and never doubled', () => {
  for (let seed = 1; seed <= HISTORIES; seed++) {
    const world = new World(seed, 0.02);
    world.run();
    for (const arrived of [world.atUser, world.atServer]) {
      for (const [at, number] of arrived.entries()) {
        assert.ok(
          at === 0 || number > (arrived[at - 1] ?? 0),
          `seed ${seed}: ${number} after ${arrived[at - 1]}`,
        );
      }
    }
  }
});

let total = 0;

/** mulberry32: small, and the same everywhere. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** One connection: what is under way in each direction. `null` is its end. */
interface Wire {
  link: number;
  token: string | undefined;
  isOpen: boolean;
  toClient: (string | null)[];
  toServer: (string | null)[];
  /** What came before the old wire said `moved`. */
  held: string[];
}

class World {
  readonly atUser: number[] = [];
  readonly atServer: number[] = [];
  fromServer = 0;
  fromUser = 0;
  moves = 0;
  private readonly core = new Core(settingsOf({ drainMs: 1_000_000 }, URL));
  private readonly wires: Wire[] = [];
  /** The wire that the server speaks on. */
  private serving: number | undefined;
  private tokens = 0;
  private now = 0;
  private readonly random: () => number;

  constructor(
    seed: number,
    private readonly faults: number,
  ) {
    this.random = generator(seed);
    this.feed({ type: 'connect' });
  }

  run(): void {
    for (let step = 0; step < STEPS; step++) this.step(true);
  }

  /** Lets everything under way arrive. */
  settle(): void {
    for (let step = 0; step < 10 * STEPS; step++) this.step(false);
  }

  private step(isBusy: boolean): void {
    this.now += Math.floor(this.random() * 20);
    const choice = this.random();
    if (isBusy && choice < 0.2) this.userSends();
    else if (isBusy && choice < 0.4) this.serverSends();
    else if (isBusy && choice < 0.45) this.instruct();
    else if (isBusy && choice < 0.45 + this.faults) this.cut();
    else if (choice < 0.6) this.tick();
    else this.carry();
  }

  private userSends(): void {
    if (this.core.phase === 'open') this.feed({ type: 'send', data: String(++this.fromUser) });
  }

  private serverSends(): void {
    const wire = this.wires.find(({ link, isOpen }) => link === this.serving && isOpen);
    wire?.toClient.push(String(++this.fromServer));
  }

  private instruct(): void {
    const wire = this.wires.find(({ link, isOpen }) => link === this.serving && isOpen);
    if (wire === undefined) return;
    const delay_ms = Math.floor(this.random() * 50);
    const fields = { foreshift: 'migrate', url: URL, token: `t${++this.tokens}`, within_ms: 200, delay_ms };
    wire.toClient.push(`\u001e${JSON.stringify(fields)}`);
  }

  private cut(): void {
    const wire = this.wires[Math.floor(this.random() * this.wires.length)];
    if (wire === undefined) return;
    this.remove(wire);
    const next = this.wires.find(({ token, isOpen }) => token !== undefined && isOpen);
    if (this.serving === wire.link) this.serve(next);
    this.feed({ type: 'lost', link: wire.link, code: 1006, reason: '', wasClean: false });
  }

  private tick(): void {
    const { wakeAt } = this.core;
    if (wakeAt !== undefined && wakeAt <= this.now) this.feed({ type: 'time' });
  }

  /** Moves one thing on one wire by one step. */
  private carry(): void {
    const wire = this.wires[Math.floor(this.random() * this.wires.length)];
    if (wire === undefined) return;
    if (!wire.isOpen) {
      this.accept(wire);
    } else if (this.random() < 0.5) {
      this.arriveAtClient(wire);
    } else {
      this.arriveAtServer(wire);
    }
  }

  private accept(wire: Wire): void {
    if (wire.token !== undefined && this.random() < 0.2) {
      this.remove(wire);
      this.feed({ type: 'lost', link: wire.link, code: 1006, reason: '', wasClean: false });
      return;
    }
    wire.isOpen = true;
    if (wire.token === undefined) this.serving = wire.link;
    else wire.toClient.push(RESUMED);
    this.feed({ type: 'opened', link: wire.link });
  }

  private arriveAtClient(wire: Wire): void {
    const said = wire.toClient.shift();
    if (said === undefined) return;
    if (said !== null) {
      this.feed({ type: 'received', link: wire.link, data: said });
      return;
    }
    this.remove(wire);
    this.feed({ type: 'lost', link: wire.link, code: 1000, reason: 'moved', wasClean: true });
  }

  private arriveAtServer(wire: Wire): void {
    const said = wire.toServer.shift();
    if (said === undefined) return;
    if (said === null) {
      wire.toClient.push(null);
    } else if (said.startsWith('\u001e')) {
      this.control(wire, JSON.parse(said.slice(1)));
    } else if (wire.link === this.serving) {
      this.atServer.push(Number(said));
    } else {
      wire.held.push(said);
    }
  }

  /** As the ingress: on `moved` the old side says its last, the new one speaks at once, its held input goes on. */
  private control(wire: Wire, { foreshift, token }: { foreshift: string; token?: string }): void {
    if (foreshift !== 'moved') return;
    const next = this.wires.find((other) => other.token === token);
    for (let late = Math.floor(this.random() * 3); late > 0; late--) {
      wire.toClient.push(String(++this.fromServer));
    }
    wire.toClient.push(null);
    this.serve(next);
    this.moves += 1;
  }

  private serve(wire: Wire | undefined): void {
    this.serving = wire?.link;
    this.atServer.push(...(wire?.held.splice(0) ?? []).map(Number));
  }

  private remove(wire: Wire): void {
    this.wires.splice(this.wires.indexOf(wire), 1);
  }

  private feed(event: Event): void {
    for (const action of this.core.on(event, this.now, this.random)) this.perform(action);
  }

  private perform(action: Action): void {
    if (action.type === 'open') {
      const { link, token } = action;
      this.wires.push({ link, token, isOpen: false, toClient: [], toServer: [], held: [] });
      const kept = this.wires.filter(
        ({ toServer, toClient }) => !toServer.includes(null) && !toClient.includes(null),
      );
      assert.ok(kept.length <= 2, `${kept.length} connections at once`);
    } else if (action.type === 'transmit') {
      this.wires.find(({ link }) => link === action.link)?.toServer.push(String(action.data));
    } else if (action.type === 'hang up') {
      this.wires.find(({ link }) => link === action.link)?.toServer.push(null);
    } else if (action.type === 'deliver') {
      this.atUser.push(Number(action.data));
    }
  }
}
