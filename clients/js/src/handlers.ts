/**
 * The parts of a socket's interface that only concern listeners: `onopen` and its like, and the types of events.
 */

import type { ForeshiftSocketEventMap } from './events.js';

type Handler<E extends Event> = ((this: WebSocket, event: E) => unknown) | null;

/** A handler's place among the listeners is that of its first setting, as everywhere on the web. */
class Slot<E extends Event> {
  handler: Handler<E> = null;
  private isListening = false;

  constructor(
    private readonly target: EventTarget,
    private readonly type: string,
  ) {}

  set(handler: Handler<E>): void {
    this.handler = typeof handler === 'function' ? handler : null;
    if (this.isListening || this.handler === null) return;
    this.isListening = true;
    this.target.addEventListener(this.type, (event) =>
      this.handler?.call(this.target as WebSocket, event as E),
    );
  }
}

/** An `EventTarget` with a WebSocket's events and handlers. */
export class Handlers extends EventTarget {
  private readonly slots = {
    open: new Slot<Event>(this, 'open'),
    message: new Slot<MessageEvent>(this, 'message'),
    error: new Slot<Event>(this, 'error'),
    close: new Slot<CloseEvent>(this, 'close'),
  };

  get onopen(): Handler<Event> {
    return this.slots.open.handler;
  }

  set onopen(handler: Handler<Event>) {
    this.slots.open.set(handler);
  }

  get onmessage(): Handler<MessageEvent> {
    return this.slots.message.handler;
  }

  set onmessage(handler: Handler<MessageEvent>) {
    this.slots.message.set(handler);
  }

  get onerror(): Handler<Event> {
    return this.slots.error.handler;
  }

  set onerror(handler: Handler<Event>) {
    this.slots.error.set(handler);
  }

  get onclose(): Handler<CloseEvent> {
    return this.slots.close.handler;
  }

  set onclose(handler: Handler<CloseEvent>) {
    this.slots.close.set(handler);
  }

  override addEventListener<K extends keyof ForeshiftSocketEventMap>(
    type: K,
    listener: (this: WebSocket, event: ForeshiftSocketEventMap[K]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void {
    super.addEventListener(type, listener, options);
  }

  override removeEventListener<K extends keyof ForeshiftSocketEventMap>(
    type: K,
    listener: (this: WebSocket, event: ForeshiftSocketEventMap[K]) => unknown,
    options?: boolean | EventListenerOptions,
  ): void;
  override removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
  override removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void {
    super.removeEventListener(type, listener, options);
  }
}
