/**
 * Where requests go while their origin's server wants them elsewhere.
 *
 * Only a request that may be sent twice carries the token, and until one was answered with it, all others stay where they
 * were: so whatever goes wrong at the new address can be done again at the old one. Pure; `fetch.ts` acts on it.
 */

import type { Instruction } from './instruction.js';

/** Origins that are kept, the oldest instruction leaving first: a client talks to few. */
const ORIGINS_MAX = 64;

interface Detour {
  readonly to: string;
  readonly token: string;
  readonly from: number;
  readonly until: number;
  /** Of the token: `out` is with a request that has not been answered. */
  state: 'unused' | 'out' | 'accepted';
}

/** Where a request goes instead. */
export interface Route {
  readonly origin: string;
  /** Sent with this request, and with no other. */
  readonly token: string | undefined;
}

export class Detours {
  private readonly byOrigin = new Map<string, Detour>();

  /** `hosts`: host names beside an origin's own that instructions may lead to. */
  constructor(private readonly hosts: readonly string[] = []) {}

  /** Takes an instruction that came with an answer of `origin`; false where it cannot be followed. Times in milliseconds. */
  instruct(origin: string, instruction: Omit<Instruction, 'reason'>, now: number): boolean {
    const to = target(origin, instruction.url, this.hosts);
    if (to === undefined || !isHeaderValue(instruction.token)) return false;
    const from = now + instruction.delayMs;
    this.byOrigin.delete(origin);
    const until = from + instruction.withinMs;
    this.byOrigin.set(origin, { to, token: instruction.token, from, until, state: 'unused' });
    const [oldest] = this.byOrigin.keys();
    if (this.byOrigin.size > ORIGINS_MAX && oldest !== undefined) this.byOrigin.delete(oldest);
    return true;
  }

  /** Where a request to `origin` goes; undefined: where it is addressed. */
  route(origin: string, isRepeatable: boolean, now: number): Route | undefined {
    const detour = this.byOrigin.get(origin);
    if (detour === undefined || now < detour.from) return undefined;
    if (now >= detour.until) {
      this.byOrigin.delete(origin);
      return undefined;
    }
    if (detour.state === 'accepted') return { origin: detour.to, token: undefined };
    if (detour.state === 'out' || !isRepeatable) return undefined;
    detour.state = 'out';
    return { origin: detour.to, token: detour.token };
  }

  /** The request with this token was answered. */
  accepted(origin: string, token: string): void {
    const detour = this.byOrigin.get(origin);
    if (detour?.token === token) detour.state = 'accepted';
  }

  /** The new address failed: requests go where they are addressed. */
  failed(origin: string, { origin: to }: Route): void {
    if (this.byOrigin.get(origin)?.to === to) this.byOrigin.delete(origin);
  }
}

/** The origin that an instruction leads to, where it may. The rules are those of `move.ts`. */
function target(origin: string, url: string, hosts: readonly string[]): string | undefined {
  const [from, to] = [parse(origin), parse(url)];
  if (from === undefined || to === undefined || !/^https?:$/.test(to.protocol)) return undefined;
  if (from.protocol === 'https:' && to.protocol !== 'https:') return undefined;
  return to.hostname === from.hostname || hosts.includes(to.hostname) ? to.origin : undefined;
}

function isHeaderValue(token: string): boolean {
  return /^[\x21-\x7e]+$/.test(token);
}

function parse(url: string): URL | undefined {
  try {
    return new URL(url);
  } catch {
    return undefined;
  }
}
