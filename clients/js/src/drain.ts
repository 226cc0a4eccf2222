/**
 * The end of a migration: the old connection speaks out before the new one is heard.
 *
 * What the new one says is held until the old one has closed, for a bounded time and in a bounded memory: beyond those,
 * what the old one still had to say is given up, and the user is told. Pure; `core.ts` acts on it.
 */

import { bytesOf, type Closed, type Data, type Link } from './machine.js';

/** How long and how much is held. */
export interface DrainLimits {
  readonly drainMs: number;
  readonly holdBytes: number;
}

export class Drain {
  /** What the new connection said, in order. */
  readonly held: Data[] = [];
  /** How the new connection ended, where it has: behind all that is held. */
  closed: Closed | undefined;
  /** When the old connection has had its time. */
  readonly until: number;
  private bytes = 0;

  constructor(
    /** The old connection. */
    readonly old: Link,
    /** Where the new one leads. */
    readonly url: string,
    readonly session: string,
    private readonly limits: DrainLimits,
    now: number,
  ) {
    this.until = now + limits.drainMs;
  }

  hold(data: Data): void {
    this.held.push(data);
    this.bytes += bytesOf(data);
  }

  /** Whether the old connection has had its time, or what is held its memory. */
  isOver(now: number): boolean {
    return now >= this.until || this.bytes > this.limits.holdBytes;
  }
}
