"""Where the shop keeps its state: over HTTP or over the Redis view, with the same methods.

A partition is a mapping of names to bytes. `epoch` is what the request's Foreshift-Epoch said, or None.
"""

from urllib.parse import urlsplit


class Fenced(Exception):
    """Another node serves the session now: what this one writes is not taken any more."""


def open_state(url, node, token, replay):
    parts = urlsplit(url)
    if parts.scheme == "http":
        from state_http import HttpState

        return HttpState(parts.hostname, parts.port, node, token, replay)
    if parts.scheme == "redis":
        from state_redis import RedisState

        return RedisState(parts.hostname, parts.port, node, token)
    raise SystemExit(f"--state {url}: give http://HOST:PORT or redis://HOST:PORT")
