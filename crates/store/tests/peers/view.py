"""Reads and writes sessions' state with redis-py, and fails loudly where anything is not as it should be.

view.py PORT SESSION PROTOCOL
"""

import sys
import time

import redis

PORT, SESSION, PROTOCOL = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
CART, MAP = (f"{{{SESSION}}}:{partition}" for partition in ("cart", "game/map"))


def equal(found, expected):
    if found != expected:
        raise SystemExit(f"found {found!r}, expected {expected!r}")


def refused(prefix, act):
    try:
        found = act()
    except redis.ResponseError as error:
        if not str(error).startswith(prefix):
            raise
    else:
        raise SystemExit(f"not refused with {prefix}: {found!r}")


def fields(client):
    equal(client.exists(CART), 0)
    equal(client.hset(CART, mapping={"apples": 2, b"\x00\xff\r\n": b"\x00\r\n", "empty": ""}), 3)
    equal(client.hset(CART, "apples", 3), 0)
    equal(client.hgetall(CART), {b"apples": b"3", b"\x00\xff\r\n": b"\x00\r\n", b"empty": b""})
    equal(client.hmget(CART, "apples", "pears"), [b"3", None])
    equal(client.hincrby(CART, "apples", -5), -2)
    equal(client.hsetnx(CART, "apples", 9), 0)
    equal((client.hlen(CART), client.hexists(CART, "empty"), client.hstrlen(CART, "apples")), (3, True, 2))
    equal(sorted(client.hkeys(CART)), [b"\x00\xff\r\n", b"apples", b"empty"])
    equal(client.hdel(CART, "empty", "pears"), 1)
    equal(client.type(CART), b"hash")


def scan(client):
    items = {f"item/{number}".encode(): str(number).encode() for number in range(2000)}
    client.hset(MAP, mapping=items)
    equal(dict(client.hscan_iter(MAP)), items)
    equal(len(list(client.hscan_iter(MAP, match="item/1?", count=3))), 10)


def expiry(client):
    equal((client.ttl(CART), client.ttl(f"{{{SESSION}}}:none")), (-1, -2))
    equal(client.expire(CART, 100, gt=True), False)
    equal(client.expire(CART, 100), True)
    equal(client.ttl(CART) in (99, 100), True)
    equal(client.persist(CART), True)
    equal(client.pexpireat(CART, int(time.time() * 1000) + 50), True)
    until = time.monotonic() + 20
    while client.exists(CART):
        if time.monotonic() > until:
            raise SystemExit("it did not end")
    equal(client.hgetall(CART), {})


def pipeline(client):
    with client.pipeline(transaction=False) as commands:
        for number in range(1000):
            commands.hset(CART, "count", number).hget(CART, "count")
        answers = commands.execute()
    equal(answers[1::2], [str(number).encode() for number in range(1000)])
    equal(client.delete(CART, MAP), 2)
    equal((client.hgetall(CART), client.hget(MAP, "item/1")), ({}, None))


def refusals(client):
    refused("NOSESSION", lambda: client.hgetall("{" + "0" * 32 + "}:cart"))
    refused("a key is", lambda: client.hgetall("cart"))
    refused("GET is not served", lambda: client.get("cart"))
    refused("unknown command", lambda: client.lpush("cart", 1))
    refused("FENCED", lambda: client.hset(f"{{{SESSION}@1}}:cart", "a", 1))
    equal(client.exists(CART), 0)


with redis.Redis(port=PORT, protocol=PROTOCOL) as client:
    equal(client.ping(), True)
    for part in (fields, scan, expiry, pipeline, refusals):
        part(client)
