"""A small shop whose visitors each have a counter and a cart, kept in their session's state.

    shop.py --node ID --port PORT --state http://HOST:PORT|redis://HOST:PORT [--token-file FILE]

The ingress says with each request whose it is (Foreshift-Session) and since when this node serves that session (Foreshift-Epoch). The shop
itself keeps nothing: so any node can go on where another one was, also where that one was killed.

    GET    /             the visitor's counter, one higher, and cart, as JSON
    PUT    /cart/apples  the body is how many
    DELETE /cart/apples
"""

import argparse
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from replay import Replay, Refused
from state import Fenced, open_state

REPLAY_PATH = "/foreshift/replay"


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Set in main().
    node = state = replay = None

    def do_GET(self):
        if self.path == "/health":
            return self.answer(200)
        if self.path != "/":
            return self.answer(404)
        self.for_visitor(self.visit)

    def do_PUT(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith(REPLAY_PATH + "/"):
            return self.take_replay(body)
        item = self.item()
        if item is None or not re.fullmatch(rb"[0-9]{1,6}", body):
            return self.answer(404 if item is None else 422)
        self.for_visitor(lambda visitor: self.state.set(*visitor, "cart", item, body))

    def do_DELETE(self):
        if self.path.startswith(REPLAY_PATH + "/"):
            epoch = int(self.headers.get("Foreshift-Epoch", 0))
            self.replay.forget(self.path.removeprefix(REPLAY_PATH + "/"), epoch)
            return self.answer(204)
        item = self.item()
        if item is None:
            return self.answer(404)
        self.for_visitor(lambda visitor: self.state.remove(*visitor, "cart", item))

    def item(self):
        found = re.fullmatch(r"/cart/([a-z]{1,32})", self.path)
        return found and found.group(1)

    def for_visitor(self, act):
        """Does something for the session that the ingress names, in the reign that it names."""
        session, epoch = self.headers.get("Foreshift-Session"), self.headers.get("Foreshift-Epoch")
        if session is None:
            return self.answer(400, {"error": "no Foreshift-Session: requests come through the ingress"})
        try:
            self.answer(200, act((session, epoch)))
        except Fenced as fenced:
            # The session moved while this request was here. Nothing was written; its client may ask again.
            self.answer(503, {"error": str(fenced)}, {"Retry-After": "1"})

    def visit(self, visitor):
        visits = self.state.add(*visitor, "visits", "count", 1)
        cart = self.state.all(visitor[0], "cart")
        return {"node": self.node, "visits": visits, "cart": {item: int(count) for item, count in sorted(cart.items())}}

    def take_replay(self, body):
        """The ingress brings a partition before it sends the session's clients here; it wants to know what arrived."""
        try:
            digest = self.replay.take(self.path.removeprefix(REPLAY_PATH + "/"), self.headers, body)
        except Refused as refused:
            return self.answer(refused.status)
        self.answer(204, None, {"Foreshift-Digest": digest})

    def answer(self, status, value=None, headers={}):
        body = b"" if value is None else json.dumps(value).encode() + b"\n"
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        if body:
            self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing: paths of replays hold sessions' ids."""


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--node", required=True)
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--state", required=True)
    arguments.add_argument("--token-file")
    arguments = arguments.parse_args()
    token = None
    if arguments.token_file:
        with open(arguments.token_file, encoding="ascii") as file:
            token = file.read().strip()
    Shop.node = arguments.node
    Shop.replay = Replay()
    Shop.state = open_state(arguments.state, arguments.node, token, Shop.replay)
    server = ThreadingHTTPServer(("127.0.0.1", arguments.port), Shop)
    print(json.dumps({"event": "listening", "port": server.server_port}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
