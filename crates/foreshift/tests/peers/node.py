"""A node that is not of this project: PyPI's `websockets` as server.

Serves WebSockets, and by GET a page and its own health, on a port that it prints. Knows nothing of Foreshift:
it echoes each message behind its name, and answers `headers` with the request's headers.
"""

import asyncio
import http
import json
import sys

from websockets.asyncio.server import serve
from websockets.datastructures import Headers
from websockets.http11 import Response

PAGE = """<!doctype html><title>Echo</title><script>
// Sends the next number when the last one came back; reports when another node has answered ten of them.
const nodes = [], wrong = [];
let number = 0, byLastNode = 0;
const socket = new WebSocket(`ws://${location.host}/ws`);
const next = () => socket.send(String(++number));
socket.onopen = next;
socket.onmessage = (event) => {
  const [node, echoed] = event.data.split(' ');
  if (node !== nodes.at(-1)) { nodes.push(node); byLastNode = 0; }
  if (echoed !== String(number)) wrong.push(event.data);
  if (nodes.length > 1 && ++byLastNode === 10) {
    socket.send('report ' + JSON.stringify({nodes, wrong, extensions: socket.extensions}));
  } else {
    next();
  }
};
socket.onclose = (event) => fetch(`/closed?code=${event.code}`);
</script>"""


def say(**event):
    print(json.dumps(event), flush=True)


async def main(name):
    def get(connection, request):
        path = request.path.partition("?")[0]
        if path == "/closed":
            say(event="closed", path=request.path)
        if path == "/ws":
            return None
        page = path == "/page"
        body = PAGE if page else json.dumps({"node": name, "headers": dict(request.headers.raw_items())})
        kind = "text/html" if page else "application/json"
        headers = Headers([("Content-Type", kind), ("Content-Length", str(len(body))), ("Connection", "close")])
        return Response(http.HTTPStatus.OK.value, "OK", headers, body.encode())

    async def echo(socket):
        say(event="open", headers=dict(socket.request.headers.raw_items()))
        async for message in socket:
            if isinstance(message, bytes):
                await socket.send(message)
            elif message == "headers":
                await socket.send(json.dumps(dict(socket.request.headers.raw_items())))
            elif message.startswith("report "):
                say(event="report", report=json.loads(message.removeprefix("report ")))
            elif message == "close 4001":
                await socket.close(4001, "as asked")
            else:
                await socket.send(f"{name} {message}")
        say(event="close", code=socket.close_code)

    async with serve(echo, "127.0.0.1", 0, process_request=get, max_size=None) as server:
        say(event="listening", port=server.sockets[0].getsockname()[1])
        await asyncio.get_running_loop().create_future()


asyncio.run(main(sys.argv[1]))
