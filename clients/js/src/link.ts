/**
 * One real WebSocket under a socket: opens it, and turns what it does into the core's events.
 */

import { SUBPROTOCOL, TOKEN_HEADER, withToken } from './instruction.js';
import type { Closed, Data } from './machine.js';
import type { ForeshiftSocketOptions, WebSocketClass, WebSocketLike } from './options.js';

/** How the links of one socket are opened. */
export interface Opener {
  readonly webSocket: WebSocketClass;
  /** The user's own subprotocols. */
  readonly protocols: readonly string[];
  readonly options: ForeshiftSocketOptions;
}

/** What a link tells. */
export interface Listener {
  opened(): void;
  received(data: Data): void;
  lost(closed: Closed): void;
}

/** Opens a WebSocket; throws what the implementation throws on wrong arguments. */
export function openLink(
  { webSocket, protocols, options }: Opener,
  url: string,
  token: string | undefined,
  binaryType: string,
  listener: Listener,
): WebSocketLike {
  const inHeader = token !== undefined && options.tokenIn === 'header';
  const target = token === undefined || inHeader ? url : withToken(url, token);
  const offered = options.offer === false ? protocols : [SUBPROTOCOL, ...protocols];
  const further = inHeader ? withHeader(options.webSocketOptions, token) : options.webSocketOptions;
  const arguments_ = further === undefined ? [target, [...offered]] : [target, [...offered], further];
  const link: WebSocketLike = Reflect.construct(webSocket, arguments_);
  link.binaryType = binaryType;
  let failed = false;
  link.addEventListener('open', () => listener.opened());
  link.addEventListener('message', ({ data }: { data: Data }) => listener.received(data));
  link.addEventListener('error', () => {
    failed = true;
  });
  link.addEventListener('close', ({ code, reason, wasClean }: Closed) => {
    listener.lost({ code, reason: String(reason), wasClean, failed });
  });
  return link;
}

/** The subprotocol that the user sees: `foreshift.v1` is between this library and the server. */
export function protocolOf(link: WebSocketLike): string {
  return link.protocol === SUBPROTOCOL ? '' : link.protocol;
}

function withHeader(options: Record<string, unknown> | undefined, token: string): Record<string, unknown> {
  const headers = options?.headers;
  const given = typeof headers === 'object' && headers !== null ? headers : {};
  return { ...options, headers: { ...given, [TOKEN_HEADER]: token } };
}
