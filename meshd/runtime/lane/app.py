"""The ASGI application that answers plain calls itself and hands everything else to FastMCP.

It decides before the call. What was executed is never executed again: an outcome that it cannot
write itself goes to FastMCP together with the request, which is answered with that outcome.
"""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meshd.domain.spec import JsonValue
from meshd.errors import CallError
from meshd.runtime.components import error_answer, settled
from meshd.runtime.context import CallContext, current_call
from meshd.runtime.front import Entrance, body_of, received_until, refuse, replaying
from meshd.runtime.http import WHOLE_ANSWER
from meshd.runtime.inbound import traced
from meshd.runtime.lane.answer import CANNOT_WRITE, Answers, event, progress_event
from meshd.runtime.lane.exchange import EVENTS, ClientGone, Exchange, OutOfTime
from meshd.runtime.lane.request import Heads, PlainCall, Requests
from meshd.runtime.replies import chunk_text, timed_out, wants_json
from meshd.runtime.tool import OnChunk, RunningTool

Outcome = JsonValue | CallError

NOBODY = object()
"""Comes of a call for which nobody waits any more."""

_JSON = (b"content-type", b"application/json")


@dataclass(frozen=True, slots=True)
class CompiledTool:
    """What the lane must know of a tool at each call."""

    running: RunningTool
    has_chunks: bool
    is_locked: bool


Call = PlainCall[CompiledTool]


class Lane:
    """Answers plain calls of one agent's tools."""

    def __init__(
        self,
        requests: Requests[CompiledTool],
        rest: ASGIApp,
        entrance: Entrance,
        server_info: Mapping[str, Any],
    ) -> None:
        self._requests = requests
        self._rest = rest
        self._doors = entrance.doors
        self._inbound = entrance.inbound
        self._clock = entrance.clock
        self._max_bytes = entrance.max_bytes
        self._modern = Answers(server_info)
        self._older = Answers(None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        heads = self._requests.heads(scope) if scope["type"] == "http" else None
        if heads is None:
            await self._rest(scope, receive, send)
            return
        received = [await receive()]
        if received[0].get("more_body", False):
            received = await received_until(receive, self._max_bytes, received[0])
        if received[-1]["type"] == "http.disconnect":
            return
        call = self._call(heads, received)
        if call is None:
            await self._rest(scope, replaying(received, receive), send)
            return
        wire = Wire(scope, received, receive, send)
        if not heads.is_bare or call.has_trace or call.tool.is_locked:
            await self._serve_in_context(heads, call, wire)
        else:
            await self._serve(call, wire)

    def _call(self, heads: Heads[CompiledTool], received: list[Message]) -> Call | None:
        last = received[-1]
        if last.get("more_body", False):
            return None
        body = last.get("body", b"") if len(received) == 1 else body_of(received)
        return None if len(body) > self._max_bytes else self._requests.call(heads, body)

    async def _serve_in_context(self, heads: Heads[CompiledTool], call: Call, wire: "Wire") -> None:
        now = self._clock.monotonic()
        if heads.seconds_left is None:
            context = self._inbound.context(heads.headers, now)
        else:
            context = CallContext(deadline=now + heads.seconds_left)
        context = traced(context, call.meta)
        if self._doors.locked:
            context = self._doors.entered(context, heads.headers.get(b"authorization"))
            if call.tool.is_locked and call.tool.running.name not in context.opened:
                await refuse(wire.send)
                return
        left = None
        if context.deadline is not None:
            left = context.deadline - self._clock.monotonic()
        token = current_call.set(context)
        try:
            await self._serve(call, wire, left)
        finally:
            current_call.reset(token)

    async def _serve(self, call: Call, wire: "Wire", seconds_left: float | None = None) -> None:
        tool = call.tool
        exchange = None
        on_chunk = None
        if tool.has_chunks and call.progress_token is not None:
            exchange = wire.exchange(call, seconds_left)
            on_chunk = progress_of(call.progress_token, call.meta, exchange)
        work = (
            tool.running.call(call.arguments, on_chunk=on_chunk)
            if seconds_left is None or seconds_left > 0
            else too_late(tool.running)
        )
        # A call that need not wait ends in its first step, and needs no more than that.
        try:
            awaited = work.send(None)
        except StopIteration as end:
            outcome = end.value
        except CallError as error:
            outcome = error
        else:
            exchange = exchange or wire.exchange(call, seconds_left)
            outcome = await self._awaited(tool.running, exchange.outcome(work, awaited))
            if outcome is NOBODY:
                return
        written = self._written(call, outcome)
        if exchange is not None and exchange.streams:
            await self._end_stream(call, outcome, written, wire)
        elif written is None:
            app = settled(self._rest, tool.running, outcome)
            await app(wire.scope, replaying(wire.received, wire.receive), wire.send)
        elif call.modern:
            if not wire.answer_at_once(written):
                await wire.answer([(b"content-length", b"%d" % len(written)), _JSON], written)
        else:
            await wire.answer(EVENTS, event(written))

    async def _awaited(self, tool: RunningTool, outcome: Awaitable[JsonValue]) -> Outcome:
        """Return what comes of a call that waits, or `NOBODY` if nobody waits for it."""
        try:
            return await outcome
        except CallError as error:
            return error
        except OutOfTime:
            return timed_out(tool)
        except ClientGone:
            return NOBODY

    async def _end_stream(
        self, call: Call, outcome: Outcome, written: bytes | None, wire: "Wire"
    ) -> None:
        if written is None:
            app = settled(self._rest, call.tool.running, outcome)
            sending = Rewritten(wire.send).take
            await app(wire.scope, replaying(wire.received, wire.receive), sending)
        else:
            await wire.send({"type": "http.response.body", "body": event(written)})

    def _written(self, call: Call, outcome: Outcome) -> bytes | None:
        answers = self._modern if call.modern else self._older
        try:
            if not isinstance(outcome, CallError):
                return answers.result(call.id, outcome)
            said = error_answer(outcome)
            return None if said is None else answers.error(call.id, *said)
        except CANNOT_WRITE:
            return None


@dataclass(slots=True)
class Wire:
    """One request as ASGI brings it."""

    scope: Scope
    received: list[Message]
    receive: Receive
    send: Send

    def answer_at_once(self, body: bytes) -> bool:
        """Answer with JSON, if the server has a quick way to do so that can be taken now."""
        extensions = self.scope.get("extensions")
        answer = extensions.get(WHOLE_ANSWER) if extensions else None
        return answer is not None and answer(body)

    async def answer(self, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Answer as ASGI does."""
        await self.send({"type": "http.response.start", "status": 200, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def exchange(self, call: Call, seconds_left: float | None) -> Exchange:
        """Begin to serve a call that takes longer than a moment."""
        is_event_stream = not call.modern
        return Exchange(self.receive, self.send, seconds_left, is_event_stream=is_event_stream)


async def too_late(tool: RunningTool) -> JsonValue:
    """Take the place of a call whose time is over before it begins."""
    raise timed_out(tool)


def progress_of(token: int | str, meta: Mapping[str, Any], exchange: Exchange) -> OnChunk:
    """Return a function that sends chunks as progress."""
    is_json = wants_json(meta)

    async def on_chunk(number: int, chunk: JsonValue) -> None:
        text = chunk_text(chunk, meta)
        await exchange.send_event(progress_event(token, number, text, is_json=is_json))

    return on_chunk


class Rewritten:
    """Sends FastMCP's answer as the last event of a stream that has begun already."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._is_stream = False
        self._body = b""

    async def take(self, message: Message) -> None:
        """Take one message of the answer."""
        if message["type"] == "http.response.start":
            self._is_stream = (b"content-type", b"text/event-stream") in message["headers"]
            return
        self._body += message.get("body", b"")
        if not message.get("more_body", False):
            body = self._body if self._is_stream else event(self._body)
            await self._send({"type": "http.response.body", "body": body})
