/**
 * Checks of what a user hands to a socket, as the WebSocket standard has them, and errors of its kinds.
 */

import type { Data } from './machine.js';

const REASON_BYTES_MAX = 123;

/** The URL as an absolute one with `ws` or `wss`, read against the page's where there is one. */
export function absolute(url: string | URL): string {
  const base = globalThis.document?.baseURI ?? globalThis.location?.href;
  const parsed = parse(url, base);
  if (parsed === undefined) throw new DOMException(`${String(url)} is not a URL`, 'SyntaxError');
  if (parsed.protocol === 'http:') parsed.protocol = 'ws:';
  if (parsed.protocol === 'https:') parsed.protocol = 'wss:';
  if (parsed.protocol !== 'ws:' && parsed.protocol !== 'wss:') {
    throw new DOMException(`${String(url)} begins with neither ws nor wss`, 'SyntaxError');
  }
  if (parsed.hash !== '') throw new DOMException(`${String(url)} has a fragment`, 'SyntaxError');
  return parsed.href;
}

/** Throws where a socket may not be closed in this way. */
export function checkClose(code: number | undefined, reason: string | undefined): void {
  if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999)) {
    throw new DOMException(`${code} is neither 1000 nor from 3000 to 4999`, 'InvalidAccessError');
  }
  if (reason !== undefined && new TextEncoder().encode(reason).length > REASON_BYTES_MAX) {
    throw new DOMException(`the reason takes more than ${REASON_BYTES_MAX} bytes`, 'SyntaxError');
  }
}

/** What is sent for a value: what is neither bytes nor a blob is sent as text. */
export function dataOf(value: unknown): Data {
  const isBytes = value instanceof ArrayBuffer || ArrayBuffer.isView(value) || value instanceof Blob;
  return isBytes || isShared(value) ? (value as Data) : String(value);
}

/** A copy, for what is sent later than it was given: its owner may change the bytes meanwhile. */
export function copyOf(data: Data): Data {
  if (typeof data === 'string' || data instanceof Blob) return data;
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
  return data.slice(0);
}

function isShared(value: unknown): boolean {
  return typeof SharedArrayBuffer === 'function' && value instanceof SharedArrayBuffer;
}

function parse(url: string | URL, base: string | undefined): URL | undefined {
  try {
    return new URL(url, base);
  } catch {
    return undefined;
  }
}
