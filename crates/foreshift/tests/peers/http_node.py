"""A node that is not of this project: the standard library's `http.server`, with a hook.

Answers every request with what it saw of it. `/count` counts the requests of a session, and the hook (`/handoff`,
`/resume`) hands the count on. `/events` is a stream of server-sent events that goes on behind `Last-Event-ID`.
"""

import hashlib
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME = sys.argv[1]
counts, lock = {}, threading.Lock()


class Node(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def serve(self):
        if self.path == "/events":
            return self.stream()
        body = self.read_body()
        session = self.headers.get("Foreshift-Session", "")
        with lock:
            if self.path == "/handoff":
                print(json.dumps({"event": "handoff", "session": session}), flush=True)
                return self.answer(str(counts.pop(session, 0)).encode())
            if self.path == "/resume":
                counts[session] = int(body or b"0")
                print(json.dumps({"event": "resume", "session": session, "count": counts[session]}), flush=True)
                return self.answer(b"")
            if self.path == "/count":
                counts[session] = counts.get(session, 0) + 1
        seen = {
            "node": NAME,
            "method": self.command,
            "path": self.path,
            "headers": list(self.headers.items()),
            "body_bytes": len(body),
            "body_sha256": hashlib.sha256(body).hexdigest(),
            "count": counts.get(session, 0),
        }
        self.answer(json.dumps(seen).encode())

    do_GET = do_POST = do_PUT = do_DELETE = serve

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self):
        last = int(self.headers.get("Last-Event-ID", 0))
        print(json.dumps({"event": "stream", "last": last}), flush=True)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for number in range(last + 1, last + 10_000):
                event = f"id: {number}\ndata: {NAME} {number}\n\n".encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
                time.sleep(0.01)
        except OSError:
            self.close_connection = True

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Node)
server.daemon_threads = True
print(json.dumps({"event": "listening", "port": server.server_address[1]}), flush=True)
server.serve_forever()
