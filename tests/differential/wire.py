"""HTTP requests as values, and what an ASGI application answers to them, without sockets."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.types import ASGIApp, Message

Header = tuple[bytes, bytes]
PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `chunks` are the pieces in which its body arrives."""

    headers: tuple[Header, ...] = ()
    chunks: tuple[bytes, ...] = (b"",)
    method: str = "POST"
    path: str = "/mcp"
    query: bytes = b""

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def with_header(self, name: bytes, *values: bytes) -> "Request":
        """Return the request with these values of a header instead of the ones it has."""
        kept = tuple(one for one in self.headers if one[0] != name)
        return replace(self, headers=(*kept, *((name, value) for value in values)))

    def __str__(self) -> str:
        lines = [f"{self.method} {self.path}{'?' if self.query else ''}{self.query.decode()}"]
        lines += [f"{name.decode()}: {value!r}" for name, value in self.headers]
        return "\n".join([*lines, "", *(repr(chunk[:2_000]) for chunk in self.chunks)])


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `failure` says what kept it from being an answer."""

    status: int = 0
    headers: tuple[Header, ...] = ()
    body: bytes = b""
    failure: str = ""
    by_starlette: bool = field(default=False, compare=False)
    """Whether FastMCP's application has seen the request: it leaves its mark in the scope."""

    def header(self, name: bytes) -> bytes | None:
        return next((value for other, value in self.headers if other == name), None)


class Exchange:
    """One request on its way through an application, and the answer as it comes."""

    def __init__(self, request: Request, leaves_after: int = 0) -> None:
        """`leaves_after` is how many messages of the answer the client takes before it leaves."""
        self._leaves_after = leaves_after
        self.scope = scope_of(request)
        self._pending = list(request.chunks)
        self._gone = asyncio.Event()
        self._start: Message = {}
        self._body: list[bytes] = []
        self._ended = False
        self.failure = ""

    async def receive(self) -> Message:
        if self._pending:
            chunk = self._pending.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(self._pending)}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self._leaves_after -= 1
        if self._leaves_after == 0:
            self.leave()
        if message["type"] == "http.response.start":
            self._start = self._start or message
        else:
            self._body.append(message.get("body", b""))
            if not message.get("more_body", False):
                self._ended = True
                self.leave()

    def leave(self) -> None:
        """Go away, as a client that waits no longer."""
        self._gone.set()

    def answer(self) -> Answer:
        if not self.failure and not self._ended:
            self.failure = "the answer has no end"
        headers = [(bytes(n).lower(), bytes(v)) for n, v in self._start.get("headers", ())]
        status = self._start.get("status", 0)
        body = b"".join(self._body)
        return Answer(status, tuple(headers), body, self.failure, "app" in self.scope)


def scope_of(request: Request) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 50_000),
        "scheme": "http",
        "method": request.method,
        "root_path": "",
        "path": request.path,
        "raw_path": request.path.encode(),
        "query_string": request.query,
        "headers": list(request.headers),
        "state": {},
    }


async def asked(app: ASGIApp, request: Request) -> Answer:
    """Return what the application answers."""
    exchange = Exchange(request)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await app(exchange.scope, exchange.receive, exchange.send)
    except TimeoutError:
        exchange.failure = "no answer in time"
    # What an application raises is its answer to the server: it must be the same.
    except Exception as error:  # noqa: BLE001
        exchange.failure = f"raised {type(error).__name__}"
    return exchange.answer()
