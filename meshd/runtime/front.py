"""What stands in front of an agent's tools: bearer tokens, and the context of each request.

A tool with a token of its own answers nobody who does not send it. That is decided three times,
so that no difference between parsers gets around it: here, by the lane, and by the tool itself.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from pydantic_core import from_json
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meshd.clock import Clock
from meshd.runtime.context import ANONYMOUS, NOTHING, CallContext, current_call
from meshd.runtime.inbound import Inbound

_AUTHORIZATION = frozenset({b"authorization"})
_REFUSED = b'{"error":"invalid_token","error_description":"the tool demands a token"}'


class Doors:
    """The tokens of one agent's tools."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        """Open the tools that are named to who sends their token."""
        opens: dict[bytes, set[str]] = {}
        for tool, token in tokens.items():
            opens.setdefault(token.encode(), set()).add(tool)
        self._opens = {token: frozenset(tools) for token, tools in opens.items()}
        self._principals = {
            token: f"token:{hashlib.sha256(token).hexdigest()[:16]}" for token in opens
        }
        self.locked = frozenset(tokens)
        """The tools that have a token."""

    def entered(self, context: CallContext, authorization: bytes | None) -> CallContext:
        """Return the context of who sends the header: with what it opens, and as whom."""
        token = bearer(authorization)
        opened, principal = NOTHING, ANONYMOUS
        # All are compared, so that the time tells nothing.
        for known, tools in self._opens.items():
            if token is not None and hmac.compare_digest(known, token):
                opened, principal = tools, self._principals[known]
        return replace(context, principal=principal, opened=opened) if opened else context


def bearer(authorization: bytes | None) -> bytes | None:
    """Return the token of an `Authorization` header, if it is of that kind."""
    if authorization is None or authorization[:7].lower() != b"bearer ":
        return None
    return authorization[7:].strip(b" \t")


@dataclass(frozen=True, slots=True)
class Entrance:
    """What is asked of each request before its call: how large, from whom, and in what context."""

    doors: Doors
    inbound: Inbound
    clock: Clock
    max_bytes: int

    @property
    def heard(self) -> frozenset[bytes]:
        """The headers that make the context of a call."""
        return self.inbound.names | _AUTHORIZATION if self.doors.locked else self.inbound.names


class Front:
    """Stands between FastMCP's check of hosts and its tools."""

    def __init__(self, app: ASGIApp, entrance: Entrance) -> None:
        self._app = app
        self._doors = entrance.doors
        self._inbound = entrance.inbound
        self._clock = entrance.clock
        self._max_bytes = entrance.max_bytes
        self._wanted = entrance.heard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request within its context."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = joined(scope["headers"], self._wanted)
        context = self._inbound.context(headers, self._clock.monotonic())
        if self._doors.locked:
            context = self._doors.entered(context, headers.get(b"authorization"))
            if scope["method"] == "POST":
                received = await received_until(receive, self._max_bytes, await receive())
                tool = called_tool(body_of(received))
                if tool in self._doors.locked and tool not in context.opened:
                    await refuse(send)
                    return
                receive = replaying(received, receive)
        token = current_call.set(context)
        try:
            await self._app(scope, receive, send)
        finally:
            current_call.reset(token)


async def refuse(send: Send) -> None:
    """Answer that a token is missing, or is not the tool's."""
    headers = [
        (b"www-authenticate", b"Bearer"),
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(_REFUSED)),
    ]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": _REFUSED})


def joined(headers: list[tuple[bytes, bytes]], wanted: frozenset[bytes]) -> dict[bytes, bytes]:
    """Return those headers that are wanted; several of one name count as one, as HTTP says."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in wanted:
            found[name] = b"%s, %s" % (found[name], value) if name in found else value
    return found


async def received_until(receive: Receive, max_bytes: int, first: Message) -> list[Message]:
    """Return the messages of a request's body: all, or those up to where it is too large."""
    received = [first]
    size = len(received[0].get("body", b""))
    while received[-1].get("more_body", False) and size <= max_bytes:
        received.append(await receive())
        size += len(received[-1].get("body", b""))
    return received


def body_of(received: list[Message]) -> bytes:
    """Return the body that the messages bring."""
    return b"".join(message.get("body", b"") for message in received)


def replaying(received: list[Message], receive: Receive) -> Receive:
    """Return a `receive` that gives these messages first, and then what comes."""
    left = received[::-1]

    async def replay() -> Message:
        return left.pop() if left else await receive()

    return replay


def called_tool(body: bytes) -> str | None:
    """Return the name of the tool that a request calls, as far as its body can be read."""
    try:
        message: object = from_json(body)
    except ValueError:
        return None
    if not isinstance(message, dict):
        return None
    request = cast("dict[str, Any]", message)
    params = request.get("params")
    if request.get("method") != "tools/call" or not isinstance(params, dict):
        return None
    name = cast("dict[str, Any]", params).get("name")
    return name if isinstance(name, str) else None
