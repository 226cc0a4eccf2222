"""A node that is not of this project: PyPI's `websockets` as server, both sides of which speak all the time.

Counts from 1 on each connection, notes the numbers that it hears, and prints both when the connection has ended. Serves
the page that is its client too: `numbers.mjs` with the TypeScript client, whose bundle is the second argument.
"""

import asyncio
import http
import json
import pathlib
import sys

from websockets.asyncio.server import serve
from websockets.datastructures import Headers
from websockets.http11 import Response

NAME, BUNDLE = sys.argv[1], pathlib.Path(sys.argv[2])
LIVELY = 20
PAGE = """<!doctype html><title>Numbers</title><script type="module">
import { ForeshiftSocket } from '/client.js';
import { talk } from '/numbers.mjs';
talk(ForeshiftSocket, `ws://${location.host}/ws?user=page`, Number(new URLSearchParams(location.search).get('moves')), {});
</script>"""


def say(**event):
    print(json.dumps(event), flush=True)


def file_of(path):
    match path.partition("?")[0]:
        case "/page":
            return "text/html", PAGE
        case "/client.js":
            return "text/javascript", BUNDLE.read_text()
        case "/numbers.mjs":
            return "text/javascript", pathlib.Path(__file__).with_name("numbers.mjs").read_text()
    return "text/plain", "ok"


def get(connection, request):
    if request.path.partition("?")[0] == "/ws":
        return None
    kind, body = file_of(request.path)
    headers = Headers([("Content-Type", kind), ("Content-Length", str(len(body.encode()))), ("Connection", "close")])
    return Response(http.HTTPStatus.OK.value, "OK", headers, body.encode())


class Stint:
    """One connection."""

    def __init__(self, socket):
        self.socket, self.sent, self.heard, self.lively = socket, 0, [], False

    async def speak(self):
        while True:
            await self.socket.send(f"{NAME} {self.sent + 1}")
            self.sent += 1
            self.look()
            await asyncio.sleep(0.001)

    def look(self):
        if self.sent >= LIVELY and len(self.heard) >= LIVELY and not self.lively:
            self.lively = True
            say(event="lively")

    async def serve(self):
        speaking = asyncio.create_task(self.speak())
        try:
            async for message in self.socket:
                if message == "enough":
                    speaking.cancel()
                    await self.socket.send(f"{NAME} last")
                elif message.startswith("report "):
                    say(event="report", report=json.loads(message.removeprefix("report ")))
                else:
                    self.heard.append(int(message))
        finally:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)
            say(event="stint", node=NAME, sent=self.sent, first=self.heard[0], last=self.heard[-1], wrong=self.gaps())

    def gaps(self):
        return [now for before, now in zip(self.heard, self.heard[1:]) if now != before + 1]


async def main():
    async def stint(socket):
        await Stint(socket).serve()

    async with serve(stint, "127.0.0.1", 0, process_request=get, subprotocols=["numbers"]) as server:
        say(event="listening", port=server.sockets[0].getsockname()[1])
        await asyncio.get_running_loop().create_future()


asyncio.run(main())
