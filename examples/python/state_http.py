"""State over HTTP, with nothing but the standard library."""

import http.client
import json
import threading
from base64 import b64decode
from urllib.parse import quote

from state import Fenced


class HttpState:
    def __init__(self, host, port, node, token, replay):
        self.host, self.port, self.replay = host, port, replay
        self.headers = {"Foreshift-Node": node}
        if token:
            self.headers["Authorization"] = f"Bearer {token}"
        # A connection each, for the threads of the server.
        self.connections = threading.local()

    def all(self, session, partition):
        """All that the partition holds. What was replayed to this node is not fetched again, if it still is what there is."""
        held = self.replay.held(session, partition)
        headers = {} if held is None else {"If-None-Match": f'"{held.version}"'}
        status, _, body = self.ask("GET", session, partition, None, None, headers)
        if status == 304:
            return {name.decode(): value for name, value in held.values.items()}
        if status == 404:
            return {}
        entries = json.loads(expect(200, status, body))["entries"]
        return {entry["key"]: value_of(entry) for entry in entries}

    def add(self, session, epoch, partition, name, by):
        """Counts on the condition that nobody counted meanwhile, and else once more."""
        while True:
            status, etag, body = self.ask("GET", session, partition, name)
            count = int(body) + by if status == 200 else by
            condition = {"If-Match": etag} if status == 200 else {"If-None-Match": "*"}
            if status not in (200, 404):
                expect(200, status, body)
            status, _, body = self.ask("PUT", session, partition, name, epoch, condition, str(count).encode())
            if status != 412:
                expect(200, status, body)
                return count

    def set(self, session, epoch, partition, name, value):
        status, _, body = self.ask("PUT", session, partition, name, epoch, {}, value)
        expect(200, status, body)

    def remove(self, session, epoch, partition, name):
        status, _, body = self.ask("DELETE", session, partition, name, epoch)
        if status != 404:
            expect(200, status, body)

    def ask(self, method, session, partition, name=None, epoch=None, headers={}, body=None):
        path = f"/v1/sessions/{session}/partitions/{quote(partition, safe='')}"
        if name is not None:
            path += f"/{quote(name, safe='/')}"
        headers = {**self.headers, **headers}
        if epoch is not None:
            headers["Foreshift-Epoch"] = epoch
        if body is not None:
            headers["Content-Type"] = "text/plain"
        connection = getattr(self.connections, "open", None)
        if connection is None:
            connection = self.connections.open = http.client.HTTPConnection(self.host, self.port, timeout=10)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers.get("ETag"), answer.read()
        except (http.client.HTTPException, OSError):
            # http.client opens it again for the next request.
            connection.close()
            raise


def expect(status, found, body):
    """The body of an answer that is as it should be."""
    if found == 409:
        raise Fenced(body.decode(errors="replace"))
    if found // 100 != status // 100:
        raise RuntimeError(f"{found}: {body.decode(errors='replace')}")
    return body


def value_of(entry):
    if "value_base64" in entry:
        return b64decode(entry["value_base64"])
    return entry["value"].encode()
