/**
 * The state machine of one socket: decides what to open, send, hold and tell, and does none of it.
 *
 * Pure: no timer, no socket, no clock. The shell (`socket.ts`) feeds events with `now` and a source of random numbers and
 * performs the actions in their order. Every client library passes the same scripts, `clients/cases.json`.
 *
 * At most two connections exist at any moment: the one in use, and either its successor (`move`) or its predecessor
 * (`drain`).
 */

import { Drain, type DrainLimits } from './drain.js';
import { type Instruction, moved, readControl, refused } from './instruction.js';
import type { Action, Closed, Data, Event, Link, Random } from './machine.js';
import { type Bounds, Move, objection } from './move.js';
import { Backlog, type Reconnect, Retry } from './retry.js';

/** How a socket behaves. */
export interface Settings extends Bounds, DrainLimits {
  /** Undefined: a lost connection ends the socket. */
  readonly reconnect: Reconnect | undefined;
  /** The most that is kept while no connection stands, in bytes; undefined: nothing. */
  readonly bufferBytes: number | undefined;
}

/** What the user may do; `reconnecting` is an ordinary socket's CONNECTING, but not its first. */
export type Phase = 'connecting' | 'open' | 'reconnecting' | 'closing' | 'ended';

export class Core {
  phase: Phase = 'connecting';
  /** The connection in use, where there is one. */
  current: Link | undefined;
  private links = 0;
  private stoodSince: number | undefined;
  private move: Move | undefined;
  private drain: Drain | undefined;
  private readonly retry: Retry;
  private readonly backlog: Backlog;
  private actions: Action[] = [];
  private now = 0;
  private random: Random = () => 0;

  constructor(private readonly settings: Settings) {
    this.retry = new Retry(settings.reconnect);
    this.backlog = new Backlog(settings.bufferBytes);
  }

  /** When the event `time` is due; undefined: never. */
  get wakeAt(): number | undefined {
    const times = [this.drain?.until, this.move?.wakeAt, this.retry.at].filter((at) => at !== undefined);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Of what waits for a connection. */
  get backlogBytes(): number {
    return this.backlog.bytes;
  }

  /** Whether a message may be sent now: where none stands, whether it can be kept. */
  admits(data: Data): boolean {
    const waits = this.phase === 'connecting' || this.phase === 'reconnecting';
    return !waits || this.backlog.hasRoom(data);
  }

  /** What follows from an event. */
  on(event: Event, now: number, random: Random): Action[] {
    this.actions = [];
    this.now = now;
    this.random = random;
    this.take(event);
    return this.actions;
  }

  private take(event: Event): void {
    switch (event.type) {
      case 'connect':
        this.current = this.open();
        break;
      case 'opened':
        this.opened(event.link);
        break;
      case 'received':
        this.received(event.link, event.data);
        break;
      case 'lost':
        this.lost(event.link, event);
        break;
      case 'send':
        this.send(event.data);
        break;
      case 'close':
        this.close(event.code, event.reason);
        break;
      case 'time':
        this.time();
        break;
    }
  }

  private act(action: Action): void {
    this.actions.push(action);
  }

  private open(instruction?: Instruction): Link {
    this.links += 1;
    const link = this.links;
    this.act({ type: 'open', link, ...(instruction && { url: instruction.url, token: instruction.token }) });
    return link;
  }

  private opened(link: Link): void {
    if (link === this.move?.link) this.move.hasOpened = true;
    if (link !== this.current || (this.phase !== 'connecting' && this.phase !== 'reconnecting')) return;
    this.act(
      this.phase === 'connecting' ? { type: 'ready' } : { type: 'reconnected', attempt: this.retry.attempt },
    );
    this.phase = 'open';
    this.stoodSince = this.now;
    for (const data of this.backlog.take()) this.act({ type: 'transmit', link, data });
  }

  private send(data: Data): void {
    if (this.phase === 'open' && this.current !== undefined) {
      this.act({ type: 'transmit', link: this.current, data });
    } else if (this.phase === 'connecting' || this.phase === 'reconnecting') {
      this.backlog.push(data);
    }
  }

  private received(link: Link, data: Data): void {
    if (link === this.move?.link) {
      this.successorSaid(link, data);
    } else if (link === this.drain?.old) {
      // Instructions to it are void: it has been left.
      if (readControl(data)?.kind !== 'migrate') this.act({ type: 'deliver', data });
    } else if (link === this.current) {
      this.currentSaid(data);
    }
  }

  private currentSaid(data: Data): void {
    if (this.drain !== undefined) {
      this.drain.hold(data);
      if (this.drain.isOver(this.now)) this.leaveOld();
      return;
    }
    const control = readControl(data);
    if (control?.kind === 'migrate') {
      this.instructed(control.instruction);
    } else {
      this.act({ type: 'deliver', data });
    }
  }

  private instructed(instruction: Instruction): void {
    if (this.phase !== 'open' || this.current === undefined) return;
    const why = this.move ? 'a migration is under way' : objection(instruction, this.settings);
    const { url, reason } = instruction;
    if (why !== undefined) {
      this.act({ type: 'transmit', link: this.current, data: refused(why) });
      this.act({ type: 'stayed', url, why });
      return;
    }
    this.move = new Move(instruction, this.now);
    this.act({ type: 'migrating', url, reason });
    this.time();
  }

  private successorSaid(link: Link, data: Data): void {
    const control = readControl(data);
    if (control?.kind === 'resumed') {
      this.switchTo(link, control.session);
    } else {
      this.giveUp('the new connection did not resume');
    }
  }

  /** What was sent so far went to the old connection, what follows goes to the new one: between two messages. */
  private switchTo(link: Link, session: string): void {
    const { current: old, move, settings } = this;
    if (old === undefined || move === undefined) return;
    const { token, url } = move.instruction;
    this.act({ type: 'transmit', link: old, data: moved(token) });
    this.move = undefined;
    this.current = link;
    this.drain = new Drain(old, url, session, settings, this.now);
  }

  /** Stays on the old connection, and says so to the server. */
  private giveUp(why: string, isLost = false): void {
    const { move, current } = this;
    if (move === undefined || current === undefined) return;
    if (isLost) move.link = undefined;
    this.dropMove();
    this.act({ type: 'transmit', link: current, data: refused(why) });
    this.act({ type: 'stayed', url: move.instruction.url, why });
  }

  private dropMove(): void {
    const link = this.move?.link;
    if (link !== undefined) this.act({ type: 'hang up', link, code: 1000, reason: 'given up' });
    this.move = undefined;
  }

  private lost(link: Link, closed: Closed): void {
    if (link === this.move?.link) {
      this.giveUp(this.move.whyLost(closed), true);
    } else if (link === this.drain?.old) {
      this.endDrain(closed.code === 1000);
    } else if (link === this.current) {
      this.current = undefined;
      if (this.drain === undefined) {
        this.end(closed);
      } else {
        this.drain.closed = closed;
        const goesOn = this.phase === 'open' && this.retry.follows(closed.code);
        this.phase = goesOn ? 'reconnecting' : 'closing';
      }
    }
  }

  private leaveOld(): void {
    if (this.drain === undefined) return;
    this.act({ type: 'hang up', link: this.drain.old, code: 1000, reason: 'moved' });
    this.endDrain(false);
  }

  private endDrain(complete: boolean): void {
    const { drain } = this;
    if (drain === undefined) return;
    this.drain = undefined;
    this.act({ type: 'migrated', url: drain.url, session: drain.session, complete });
    for (const data of drain.held) this.currentSaid(data);
    if (drain.closed !== undefined) this.end(drain.closed);
  }

  /** The connection in use is no more: another attempt, or the end. */
  private end(closed: Closed): void {
    const stoodMs = this.stoodSince === undefined ? 0 : this.now - this.stoodSince;
    this.stoodSince = undefined;
    this.dropMove();
    const mayRetry = this.phase === 'open' || this.phase === 'reconnecting';
    const delayMs = mayRetry ? this.retry.plan(closed.code, stoodMs, this.now, this.random) : undefined;
    if (delayMs === undefined) {
      this.phase = 'ended';
      this.backlog.take();
      this.act({ type: 'ended', ...withoutLink(mayRetry ? this.retry.end(closed) : closed) });
      return;
    }
    this.phase = 'reconnecting';
    const { code, reason } = closed;
    this.act({ type: 'reconnecting', attempt: this.retry.attempt, delayMs, code, reason });
  }

  private close(code?: number, reason?: string): void {
    if (this.phase === 'closing' || this.phase === 'ended') return;
    this.dropMove();
    this.retry.at = undefined;
    this.phase = 'closing';
    const closed = { code: code ?? 1005, reason: reason ?? '', wasClean: true };
    if (this.current !== undefined) {
      this.act({ type: 'hang up', link: this.current, code, reason });
    } else if (this.drain !== undefined) {
      this.drain.closed = closed;
    } else {
      this.end(closed);
    }
  }

  private time(): void {
    if (this.drain?.isOver(this.now)) this.leaveOld();
    const { move } = this;
    if (move !== undefined && this.now >= move.until) {
      this.giveUp('the new connection did not resume in time');
    } else if (move !== undefined && move.link === undefined && this.now >= move.openAt) {
      move.link = this.open(move.instruction);
    }
    if (this.retry.at !== undefined && this.now >= this.retry.at) {
      this.retry.at = undefined;
      this.current = this.open();
    }
  }
}

function withoutLink({ code, reason, wasClean, failed = false }: Closed): Closed {
  return { code, reason, wasClean, failed };
}
