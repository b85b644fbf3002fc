"""One agent's applications, asked without sockets: with the lane in front, and FastMCP alone."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message

from meshd.clock import Clock, SystemClock
from meshd.domain.signature import Mode
from meshd.domain.spec import DEFAULT_MAX_REQUEST_BYTES, ToolSpec
from meshd.plan.model import AgentPlan, ToolPlan
from meshd.runtime.agent import Parts, RunningAgent
from meshd.runtime.server import Applications
from meshd.runtime.workers import Workers
from tests.runtime.fakes import FakeBody

META: dict[str, Any] = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
OUTER = [
    (b"host", b"127.0.0.1:8000"),
    (b"accept", b"application/json, text/event-stream"),
    (b"content-type", b"application/json"),
]


@dataclass
class Question:
    """One request, and what its client does."""

    headers: list[tuple[bytes, bytes]]
    chunks: list[bytes]
    path: str = "/mcp"
    verb: str = "POST"
    leaves: asyncio.Event = field(default_factory=asyncio.Event)

    def scope(self) -> dict[str, Any]:
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.verb,
            "path": self.path,
            "raw_path": self.path.encode(),
            "root_path": "",
            "scheme": "http",
            "query_string": b"",
            "headers": list(self.headers),
            "client": ("127.0.0.1", 5),
            "server": ("127.0.0.1", 8000),
        }

    def with_headers(self, *more: tuple[bytes, bytes], without: bytes = b"") -> "Question":
        kept = [line for line in self.headers if line[0] != without]
        return Question([*kept, *more], self.chunks, self.path, self.verb)


@dataclass
class Reply:
    """What an application sent, and whether FastMCP has seen the request."""

    messages: list[Message] = field(default_factory=list[Message])
    by_fastmcp: bool = False

    @property
    def status(self) -> int:
        return self.messages[0]["status"]

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages[1:])

    @property
    def events(self) -> list[Any]:
        lines = self.body.decode().split("\r\n")
        return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]

    @property
    def json(self) -> Any:
        kind = self.headers[b"content-type"]
        return self.events[-1] if kind == b"text/event-stream" else json.loads(self.body)

    @property
    def result(self) -> Any:
        return self.json["result"]

    @property
    def answer(self) -> tuple[int, bytes, Any]:
        """All that the two ways must have in common."""
        return self.status, self.headers.get(b"content-type", b""), self.json


async def asked(
    app: ASGIApp, question: Question, on_message: Callable[[Message], None] | None = None
) -> Reply:
    """Ask one application; a client that `leaves` disconnects."""
    reply = Reply()
    chunks = list(question.chunks)
    scope = question.scope()

    async def receive() -> Message:
        if chunks:
            body = chunks.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(chunks)}
        await question.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        reply.messages.append(message)
        if on_message is not None:
            on_message(message)

    await app(scope, receive, send)
    reply.by_fastmcp = "app" in scope
    return reply


def newer(tool: str = "tool", arguments: Any = None, *, number: Any = 1, **meta: Any) -> Question:
    """Return a call in the form of the 2026-07-28 revision."""
    params = {"name": tool, "arguments": arguments or {}, "_meta": {**META, **meta}}
    headers = [
        *OUTER,
        (b"mcp-protocol-version", b"2026-07-28"),
        (b"mcp-method", b"tools/call"),
        (b"mcp-name", tool.encode()),
    ]
    return Question(headers, [message_of(params, number)])


def older(
    tool: str = "tool", arguments: Any = None, *, number: Any = 1, version: str = "", **meta: Any
) -> Question:
    """Return a call in the form before that, without a session."""
    params = {"name": tool, "arguments": arguments or {}} | ({"_meta": meta} if meta else {})
    said = [(b"mcp-protocol-version", version.encode())] if version else []
    return Question([*OUTER, *said], [message_of(params, number)])


def message_of(params: Any, number: Any = 1, **more: Any) -> bytes:
    message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params, **more}
    return json.dumps(message).encode()


@contextlib.asynccontextmanager
async def agent_apps(
    *functions: Callable[..., Any],
    mode: Mode = Mode.ASYNC,
    tokens: Mapping[str, str] | None = None,
    max_bytes: int = DEFAULT_MAX_REQUEST_BYTES,
    clock: Clock | None = None,
    spec: Mapping[str, Any] | None = None,
    **more: Any,
) -> AsyncGenerator[Applications, None]:
    """Run an agent whose tools are these functions, by their names."""
    bodies = {one.__name__: FakeBody(one, mode, **more) for one in functions}
    tools = tuple(
        ToolPlan(
            spec=ToolSpec(callable=f"m:{name}", name=name, **(spec or {})),
            signature=body.signature,
        )
        for name, body in bodies.items()
    )
    plan = AgentPlan(name="here", tools=tools, max_request_bytes=max_bytes)
    parts = Parts(bodies=bodies, tokens=tokens or {})
    workers = Workers()
    agent = RunningAgent(plan, "here-1", parts, {}, workers, clock or SystemClock())
    async with agent.applications(("127.0.0.1",), clock or SystemClock()) as apps:
        yield apps
    workers.close()
