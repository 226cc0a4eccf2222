"""What the ingress brings before a session moves here: PUT {replay_path}/{session}/{partition}, in the format "entries".

A line of JSON for the partition, then for each key a line of JSON and the bytes of its value. `since` 0 is all that there is; else what
changed after that version, for who holds it.
"""

import json
import threading
from base64 import b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import unquote, unquote_to_bytes

SESSIONS_MAX = 10_000


class Refused(Exception):
    def __init__(self, status):
        super().__init__(status)
        self.status = status


@dataclass
class Held:
    version: int
    values: dict = field(default_factory=dict)


class Replay:
    """Copies of partitions, of the sessions that came last."""

    def __init__(self):
        self.lock = threading.Lock()
        # Each with the reign in which it was brought, and its partitions by name.
        self.sessions = {}

    def held(self, session, partition):
        with self.lock:
            return self.sessions.get(session, (0, {}))[1].get(partition)

    def take(self, path, headers, body):
        """Keeps what was brought, and says what that was: the digest of the bytes as they came."""
        session, _, partition = path.partition("/")
        partition = unquote(partition)
        entries = plain(headers, body)
        with self.lock:
            _, partitions = self.sessions.pop(session, (0, {}))
            self.sessions[session] = (int(headers.get("Foreshift-Epoch", 0)), partitions)
            partitions[partition] = applied(partitions.get(partition), partition, entries)
            while len(self.sessions) > SESSIONS_MAX:
                del self.sessions[next(iter(self.sessions))]
        return f"sha-256=:{b64encode(sha256(body).digest()).decode()}:"

    def forget(self, session, epoch):
        """The session moved on in this reign, if it did not come back since: what is held of it is old from now on."""
        with self.lock:
            if self.sessions.get(session, (0, {}))[0] <= epoch:
                self.sessions.pop(session, None)


def plain(headers, body):
    encoding = headers.get("Content-Encoding", "identity")
    if encoding == "identity":
        return body
    if encoding == "zstd":
        try:
            from compression import zstd  # Python 3.14
        except ImportError:
            raise Refused(415) from None
        return zstd.decompress(body)
    raise Refused(415)


def applied(before, partition, body):
    """What there is after `body`; asks for all of it where it tells changes of something that is not held."""
    at, head = line(body, 0)
    if head.get("partition") != partition:
        raise Refused(422)
    since = head["since"]
    if since and (before is None or before.version != since):
        raise Refused(412)
    after = Held(head["version"], dict(before.values) if since else {})
    while at < len(body):
        at, entry = line(body, at)
        key = unquote_to_bytes(entry["key"])
        if entry.get("removed"):
            after.values.pop(key, None)
        else:
            end = at + entry["length"]
            if end > len(body):
                raise Refused(422)
            after.values[key] = body[at:end]
            at = end
    return after


def line(body, at):
    end = body.find(b"\n", at)
    if end < 0:
        raise Refused(422)
    try:
        return end + 1, json.loads(body[at:end])
    except ValueError:
        raise Refused(422) from None
