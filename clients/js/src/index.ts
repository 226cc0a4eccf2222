/// <reference lib="dom" preserve="true" />
/**
 * `@foreshift/client`: a WebSocket and a `fetch` that follow Foreshift's instructions to move.
 */

export type { ForeshiftSocketEventMap } from './events.js';
export { createFetch, type ForeshiftFetchOptions, foreshiftFetch } from './fetch.js';
export type { Migrated, Migrating, Reconnected, Reconnecting, Stayed } from './machine.js';
export type { ForeshiftSocketOptions, WebSocketClass, WebSocketLike } from './options.js';
export type { Reconnect } from './retry.js';
export { ForeshiftSocket } from './socket.js';
