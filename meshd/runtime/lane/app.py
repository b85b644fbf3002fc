"""The ASGI application that answers plain calls itself and hands everything else to FastMCP.

It decides before the call. What was executed is never executed again: an outcome that it cannot
write itself goes to FastMCP together with the request, which is answered with that outcome.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meshd.domain.spec import JsonValue
from meshd.errors import CallError
from meshd.runtime.components import (
    chunk_text,
    error_answer,
    settled,
    timed_out,
    wants_json,
)
from meshd.runtime.context import current_call
from meshd.runtime.front import Entrance, body_of, received_until, refuse, replaying
from meshd.runtime.inbound import traced
from meshd.runtime.lane.answer import CANNOT_WRITE, Answers, event, progress_event
from meshd.runtime.lane.exchange import EVENTS, ClientGone, Exchange, OutOfTime
from meshd.runtime.lane.request import PlainCall, Requests
from meshd.runtime.tool import OnChunk, RunningTool

Outcome = JsonValue | CallError

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
        self._heard = entrance.inbound.names
        self._is_locked = bool(entrance.doors.locked)
        self._clock = entrance.clock
        self._max_bytes = entrance.max_bytes
        self._modern = Answers(server_info)
        self._older = Answers(None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = self._requests.headers(scope) if scope["type"] == "http" else None
        if headers is None:
            await self._rest(scope, receive, send)
            return
        first = await receive()
        if first["type"] == "http.request" and not first.get("more_body", False):
            received = [first]
        else:
            received = await received_until(receive, self._max_bytes, first)
            if received[-1]["type"] == "http.disconnect":
                return
        call = self._call(headers, received)
        if call is None:
            await self._rest(scope, replaying(received, receive), send)
            return
        wire = Wire(scope, received, receive, send)
        if call.has_trace or self._is_locked or not self._heard.isdisjoint(headers):
            await self._serve_in_context(headers, call, wire)
        else:
            await self._serve(call, wire)

    def _call(self, headers: Mapping[bytes, bytes], received: list[Message]) -> Call | None:
        last = received[-1]
        if last.get("more_body", False):
            return None
        body = last.get("body", b"") if len(received) == 1 else body_of(received)
        return None if len(body) > self._max_bytes else self._requests.call(headers, body)

    async def _serve_in_context(
        self, headers: Mapping[bytes, bytes], call: Call, wire: "Wire"
    ) -> None:
        context = self._inbound.context(headers, self._clock.monotonic())
        context = traced(context, call.meta)
        if self._is_locked:
            context = self._doors.entered(context, headers.get(b"authorization"))
            if call.tool.is_locked and call.tool.running.name not in context.opened:
                await refuse(wire.send)
                return
        left = None
        if context.deadline is not None:
            left = context.deadline - self._clock.monotonic()
            if left <= 0:
                await self._reply(call, timed_out(call.tool.running), wire, streams=False)
                return
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
        work = tool.running.call(call.arguments, on_chunk=on_chunk)
        try:
            # A call that need not wait ends in its first step, and needs no more than that.
            try:
                awaited = work.send(None)
            except StopIteration as end:
                outcome = end.value
            else:
                exchange = exchange or wire.exchange(call, seconds_left)
                outcome = await exchange.outcome(work, awaited)
        except CallError as error:
            outcome = error
        except OutOfTime:
            outcome = timed_out(tool.running)
        except ClientGone:
            return
        await self._reply(call, outcome, wire, streams=exchange is not None and exchange.streams)

    async def _reply(self, call: Call, outcome: Outcome, wire: "Wire", *, streams: bool) -> None:
        written = self._written(call, outcome)
        if written is None:
            app = settled(self._rest, call.tool.running, outcome)
            send = Rewritten(wire.send).take if streams else wire.send
            await app(wire.scope, replaying(wire.received, wire.receive), send)
        elif streams:
            await wire.send({"type": "http.response.body", "body": event(written)})
        elif call.modern:
            head = [(b"content-length", b"%d" % len(written)), _JSON]
            await wire.send({"type": "http.response.start", "status": 200, "headers": head})
            await wire.send({"type": "http.response.body", "body": written})
        else:
            await wire.send({"type": "http.response.start", "status": 200, "headers": EVENTS})
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

    def exchange(self, call: Call, seconds_left: float | None) -> Exchange:
        """Begin to serve a call that takes longer than a moment."""
        is_event_stream = not call.modern
        return Exchange(self.receive, self.send, seconds_left, is_event_stream=is_event_stream)


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
