/**
 * The events of a socket: those of every WebSocket, and those that say what became of its connection.
 *
 * Node 20 has no `CloseEvent`; where there is one, it is used, so that `instanceof` holds.
 */

import type { Closed, Migrated, Migrating, Reconnected, Reconnecting, Stayed, ToUser } from './machine.js';

/** By name, for `addEventListener`. The last five are this library's own. */
export interface ForeshiftSocketEventMap extends WebSocketEventMap {
  migrating: CustomEvent<Migrating>;
  migrated: CustomEvent<Migrated>;
  stayed: CustomEvent<Stayed>;
  reconnecting: CustomEvent<Reconnecting>;
  reconnected: CustomEvent<Reconnected>;
}

class PlainCloseEvent extends Event {
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;

  constructor(type: string, { code = 0, reason = '', wasClean = false }: CloseEventInit = {}) {
    super(type);
    this.code = code;
    this.reason = reason;
    this.wasClean = wasClean;
  }
}

function closeEvent({ code, reason, wasClean }: Closed): Event {
  const Class = typeof CloseEvent === 'function' ? CloseEvent : PlainCloseEvent;
  return new Class('close', { code, reason, wasClean });
}

/** The events that tell the user what the core decided. `origin`: the server's, for messages. */
export function eventsOf(told: ToUser, origin: string): Event[] {
  switch (told.type) {
    case 'ready':
      return [new Event('open')];
    case 'deliver':
      return [new MessageEvent('message', { data: told.data, origin })];
    case 'ended':
      return told.failed === true ? [new Event('error'), closeEvent(told)] : [closeEvent(told)];
    default: {
      const { type, ...detail } = told;
      return [new CustomEvent(type, { detail })];
    }
  }
}
