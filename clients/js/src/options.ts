/**
 * What a user may set, its defaults, and what is refused.
 *
 * Checked when a socket is made, as an ordinary WebSocket checks its arguments: a wrong value throws and names itself.
 */

import type { Settings } from './core.js';
import { RECONNECT, type Reconnect } from './retry.js';

/** As much of a WebSocket as is used. The browser's own and those of the package `ws` are such. */
export interface WebSocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  readonly protocol: string;
  readonly extensions: string;
  readonly url: string;
  send(data: string | ArrayBufferLike | Blob | ArrayBufferView): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: string, listener: (event: any) => void): void;
}

/** The class of such. The third argument is given only where `webSocketOptions` or `tokenIn: 'header'` are set. */
export type WebSocketClass = new (url: any, protocols?: any, options?: any) => any;

export interface ForeshiftSocketOptions {
  /** Ordinary reconnects; false for none. */
  reconnect?: boolean | Partial<Reconnect>;
  /** Whether to offer `foreshift.v1`; false for a server that is no Foreshift and insists on its own subprotocols. */
  offer?: boolean;
  /** Host names that instructions may lead to, beside the one connected to. */
  hosts?: readonly string[];
  /** How long the old connection may speak after a switch, in milliseconds. 5,000. */
  drainMs?: number;
  /** The most that is held of the new connection meanwhile, in bytes. 16 MiB. */
  holdBytes?: number;
  /** The implementation; the global `WebSocket` where not given. Node 20 has none: give that of the package `ws`. */
  webSocket?: WebSocketClass;
  /** A third argument for the implementation, such as `{ headers }` for `ws`. */
  webSocketOptions?: Record<string, unknown>;
  /** Where a token travels: `query` works everywhere, `header` with implementations that take `{ headers }`. */
  tokenIn?: 'query' | 'header';
}

/** Settings of the core; throws a `RangeError` that names what is wrong. */
export function settingsOf(options: ForeshiftSocketOptions, url: string): Settings {
  const reconnect = reconnectOf(options.reconnect ?? true);
  const { drainMs = 5_000, holdBytes = 16 * 1_048_576, hosts = [] } = options;
  atLeast(0, { drainMs, holdBytes });
  return {
    url,
    hosts: hosts.map((host) => host.toLowerCase()),
    drainMs,
    holdBytes,
    reconnect,
    bufferBytes: reconnect?.meanwhile === 'buffer' ? reconnect.bufferBytes : undefined,
  };
}

function reconnectOf(option: boolean | Partial<Reconnect>): Reconnect | undefined {
  if (option === false) return undefined;
  const reconnect = { ...RECONNECT, ...(option === true ? {} : option) };
  const { minMs, maxMs, attempts, stableMs, bufferBytes, meanwhile } = reconnect;
  atLeast(1, { minMs, maxMs });
  atLeast(0, { attempts, stableMs, bufferBytes });
  if (meanwhile !== 'buffer' && meanwhile !== 'refuse') {
    throw new RangeError(`reconnect.meanwhile: ${String(meanwhile)} is neither 'buffer' nor 'refuse'`);
  }
  return reconnect;
}

function atLeast(least: number, values: Record<string, number>): void {
  for (const [name, value] of Object.entries(values)) {
    if (!(value >= least)) throw new RangeError(`${name}: ${value} is less than ${least}`);
  }
}
