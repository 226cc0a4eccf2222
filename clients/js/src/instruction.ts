/**
 * The control messages of `foreshift.v1`: text that begins with U+001E, JSON behind it.
 *
 * A service may send such text for reasons of its own, so that what is not exactly one of these messages is an
 * ordinary message of the service: reading never throws and never guesses. Whether an instruction can be followed is
 * decided in `move.ts`.
 */

/** What a client offers beside its own subprotocols to be told where to go. */
export const SUBPROTOCOL = 'foreshift.v1';

/** The query parameter that carries a token where headers cannot be set, as in browsers. */
export const TOKEN_PARAMETER = 'foreshift-token';

/** The header that carries a token elsewhere. */
export const TOKEN_HEADER = 'Foreshift-Token';

const MARK = '\u001e';

/** Longer text is no instruction: it is not parsed, so that large messages cost nothing. In UTF-16 units. */
const LENGTH_MAX = 16_384;

/** The server's order to reconnect elsewhere. */
export interface Instruction {
  /** Where to: an absolute URL, query included. */
  readonly url: string;
  /** Opaque, accepted once. */
  readonly token: string;
  /** The new connection must have resumed in this time from the end of the delay, in milliseconds. */
  readonly withinMs: number;
  /** How long to wait before opening the new connection, in milliseconds. Spreads clients. */
  readonly delayMs: number;
  /** Why, for people. */
  readonly reason: string;
}

/** What a control message from the server says. */
export type Control =
  | { readonly kind: 'migrate'; readonly instruction: Instruction }
  | { readonly kind: 'resumed'; readonly session: string };

/** The control message in `data`; undefined where it is a message of the service. */
export function readControl(data: unknown): Control | undefined {
  if (typeof data !== 'string' || !data.startsWith(MARK) || data.length > LENGTH_MAX) return undefined;
  const fields = object(data.slice(MARK.length));
  switch (fields?.foreshift) {
    case 'migrate':
      return readMigrate(fields);
    case 'resumed':
      return readResumed(fields);
    default:
      return undefined;
  }
}

/** The client's last message on the old connection: the new one has resumed. */
export function moved(token: string): string {
  return MARK + JSON.stringify({ foreshift: 'moved', token });
}

/** The client's answer to an instruction that it does not follow. */
export function refused(reason: string): string {
  return MARK + JSON.stringify({ foreshift: 'refused', reason });
}

/** `url` with the token in its query. What else is in it stays as it is written. */
export function withToken(url: string, token: string): string {
  return `${url}${url.includes('?') ? '&' : '?'}${TOKEN_PARAMETER}=${encodeURIComponent(token)}`;
}

function readMigrate(fields: Record<string, unknown>): Control | undefined {
  const { url, token, within_ms: withinMs, delay_ms: delayMs = 0, reason = '' } = fields;
  if (typeof url !== 'string' || typeof token !== 'string' || typeof reason !== 'string') {
    return undefined;
  }
  if (!isDuration(withinMs) || !isDuration(delayMs)) return undefined;
  return { kind: 'migrate', instruction: { url, token, withinMs, delayMs, reason } };
}

function readResumed(fields: Record<string, unknown>): Control | undefined {
  const { session } = fields;
  const isSession = typeof session === 'string' && /^[0-9a-f]{32}$/.test(session);
  return isSession ? { kind: 'resumed', session } : undefined;
}

function isDuration(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function object(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
