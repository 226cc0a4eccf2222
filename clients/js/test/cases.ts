/**
 * The file of cases that all client libraries share, and the words of its scripts in those of this library.
 */

import { readFileSync } from 'node:fs';
import { SUBPROTOCOL } from '../dist/instruction.js';
import type { Action, Data, Event } from '../dist/machine.js';

type Bytes = { hex: string };
type Fields = { conn: number; data: string | Bytes; code: number; reason: string };
export type Written = Record<string, unknown>;

/** What a script may set. */
export type Options = Record<
  'backoff_min_ms' | 'backoff_max_ms' | 'attempts_max' | 'stable_ms' | 'drain_ms',
  number
>;

export interface Step extends Written {
  at: number;
  then: Written[];
  wakes?: number | null;
}

export interface Scenario {
  name: string;
  options?: Partial<Options>;
  random?: number[];
  steps: Step[];
}

interface File {
  defaults: Options;
  instructions: { message: string; is: Written | null }[];
  headers: { value: string; is: Written | null }[];
  scenarios: Scenario[];
}

export const CASES: File = JSON.parse(readFileSync(new URL('../../cases.json', import.meta.url), 'utf8'));

/** The event that a step is, under a name of the file's: `connect`, `opened`, `received`, `lost`, `send`, `close`, `time`. */
export function eventOf(step: Step): Event {
  const { at: _at, then: _then, wakes: _wakes, ...rest } = step;
  const [[type, value] = ['']] = Object.entries(rest);
  const fields = value as Fields;
  switch (type) {
    case 'connect':
    case 'time':
      return { type };
    case 'opened':
      return { type, link: fields.conn };
    case 'received':
      return { type, link: fields.conn, data: dataOf(fields.data) };
    case 'lost':
      return { type, link: fields.conn, wasClean: false, ...fields };
    case 'send':
      return { type, data: dataOf(value as string | Bytes) };
    case 'close':
      return { type, code: fields.code, reason: fields.reason };
    default:
      throw new Error(`the file has an event that is not known here: ${type}`);
  }
}

/**
 * Actions as the file writes them. `connect`: the user's URL and subprotocols.
 *
 * Left out: what only this library tells its user (`migrating`, `stayed`, `reconnected`); `core.test.ts` looks at those.
 */
export function written(actions: Action[], connect: { url: string; protocols: string[] }): Written[] {
  return actions.flatMap((action): Written[] => {
    switch (action.type) {
      case 'open': {
        const { link: conn, url = connect.url, token = null } = action;
        return [{ open: { conn, url, protocols: [SUBPROTOCOL, ...connect.protocols], token } }];
      }
      case 'transmit':
        return [{ transmit: { conn: action.link, data: writtenData(action.data) } }];
      case 'hang up':
        return [{ hang_up: { conn: action.link, code: action.code, reason: action.reason } }];
      case 'deliver':
        return [{ deliver: writtenData(action.data) }];
      case 'ready':
        return [{ ready: true }];
      case 'migrated':
        return [{ migrated: { session: action.session, url: action.url } }];
      case 'reconnecting':
        return [{ reconnecting: { in_ms: action.delayMs } }];
      case 'ended':
        return [{ ended: { code: action.code, reason: action.reason } }];
      default:
        return [];
    }
  });
}

function dataOf(written: string | Bytes): Data {
  return typeof written === 'string' ? written : new Uint8Array(Buffer.from(written.hex, 'hex'));
}

function writtenData(data: Data): string | Bytes {
  return typeof data === 'string' ? data : { hex: Buffer.from(data as Uint8Array).toString('hex') };
}
