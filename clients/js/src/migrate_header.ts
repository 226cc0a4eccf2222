/**
 * The response header `Foreshift-Migrate`: `url="https://host", token="…", within=30, delay=1234`.
 *
 * Read strictly: what is not well-formed is no instruction. Members that are not known are passed over.
 */

import type { Instruction } from './instruction.js';

export const MIGRATE_HEADER = 'Foreshift-Migrate';

/** Longer values are not looked at, in UTF-16 units. */
const LENGTH_MAX = 8_192;

/** One member and the comma behind it: a name, alone or with a quoted string or a bare word. */
const MEMBER = /[ \t]*([a-z][a-z0-9_.*-]*)(?:=(?:"((?:[^"\\]|\\["\\])*)"|([^\s",;=\\]+)))?[ \t]*(,|$)/y;

/** What the header says; undefined where it is not well-formed. */
export function readMigrateHeader(value: string): Omit<Instruction, 'reason'> | undefined {
  const members = value.length <= LENGTH_MAX ? membersOf(value) : undefined;
  const url = members?.get('url')?.quoted;
  const token = members?.get('token')?.quoted;
  const within = wholeNumber(members?.get('within')?.bare);
  const delay = members?.has('delay') ? wholeNumber(members.get('delay')?.bare) : 0;
  if (url === undefined || token === undefined || within === undefined || delay === undefined)
    return undefined;
  return { url, token, withinMs: within * 1_000, delayMs: delay };
}

interface Member {
  readonly quoted: string | undefined;
  readonly bare: string | undefined;
}

function membersOf(value: string): Map<string, Member> | undefined {
  const members = new Map<string, Member>();
  const pattern = new RegExp(MEMBER);
  for (;;) {
    const found = pattern.exec(value);
    if (found === null) return undefined;
    const [, name = '', quoted, bare, end] = found;
    members.set(name, { quoted: quoted?.replace(/\\(.)/g, '$1'), bare });
    if (end === '') return members;
  }
}

/** At most nine digits, so that no time overflows. */
function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-9]{1,9}$/.test(text) ? Number(text) : undefined;
}
