/**
 * A WebSocket that stays while the server moves it.
 *
 * The shell around `core.ts`: owns the real sockets, the clock and the one timer, performs what the core decides and tells
 * the user. Beyond that it has the manners of an ordinary WebSocket: its arguments' checks, its states, its events.
 */

import { Alarm } from './alarm.js';
import { absolute, checkClose, copyOf, dataOf } from './arguments.js';
import { Core } from './core.js';
import { eventsOf } from './events.js';
import { Handlers } from './handlers.js';
import { type Opener, openLink, protocolOf } from './link.js';
import {
  type Action,
  bytesOf,
  type Closed,
  type Event as CoreEvent,
  type Data,
  type Link,
} from './machine.js';
import {
  type ForeshiftSocketOptions,
  settingsOf,
  type WebSocketClass,
  type WebSocketLike,
} from './options.js';

const STATES = { connecting: 0, reconnecting: 0, open: 1, closing: 2, ended: 3 } as const;

/** See the module's header, and README.md for how it differs from an ordinary WebSocket. */
export class ForeshiftSocket extends Handlers implements WebSocket {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;
  readonly CONNECTING = 0;
  readonly OPEN = 1;
  readonly CLOSING = 2;
  readonly CLOSED = 3;

  /** The URL that the user asked for, whichever the connection leads to by now. */
  readonly url: string;

  private readonly core: Core;
  private readonly opener: Opener;
  private readonly links = new Map<Link, WebSocketLike>();
  private readonly origin: string;
  private readonly todo: Action[] = [];
  private isPerforming = false;
  private readonly alarm = new Alarm(() => this.feed({ type: 'time' }));
  private binary: BinaryType = 'blob';
  private negotiated = { protocol: '', extensions: '' };
  /** Of what was sent when it was too late. */
  private discardedBytes = 0;

  constructor(url: string | URL, protocols: string | string[] = [], options: ForeshiftSocketOptions = {}) {
    super();
    const webSocket = options.webSocket ?? (globalThis.WebSocket as WebSocketClass | undefined);
    if (webSocket === undefined) {
      throw new TypeError(
        'there is no global WebSocket here: give one, such as that of `ws`, as `webSocket`',
      );
    }
    this.url = absolute(url);
    this.origin = new URL(this.url).origin;
    this.opener = { webSocket, protocols: typeof protocols === 'string' ? [protocols] : protocols, options };
    this.core = new Core(settingsOf(options, this.url));
    this.feed({ type: 'connect' });
  }

  get readyState(): 0 | 1 | 2 | 3 {
    return STATES[this.core.phase];
  }

  /** Bytes that were sent and are not yet with the network, those that wait for a connection included. */
  get bufferedAmount(): number {
    const ofLinks = [...this.links.values()].map((link) => link.bufferedAmount);
    return ofLinks.reduce((sum, bytes) => sum + bytes, this.core.backlogBytes + this.discardedBytes);
  }

  get protocol(): string {
    return this.negotiated.protocol;
  }

  get extensions(): string {
    return this.negotiated.extensions;
  }

  get binaryType(): BinaryType {
    return this.binary;
  }

  set binaryType(type: BinaryType) {
    if (type !== 'blob' && type !== 'arraybuffer') return;
    this.binary = type;
    for (const link of this.links.values()) link.binaryType = type;
  }

  /**
   * Sends a message.
   *
   * Throws an `InvalidStateError` before the first connection stands, as every WebSocket; between two connections too where
   * `reconnect.meanwhile` is `refuse`, and a `QuotaExceededError` where as much waits as may.
   */
  send(data: Data): void {
    const { phase } = this.core;
    if (phase === 'connecting') throw new DOMException('the socket is not open yet', 'InvalidStateError');
    const given = dataOf(data);
    if (!this.core.admits(given)) throw this.notNow();
    if (phase === 'closing' || phase === 'ended') this.discardedBytes += bytesOf(given);
    const isLater = phase === 'reconnecting' || this.isPerforming;
    this.feed({ type: 'send', data: isLater ? copyOf(given) : given });
  }

  /** Closes the socket for good, whatever its connections are at. */
  close(code?: number, reason?: string): void {
    checkClose(code, reason);
    this.feed({ type: 'close', code, reason });
  }

  private notNow(): DOMException {
    const { reconnect = true } = this.opener.options;
    return typeof reconnect === 'object' && reconnect.meanwhile === 'refuse'
      ? new DOMException('the connection is lost and not open again yet', 'InvalidStateError')
      : new DOMException('as much as may waits for the connection already', 'QuotaExceededError');
  }

  /** What follows from an event is done in order, even where a listener of the user's causes the next event. */
  private feed(event: CoreEvent): void {
    this.todo.push(...this.core.on(event, performance.now(), Math.random));
    if (this.isPerforming) return;
    this.isPerforming = true;
    try {
      for (let action = this.todo.shift(); action !== undefined; action = this.todo.shift()) {
        this.perform(action);
      }
    } finally {
      this.isPerforming = false;
    }
    this.alarm.set(this.core.wakeAt);
  }

  private perform(action: Action): void {
    switch (action.type) {
      case 'open':
        this.open(action.link, action.url ?? this.url, action.token);
        break;
      case 'transmit':
        this.links.get(action.link)?.send(action.data);
        break;
      case 'hang up':
        this.links.get(action.link)?.close(action.code, action.reason);
        break;
      default:
        if (action.type !== 'deliver') this.negotiate();
        for (const event of eventsOf(action, this.origin)) this.dispatchEvent(event);
    }
  }

  private open(link: Link, url: string, token: string | undefined): void {
    const listener = {
      opened: () => this.feed({ type: 'opened', link }),
      received: (data: Data) => this.feed({ type: 'received', link, data }),
      lost: (closed: Closed) => {
        this.links.delete(link);
        this.feed({ type: 'lost', link, ...closed });
      },
    };
    try {
      this.links.set(link, openLink(this.opener, url, token, this.binary, listener));
    } catch (error) {
      // Arguments of the user's are the user's to hear about; an instruction's are not.
      if (token === undefined) throw error;
      listener.lost({ code: 1006, reason: '', wasClean: false });
    }
  }

  /** What was agreed on the connection in use; kept while there is none. */
  private negotiate(): void {
    const link = this.core.current === undefined ? undefined : this.links.get(this.core.current);
    if (link !== undefined) this.negotiated = { protocol: protocolOf(link), extensions: link.extensions };
  }
}
