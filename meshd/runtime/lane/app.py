"""The ASGI application that answers plain calls itself and hands everything else to FastMCP.

It decides before the call. What was executed is never executed again: an outcome that it cannot
write itself goes to FastMCP together with the request, which is answered with that outcome.
"""

from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meshd.domain.spec import JsonValue
from meshd.errors import CallError
from meshd.runtime.components import chunk_text, error_answer, settled, timed_out
from meshd.runtime.context import CallContext, current_call
from meshd.runtime.front import Entrance, body_of, received_until, refuse, replaying
from meshd.runtime.inbound import traced
from meshd.runtime.lane.answer import CANNOT_WRITE, Answers, event, progress_event
from meshd.runtime.lane.exchange import EVENTS, ClientGone, Exchange, OutOfTime
from meshd.runtime.lane.request import PlainCall, Requests
from meshd.runtime.tool import OnChunk, RunningTool

Call = PlainCall[RunningTool]
Outcome = JsonValue | CallError

_JSON = (b"content-type", b"application/json")


class Lane:
    """Answers plain calls of one agent's tools."""

    def __init__(
        self,
        requests: Requests[RunningTool],
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
        headers = self._requests.headers(scope) if scope["type"] == "http" else None
        if headers is None:
            await self._rest(scope, receive, send)
            return
        first = await receive()
        if first["type"] == "http.request" and not first.get("more_body", False):
            received = [first]
            body = first.get("body", b"")
        else:
            received = await received_until(receive, self._max_bytes, first)
            body = body_of(received)
        call = None
        if len(body) <= self._max_bytes and received[-1]["type"] == "http.request":
            call = self._requests.call(headers, body)
        if call is None:
            await self._rest(scope, replaying(received, receive), send)
            return
        context = self._context(headers, call)
        if call.tool.name in self._doors.locked and call.tool.name not in context.opened:
            await refuse(send)
            return
        token = current_call.set(context)
        try:
            exchange = Exchange(receive, send, self._seconds_left(context))
            outcome = await self._outcome(call, exchange)
            if not await self._answer(call, outcome, exchange, send):
                app = settled(self._rest, call.tool, outcome)
                sending = Rewritten(exchange).send if exchange.streams else send
                await app(scope, replaying([_whole(body)], receive), sending)
        except ClientGone:
            return
        finally:
            current_call.reset(token)

    def _context(self, headers: Mapping[bytes, bytes], call: Call) -> CallContext:
        context = self._inbound.context(headers, self._clock.monotonic())
        context = traced(context, call.meta)
        if self._doors.locked:
            context = self._doors.entered(context, headers.get(b"authorization"))
        return context

    def _seconds_left(self, context: CallContext) -> float | None:
        if context.deadline is None:
            return None
        return context.deadline - self._clock.monotonic()

    async def _outcome(self, call: Call, exchange: Exchange) -> Outcome:
        tool = call.tool
        try:
            if call.progress_token is None or not tool.body.signature.mode.is_generator:
                return await exchange.outcome(tool.call(call.arguments))
            on_chunk = self._progress(call, call.progress_token, exchange)
            return await exchange.outcome(tool.call(call.arguments, on_chunk=on_chunk))
        except OutOfTime:
            return timed_out(tool)
        except CallError as error:
            return error

    async def _answer(self, call: Call, outcome: Outcome, exchange: Exchange, send: Send) -> bool:
        """Send the answer, unless only FastMCP can write it."""
        written = self._written(call, outcome)
        if written is None:
            return False
        if exchange.streams:
            await exchange.finish(event(written))
            return True
        if call.modern:
            head = [(b"content-length", b"%d" % len(written)), _JSON]
        else:
            head = EVENTS
            written = event(written)
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": written})
        return True

    def _written(self, call: Call, outcome: Outcome) -> bytes | None:
        answers = self._modern if call.modern else self._older
        try:
            if not isinstance(outcome, CallError):
                return answers.result(call.id, outcome)
            said = error_answer(outcome)
            return None if said is None else answers.error(call.id, *said)
        except CANNOT_WRITE:
            return None

    def _progress(self, call: Call, token: int | str, exchange: Exchange) -> OnChunk:
        async def on_chunk(number: int, chunk: JsonValue) -> None:
            text = chunk_text(chunk, call.meta)
            await exchange.send_event(progress_event(token, number, text))

        return on_chunk


class Rewritten:
    """Sends FastMCP's answer as the last event of a stream that has begun already."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._is_stream = False
        self._body = b""

    async def send(self, message: Message) -> None:
        """Take one message of the answer."""
        if message["type"] == "http.response.start":
            self._is_stream = (b"content-type", b"text/event-stream") in message["headers"]
            return
        self._body += message.get("body", b"")
        if not message.get("more_body", False):
            written = self._body if self._is_stream else event(self._body)
            await self._exchange.finish(written)


def _whole(body: bytes) -> Message:
    return {"type": "http.request", "body": body, "more_body": False}
