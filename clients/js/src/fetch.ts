/**
 * A `fetch` that follows the response header `Foreshift-Migrate`.
 *
 * The shell around `detours.ts`. Where the new address cannot be reached or does not take the token, the request is made
 * again where it was addressed; a request that must not be sent twice is never the one to try.
 */

import { Detours, type Route } from './detours.js';
import { TOKEN_HEADER } from './instruction.js';
import { MIGRATE_HEADER, readMigrateHeader } from './migrate_header.js';

export interface ForeshiftFetchOptions {
  /** The implementation; the global `fetch` where not given. */
  fetch?: typeof fetch;
  /** Host names that instructions may lead to, beside the one of the request. */
  hosts?: readonly string[];
}

const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/** A `fetch` with instructions of its own: others do not know them. */
export function createFetch(options: ForeshiftFetchOptions = {}): typeof fetch {
  const detours = new Detours(options.hosts);
  return (input, init) => request(options.fetch ?? globalThis.fetch, detours, input, init);
}

/** `fetch` that goes where servers tell it to. Everything that uses it shares their instructions. */
export const foreshiftFetch: typeof fetch = createFetch();

type Input = Parameters<typeof fetch>[0];

async function request(
  send: typeof fetch,
  detours: Detours,
  input: Input,
  init?: RequestInit,
): Promise<Response> {
  const url = addressOf(input);
  const again = url !== undefined && isRepeatable(input, init);
  const route = url && detours.route(url.origin, again, performance.now());
  if (url === undefined || route === undefined) return learn(detours, url, await send(input, init));
  try {
    const answer = await send(...redirected(input, init, url, route));
    if (route.token === undefined || answer.status !== 403) {
      if (route.token !== undefined) detours.accepted(url.origin, route.token);
      return learn(detours, url, answer);
    }
    await answer.body?.cancel();
    detours.failed(url.origin, route);
  } catch (error) {
    // What is no error of the network, an abort above all, is the caller's.
    const isOfNetwork = error instanceof TypeError;
    if (isOfNetwork || route.token !== undefined) detours.failed(url.origin, route);
    if (!again || !isOfNetwork) throw error;
  }
  return learn(detours, url, await send(input, init));
}

function learn(detours: Detours, url: URL | undefined, answer: Response): Response {
  const header = answer.headers.get(MIGRATE_HEADER);
  const instruction = header === null ? undefined : readMigrateHeader(header);
  if (url !== undefined && instruction !== undefined) {
    detours.instruct(url.origin, instruction, performance.now());
  }
  return answer;
}

/** The same request to another origin, with the token where there is one. */
function redirected(
  input: Input,
  init: RequestInit | undefined,
  url: URL,
  route: Route,
): [Request | URL, RequestInit] {
  const to = new URL(route.origin + url.pathname + url.search);
  const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined));
  if (route.token !== undefined) headers.set(TOKEN_HEADER, route.token);
  return [input instanceof Request ? new Request(to, input) : to, { ...init, headers }];
}

function isRepeatable(input: Input, init: RequestInit | undefined): boolean {
  const ofInput = input instanceof Request ? input : undefined;
  const method = (init?.method ?? ofInput?.method ?? 'GET').toUpperCase();
  if (!IDEMPOTENT.has(method)) return false;
  if (init?.body !== undefined) return !(init.body instanceof ReadableStream);
  return ofInput === undefined || method === 'GET' || method === 'HEAD' || ofInput.body === null;
}

/** Undefined where `fetch` is to say what is wrong with it. */
function addressOf(input: Input): URL | undefined {
  const text = input instanceof Request ? input.url : String(input);
  try {
    const url = new URL(text, globalThis.document?.baseURI ?? globalThis.location?.href);
    return /^https?:$/.test(url.protocol) ? url : undefined;
  } catch {
    return undefined;
  }
}
