/**
 * An ingress as a client sees it, over real sockets: one session that says and hears numbered messages, and moves.
 *
 * Not Foreshift: that is tested from `crates/foreshift/tests`. Here the server is made to be awkward: it speaks on the new
 * connection before the old one has ended, says its last on the old one later, and takes each token once.
 */

import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { type WebSocket, WebSocketServer } from 'ws';

const SESSION = '0123456789abcdef0123456789abcdef';

/** Numbers that the old connection still says once it has been left. */
const LATE = 3;

interface Connection {
  socket: WebSocket;
  request: IncomingMessage;
  /** What came before the old connection was left. */
  held: string[];
  token: string | undefined;
}

export class MockIngress extends EventEmitter {
  /** Numbers as they were heard from the client. */
  readonly heard: number[] = [];
  /** How many numbers were said. */
  said = 0;
  /** Migrations that were completed. */
  moves = 0;
  /** Refusals that were heard. */
  readonly refusals: string[] = [];
  /** Handshakes as they came. */
  readonly requests: IncomingMessage[] = [];
  private readonly tokens = new Set<string>();
  private issued = 0;
  private serving: Connection | undefined;
  /** By their token. */
  private readonly successors = new Map<string, Connection>();

  private constructor(
    readonly server: Server,
    private readonly sockets: WebSocketServer,
  ) {
    super();
    server.on('upgrade', (request, socket, head) => {
      this.requests.push(request);
      const token = tokenOf(request);
      if (token !== undefined && !this.tokens.delete(token)) {
        socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 12\r\n\r\nunknown once');
        return;
      }
      sockets.handleUpgrade(request, socket, head, (webSocket) => this.accept(webSocket, request, token));
    });
  }

  /** Listens on loopback. `page` answers what is no WebSocket; what is posted as JSON is an event `report`. */
  static async start(
    page?: (path: string) => { type: string; body: string } | undefined,
  ): Promise<MockIngress> {
    const server = createServer(async (request, response) => {
      if (request.method === 'POST') ingress.emit('report', JSON.parse(await text(request)));
      const found = page?.(request.url ?? '');
      response.writeHead(found ? 200 : 404, { 'Content-Type': found?.type ?? 'text/plain' });
      response.end(found?.body);
    });
    const sockets = new WebSocketServer({ noServer: true, handleProtocols: chosen });
    const ingress = new MockIngress(server, sockets);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return ingress;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/session?user=1`;
  }

  /** The connection that serves. */
  get socket(): WebSocket {
    if (this.serving === undefined) throw new Error('no connection serves');
    return this.serving.socket;
  }

  /** Tells the client to move; further fields replace those of the instruction. */
  instruct(fields: Record<string, unknown> = {}): void {
    const token = `token ${++this.issued}/+`;
    this.tokens.add(token);
    const { url } = this;
    this.socket.send(
      control({ foreshift: 'migrate', url, token, within_ms: 10_000, reason: 'test', ...fields }),
    );
  }

  /** Says the next number. */
  say(): void {
    this.socket.send(String(++this.said));
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets.clients) socket.terminate();
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  private accept(socket: WebSocket, request: IncomingMessage, token: string | undefined): void {
    const connection: Connection = { socket, request, held: [], token };
    socket.on('message', (data, isBinary) => {
      const said = data.toString();
      if (isBinary) socket.send(data);
      else if (said.startsWith('\u001e{"foreshift"')) this.control(connection, JSON.parse(said.slice(1)));
      else if (connection === this.serving) this.hear(said);
      else connection.held.push(said);
    });
    if (token === undefined) {
      this.serving = connection;
      this.emit('connection');
      return;
    }
    this.successors.set(token, connection);
    socket.send(control({ foreshift: 'resumed', session: SESSION }));
  }

  private control(from: Connection, said: { foreshift: string; token?: string; reason?: string }): void {
    if (said.foreshift === 'refused') {
      this.refusals.push(said.reason ?? '');
      this.emit('refused', said.reason);
    } else if (said.foreshift === 'moved') {
      this.moved(from, this.successors.get(said.token ?? ''));
    }
  }

  /** The new connection speaks at once, though the old one has numbers left that come before. */
  private moved(old: Connection, next: Connection | undefined): void {
    if (next === undefined || old !== this.serving) throw new Error('moved to nowhere, or twice');
    const late = Array.from({ length: LATE }, () => String(++this.said));
    this.serving = next;
    this.say();
    setImmediate(() => {
      for (const number of late) old.socket.send(number);
      old.socket.close(1000, 'moved');
    });
    old.socket.once('close', () => this.emit('ended'));
    for (const said of next.held.splice(0)) this.hear(said);
    this.moves += 1;
  }

  private hear(said: string): void {
    this.heard.push(Number(said));
    this.emit('heard');
  }
}

/** The client's own subprotocol where it offers one, as a node behind the ingress would choose. */
function chosen(offered: Set<string>): string | false {
  const own = [...offered].find((name) => name !== 'foreshift.v1');
  return own ?? (offered.has('foreshift.v1') ? 'foreshift.v1' : false);
}

function tokenOf(request: IncomingMessage): string | undefined {
  const header = request.headers['foreshift-token'];
  const query = new URL(request.url ?? '', 'http://host').searchParams.get('foreshift-token');
  return typeof header === 'string' ? header : (query ?? undefined);
}

function control(fields: Record<string, unknown>): string {
  return `\u001e${JSON.stringify(fields)}`;
}
