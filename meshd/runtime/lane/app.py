"""The ASGI application that answers plain calls itself and hands everything else to FastMCP.

It decides before the call. What was executed is never executed again: an outcome that it cannot
write itself goes to FastMCP together with the request, which is answered with that outcome.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meshd.domain.spec import JsonValue
from meshd.errors import CallError
from meshd.runtime.lane.answer import CANNOT_WRITE, Answers, event
from meshd.runtime.lane.request import PlainCall, Requests
from meshd.runtime.tool import RunningTool

Call = PlainCall[RunningTool]
ErrorAnswer = Callable[[CallError], tuple[str, Mapping[str, Any] | None] | None]
"""Returns text and `_meta` of the answer to an error, or None if only FastMCP can write it."""
Settled = Callable[[RunningTool, JsonValue | CallError], ASGIApp]
"""Returns the application that answers a call with what has come of it already."""

_JSON = (b"content-type", b"application/json")
_EVENTS = [
    (b"cache-control", b"no-cache, no-transform"),
    (b"connection", b"keep-alive"),
    (b"content-type", b"text/event-stream"),
    (b"x-accel-buffering", b"no"),
]


@dataclass(frozen=True, slots=True)
class Rest:
    """FastMCP's side: the application, and how it answers a call that has been executed."""

    app: ASGIApp
    settled: Settled
    error_answer: ErrorAnswer


class Lane:
    """Answers plain calls of one agent's tools."""

    def __init__(
        self,
        requests: Requests[RunningTool],
        rest: Rest,
        server_info: Mapping[str, Any],
        max_bytes: int,
    ) -> None:
        self._requests = requests
        self._rest = rest
        self._max_bytes = max_bytes
        self._modern = Answers(server_info)
        self._older = Answers(None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._rest.app(scope, receive, send)
            return
        headers = self._requests.headers(scope)
        if headers is None:
            await self._rest.app(scope, receive, send)
            return
        message = await receive()
        if message["type"] != "http.request" or message.get("more_body", False):
            received = [message]
            while message["type"] == "http.request" and message.get("more_body", False):
                message = await receive()
                received.append(message)
                if sum(len(one.get("body", b"")) for one in received) > self._max_bytes:
                    break
            body = b"".join(one.get("body", b"") for one in received)
            if message["type"] != "http.request" or message.get("more_body", False):
                await self._rest.app(scope, replaying(received, receive), send)
                return
        else:
            body = message.get("body", b"")
        call = None if len(body) > self._max_bytes else self._requests.call(headers, body)
        if call is None or (
            call.progress_token is not None and call.tool.body.signature.mode.is_generator
        ):
            await self._rest.app(scope, replaying([_whole(body)], receive), send)
            return
        try:
            outcome = await call.tool.call(call.arguments)
        except CallError as error:
            outcome = error
        written = self._written(call, outcome)
        if written is None:
            app = self._rest.settled(call.tool, outcome)
            await app(scope, replaying([_whole(body)], receive), send)
        elif call.modern:
            head = [(b"content-length", b"%d" % len(written)), _JSON]
            await send({"type": "http.response.start", "status": 200, "headers": head})
            await send({"type": "http.response.body", "body": written})
        else:
            await send({"type": "http.response.start", "status": 200, "headers": _EVENTS})
            await send({"type": "http.response.body", "body": event(written)})

    def _written(self, call: Call, outcome: JsonValue | CallError) -> bytes | None:
        answers = self._modern if call.modern else self._older
        try:
            if not isinstance(outcome, CallError):
                return answers.result(call.id, outcome)
            said = self._rest.error_answer(outcome)
            return None if said is None else answers.error(call.id, *said)
        except CANNOT_WRITE:
            return None


def _whole(body: bytes) -> Message:
    return {"type": "http.request", "body": body, "more_body": False}


def replaying(received: list[Message], receive: Receive) -> Receive:
    """Return a `receive` that gives these messages first, and then what comes."""
    left = received[::-1]

    async def replay() -> Message:
        return left.pop() if left else await receive()

    return replay
