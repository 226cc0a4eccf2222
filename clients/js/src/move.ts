/**
 * The beginning of a migration: an instruction that was accepted, until its connection has resumed.
 *
 * Until then the old connection serves, and any failure leaves it so. Pure; `core.ts` acts on it.
 */

import type { Instruction } from './instruction.js';
import type { Closed, Link } from './machine.js';

/** Where an instruction may lead. */
export interface Bounds {
  /** The URL that the user connected to. */
  readonly url: string;
  /** Host names beside that URL's own. */
  readonly hosts: readonly string[];
}

export class Move {
  /** When the new connection is to be opened. */
  readonly openAt: number;
  /** When the move is given up. */
  readonly until: number;
  /** The new connection, once it is being opened. */
  link: Link | undefined;
  hasOpened = false;

  constructor(
    readonly instruction: Instruction,
    now: number,
  ) {
    this.openAt = now + instruction.delayMs;
    this.until = this.openAt + instruction.withinMs;
  }

  /** When there is something to do. */
  get wakeAt(): number {
    return this.link === undefined ? this.openAt : this.until;
  }

  /** Why the new connection's end ends the move, for the server. */
  whyLost({ code, status }: Closed): string {
    if (this.hasOpened) return `the new connection closed with ${code}`;
    if (status !== undefined) return `the new connection was answered ${status}`;
    return 'the new connection could not be opened';
  }
}

/**
 * Why an instruction cannot be followed; undefined where it can.
 *
 * A service may pass on text that others wrote, and such text may look like an instruction. So it leads only to hosts that
 * the user of this socket named, and never from an encrypted connection to one in the clear.
 */
export function objection(instruction: Instruction, bounds: Bounds): string | undefined {
  const from = parse(bounds.url);
  const to = parse(instruction.url);
  if (to === undefined || !/^wss?:$/.test(to.protocol) || to.hash !== '') {
    return "the address is not a WebSocket's";
  }
  if (from?.protocol !== 'ws:' && to.protocol === 'ws:') return 'the address is not encrypted';
  if (to.hostname !== from?.hostname && !bounds.hosts.includes(to.hostname)) return 'the host is not allowed';
  return undefined;
}

function parse(url: string): URL | undefined {
  try {
    return new URL(url);
  } catch {
    return undefined;
  }
}
