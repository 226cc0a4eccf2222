/**
 * Ordinary reconnects: when, how often, and what becomes of messages meanwhile.
 *
 * Full jitter (a wait drawn evenly from zero to a bound that doubles) because what cuts one client off cuts off many,
 * and those must not come back together. Pure; `core.ts` acts on it.
 */

import { bytesOf, type Closed, type Data, type Random } from './machine.js';

/** How to reconnect where there was no instruction. All times in milliseconds. */
export interface Reconnect {
  /** Bound of the first wait; it doubles with each attempt. */
  readonly minMs: number;
  /** The bound grows no further than this. */
  readonly maxMs: number;
  /** Attempts in a row before the socket ends. */
  readonly attempts: number;
  /** A connection that stood for this long ends the row. */
  readonly stableMs: number;
  /** What is sent meanwhile: kept and sent afterwards, or refused by an `InvalidStateError`. */
  readonly meanwhile: 'buffer' | 'refuse';
  /** The most that is kept meanwhile, in bytes; text counts two bytes a UTF-16 unit. */
  readonly bufferBytes: number;
}

export const RECONNECT: Reconnect = {
  minMs: 500,
  maxMs: 30_000,
  attempts: 10,
  stableMs: 10_000,
  meanwhile: 'buffer',
  bufferBytes: 1_048_576,
};

/** Close codes behind which another attempt may fare better. The other ends were meant, or would come again. */
const PASSING = new Set([1001, 1006, 1011, 1012, 1013, 1014]);

/** The row of attempts since the last stable connection. */
export class Retry {
  /** Attempts so far. */
  attempt = 0;
  /** When the next one is due. */
  at: number | undefined;

  constructor(private readonly reconnect: Reconnect | undefined) {}

  /** Whether an end with this code is followed by attempts at all. */
  follows(code: number): boolean {
    return this.reconnect !== undefined && PASSING.has(code);
  }

  /** Plans the next attempt; the wait, or undefined where there is none. `stoodMs`: how long the connection stood. */
  plan(code: number, stoodMs: number, now: number, random: Random): number | undefined {
    const { reconnect } = this;
    if (reconnect === undefined || !this.follows(code)) return undefined;
    if (stoodMs >= reconnect.stableMs) this.attempt = 0;
    if (this.attempt >= reconnect.attempts) return undefined;
    const bound = Math.min(reconnect.maxMs, reconnect.minMs * 2 ** this.attempt);
    const delayMs = Math.floor(random() * bound);
    this.attempt += 1;
    this.at = now + delayMs;
    return delayMs;
  }

  /** What the user is told where no attempt follows: the end itself, or that all attempts failed. */
  end(closed: Closed): Closed {
    if (!this.follows(closed.code) || this.attempt === 0) return closed;
    return { ...closed, reason: `not reached in ${this.attempt} attempts` };
  }
}

/** What the user sent while no connection stood, in order. */
export class Backlog {
  private kept: Data[] = [];
  /** Of all that is kept. */
  bytes = 0;

  /** `bytesMax` undefined: nothing may be kept. */
  constructor(private readonly bytesMax: number | undefined) {}

  hasRoom(data: Data): boolean {
    return this.bytesMax !== undefined && this.bytes + bytesOf(data) <= this.bytesMax;
  }

  push(data: Data): void {
    this.kept.push(data);
    this.bytes += bytesOf(data);
  }

  /** All of it; nothing is left. */
  take(): Data[] {
    const { kept } = this;
    this.kept = [];
    this.bytes = 0;
    return kept;
  }
}
