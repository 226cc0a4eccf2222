"""A client that is not of this project: PyPI's `websockets`.

Sends numbered messages one after the other and checks that each comes back, until a line on stdin says `stop`, or
what the node is to be told to make it close. Some are fragmented, some large, some pings. Prints which node answers
whenever that changes, `many` after a hundred messages on it, and `end` or, where it was closed, `closed`.

With `--lossy` it sends plain messages only, and goes on with the next where an echo does not come.
"""

import asyncio
import json
import sys
import threading

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

LARGE = 1 << 20
LOST_AFTER_S = 1.0


def say(**event):
    print(json.dumps(event), flush=True)


def told(loop):
    """The line that will come on stdin. Its thread does not outlive the program, as an executor's would."""
    line = loop.create_future()
    wait = lambda: loop.call_soon_threadsafe(line.set_result, sys.stdin.readline())
    threading.Thread(target=wait, daemon=True).start()
    return line


async def exchange(socket, number):
    """One message of a kind that depends on its number; the node that echoed it, where the echo says."""
    if number % 50 == 0:
        data = number.to_bytes(8, "big") * (LARGE // 8)
        await socket.send(data)
        assert await socket.recv() == data, f"large message {number} came back changed"
        return None
    if number % 10 == 0:
        await (await socket.ping(str(number)))
    if number % 7 == 0:
        await socket.send([str(number)[:1], "", str(number)[1:]])  # three fragments
    else:
        await socket.send(str(number))
    node, echoed = (await socket.recv()).split(" ")
    assert echoed == str(number), f"{echoed} came for {number}"
    return node


async def exchange_lossy(socket, number):
    """One plain message; `None` where it or its echo was lost."""
    await socket.send(str(number))
    try:
        async with asyncio.timeout(LOST_AFTER_S):
            while True:
                node, echoed = (await socket.recv()).split(" ")
                if echoed == str(number):
                    return node
    except TimeoutError:
        return None


async def talk(socket, stop, lossy):
    """Exchanges messages until it is told otherwise; the summary."""
    nodes, number, on_this_node = [], 0, 0
    while not stop.done():
        number += 1
        on_this_node += 1
        node = await (exchange_lossy if lossy else exchange)(socket, number)
        if node and node not in nodes[-1:]:
            nodes.append(node)
            on_this_node = 0
            say(event="node", node=node)
        if on_this_node == 100:
            say(event="many")
    await socket.send("headers")
    headers = json.loads(await socket.recv())
    word = stop.result().strip()
    if word != "stop":
        await socket.send(word)
        await socket.wait_closed()
    extensions = [extension.name for extension in socket.protocol.extensions]
    return {"exchanged": number, "nodes": nodes, "headers": headers, "extensions": extensions}


async def main(uri, *arguments):
    stop = told(asyncio.get_running_loop())
    headers = dict(header.split(": ", 1) for header in arguments if ": " in header)
    try:
        async with connect(uri, additional_headers=headers, max_size=None, proxy=None) as socket:
            summary = await talk(socket, stop, lossy="--lossy" in arguments)
        say(event="end", code=socket.close_code, reason=socket.close_reason, **summary)
    except ConnectionClosed:
        say(event="closed", code=socket.close_code, reason=socket.close_reason)


asyncio.run(main(*sys.argv[1:]))
