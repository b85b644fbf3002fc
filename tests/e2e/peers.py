"""Providers that a test scripts: what they are asked is kept, what they answer is said before."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BREAK = object()
"""As an answer: the connection is closed after the request was read."""

Answer = Callable[[int], Any]
"""Returns the answer to the request of that number, from 1: a JSON value, `BREAK`, or a `Said`."""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer as it goes over the wire."""

    body: bytes
    status: int = 200
    kind: str = "application/json"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that a provider received."""

    id: int | str
    headers: dict[str, str]
    params: dict[str, Any]


@dataclass
class Peer:
    """A provider; its tools answer their own arguments unless a script says otherwise."""

    port: int = 0
    asked: dict[str, list[Asked]] = field(default_factory=dict[str, list[Asked]])
    answers: dict[str, Answer] = field(default_factory=dict[str, Answer])

    def of(self, tool: str) -> list[Asked]:
        """Return what a tool was asked so far."""
        return self.asked.get(tool, [])


@contextlib.contextmanager
def running_peer() -> Generator[Peer]:
    """Serve a provider while the block runs."""
    peer = Peer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            params = body["params"]
            asked = peer.asked.setdefault(params["name"], [])
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked.append(Asked(body["id"], headers, params))
            answer = peer.answers.get(params["name"])
            value = params["arguments"] if answer is None else answer(len(asked))
            if value is BREAK:
                self.close_connection = True
                return
            said = value if isinstance(value, Said) else result(body["id"], value)
            self.send_response(said.status)
            self.send_header("content-type", said.kind)
            self.send_header("content-length", str(len(said.body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(said.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        peer.port = server.server_address[1]
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        try:
            yield peer
        finally:
            server.shutdown()
            serving.join()


def result(number: object, value: Any) -> Said:
    """Return the answer with a result."""
    said: dict[str, Any] = {
        "content": [],
        "structuredContent": {"result": value},
        "isError": False,
        "resultType": "complete",
        "_meta": {"fastmcp": {"wrap_result": True}},
    }
    return Said(json.dumps({"jsonrpc": "2.0", "id": number, "result": said}).encode())


def failure(number: object, text: str) -> Said:
    """Return the answer of a tool that raised."""
    said = {"content": [{"type": "text", "text": text}], "isError": True, "resultType": "complete"}
    return Said(json.dumps({"jsonrpc": "2.0", "id": number, "result": said}).encode())


def after(seconds: float, value: Any) -> Answer:
    """Return a script that answers late."""

    def answer(_: int) -> Any:
        time.sleep(seconds)
        return value

    return answer
