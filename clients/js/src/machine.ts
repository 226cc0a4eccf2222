/**
 * The words between the pure core and its shell: events in, actions out.
 *
 * Times are milliseconds of one clock that never goes back; the core is given `now` and never asks for it. A link is one
 * WebSocket, by the number that the core gave it: the first is 1, each further one has the next number.
 */

/** A message as a WebSocket gives or takes it. The core looks only into text. */
export type Data = string | ArrayBufferLike | Blob | ArrayBufferView;

export type Link = number;

/** How a WebSocket ended. */
export interface Closed {
  readonly code: number;
  readonly reason: string;
  /** Whether it ended with a closing handshake. */
  readonly wasClean: boolean;
  /** Whether it reported an error before. */
  readonly failed?: boolean;
  /** The status of an answer that was no upgrade, where the implementation tells. */
  readonly status?: number | undefined;
}

export type Event =
  /** The user made the socket. */
  | { readonly type: 'connect' }
  | { readonly type: 'opened'; readonly link: Link }
  | { readonly type: 'received'; readonly link: Link; readonly data: Data }
  | ({ readonly type: 'lost'; readonly link: Link } & Closed)
  /** The user sends. Only where `Core.admits` says that it may. */
  | { readonly type: 'send'; readonly data: Data }
  /** The user closes. */
  | { readonly type: 'close'; readonly code?: number | undefined; readonly reason?: string | undefined }
  /** `Core.wakeAt` has come. */
  | { readonly type: 'time' };

export type Action =
  /** Open a WebSocket: at the user's URL, or at an instruction's with its token. */
  | { readonly type: 'open'; readonly link: Link; readonly url?: string; readonly token?: string }
  | { readonly type: 'transmit'; readonly link: Link; readonly data: Data }
  | {
      readonly type: 'hang up';
      readonly link: Link;
      readonly code?: number | undefined;
      readonly reason?: string | undefined;
    }
  | ToUser;

/** What the user of the socket sees. */
export type ToUser =
  /** The first connection stands. */
  | { readonly type: 'ready' }
  | { readonly type: 'deliver'; readonly data: Data }
  | ({ readonly type: 'ended' } & Closed)
  | ({ readonly type: 'reconnecting' } & Reconnecting)
  | ({ readonly type: 'reconnected' } & Reconnected)
  | ({ readonly type: 'migrating' } & Migrating)
  | ({ readonly type: 'migrated' } & Migrated)
  | ({ readonly type: 'stayed' } & Stayed);

/** A connection was lost without an instruction; another attempt follows. */
export interface Reconnecting {
  /** 1 for the first attempt since the last stable connection. */
  readonly attempt: number;
  readonly delayMs: number;
  /** How the connection ended. */
  readonly code: number;
  readonly reason: string;
}

/** A new connection stands in place of a lost one. Messages under way at the loss, and the session's state, may be lost. */
export interface Reconnected {
  readonly attempt: number;
}

/** An instruction is being followed. */
export interface Migrating {
  readonly url: string;
  /** The server's, for people. */
  readonly reason: string;
}

/** An instruction was followed: nothing but the new connection is left. */
export interface Migrated {
  readonly url: string;
  /** The server's name of the session, 32 hexadecimal digits. */
  readonly session: string;
  /** False where the old connection did not end as announced: messages at its end may be missing. */
  readonly complete: boolean;
}

/** An instruction was not followed, or not to its end; the old connection goes on. */
export interface Stayed {
  readonly url: string;
  readonly why: string;
}

/** A source of random numbers in [0, 1). */
export type Random = () => number;

/** Memory that a message takes, in bytes; of text an upper bound that needs no encoding. */
export function bytesOf(data: Data): number {
  if (typeof data === 'string') return data.length * 2;
  return data instanceof Blob ? data.size : data.byteLength;
}
