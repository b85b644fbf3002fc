"""The registry over HTTP, as MCP Mesh's agents speak to theirs.

Quick heartbeats are by far the most requests, so they are answered before any framework sees them.
Nothing here knows more than the shape of requests and answers.
"""

from collections.abc import Callable, Iterable
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from meshd import __version__
from meshd.errors import (
    MalformedRegistration,
    RegistrationRefused,
    RegistryFull,
    StaleIncarnation,
)
from meshd.registry import answers
from meshd.registry.events import Event
from meshd.registry.keeper import Keeper
from meshd.registry.registration import MAX_BODY_BYTES, read_registration
from meshd.registry.registry import GRACEFUL, Record

SERVICE = "meshd-registry"
INCARNATION_HEADER = b"x-meshd-incarnation"
ENDPOINTS = (
    "POST /heartbeat",
    "HEAD /heartbeat/{agent_id}",
    "DELETE /agents/{agent_id}",
    "GET /agents",
    "GET /events",
    "GET /health",
    "HEAD /health",
)
MAX_LISTED_EVENTS = 500
MAX_REASON = 100

_HEARTBEAT = "/heartbeat/"
_STATUS_OF = {"unchanged": 200, "changed": 202, "unknown": 410}
_EMPTY = [(b"content-length", b"0")]


def registry_app(keeper: Keeper) -> ASGIApp:
    """Build the application."""
    routes = Routes(keeper)
    framework = routes.app()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] == "http"
            and scope["method"] == "HEAD"
            and scope["path"].startswith(_HEARTBEAT)
        ):
            identity = scope["path"][len(_HEARTBEAT) :]
            answer = keeper.registry.renew(identity, keeper.now(), _incarnation(scope))
            status = _STATUS_OF[answer]
            await send({"type": "http.response.start", "status": status, "headers": _EMPTY})
            await send({"type": "http.response.body"})
            return
        await framework(scope, receive, send)

    return app


class Routes:
    """The routes that are not in a hurry."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def app(self) -> Starlette:
        """Return them as an application."""
        return Starlette(
            routes=[
                Route("/", self._root, methods=["GET"]),
                Route("/health", self._health, methods=["GET"]),
                Route("/heartbeat", self._heartbeat, methods=["POST"]),
                Route("/agents", self._agents, methods=["GET"]),
                Route("/agents/{agent_id}", self._deregister, methods=["DELETE"]),
                Route("/events", self._events, methods=["GET"]),
            ],
            exception_handlers={HTTPException: self._refused},
        )

    async def _root(self, _: Request) -> Response:
        return _json(
            {
                "service": SERVICE,
                "version": __version__,
                "status": "running",
                "endpoints": list(ENDPOINTS),
            }
        )

    async def _health(self, _: Request) -> Response:
        keeper = self._keeper
        now = keeper.now()
        status = "degraded" if keeper.problem else "healthy"
        uptime = int(now.seconds - keeper.started_at.seconds)
        store = {"kind": keeper.store.kind, "status": "failed" if keeper.problem else "ok"}
        body = {
            "status": status,
            "version": __version__,
            "uptime_seconds": uptime,
            "timestamp": answers.timestamp(now.wall),
            "service": SERVICE,
            "revision": keeper.registry.revision,
            "store": {**store, **({"reason": keeper.problem} if keeper.problem else {})},
        }
        response = _json(body)
        response.headers["X-Health-Status"] = status
        response.headers["X-Service-Version"] = __version__
        response.headers["X-Uptime-Seconds"] = str(uptime)
        return response

    async def _heartbeat(self, request: Request) -> Response:
        now = self._keeper.now()
        body = await _limited_body(request)
        if body is None:
            reason = f"the registration is larger than {MAX_BODY_BYTES} bytes"
            return _json(answers.error(reason, now.wall), 400)
        identity = ""
        try:
            registration = read_registration(body)
            identity = registration.instance.id
            answer = self._keeper.registry.register(registration, now)
        except MalformedRegistration as error:
            return _json(answers.error(str(error), now.wall), 400)
        except RegistryFull as error:
            return _json(answers.error(str(error), now.wall), 503)
        except RegistrationRefused as error:
            return _json(answers.rejected(str(error), identity, now.wall))
        return _json(answers.registered(answer, registration.warnings, now.wall))

    async def _deregister(self, request: Request) -> Response:
        keeper = self._keeper
        now = keeper.now()
        try:
            keeper.registry.deregister(
                request.path_params["agent_id"], now, _incarnation(request.scope), _reason(request)
            )
        except StaleIncarnation as error:
            return _json(answers.error(str(error), now.wall), 409)
        return Response(status_code=204)

    async def _agents(self, request: Request) -> Response:
        keeper = self._keeper
        now = keeper.now()
        matches = _agent_filter(request)
        listed = [
            answers.agent_entry(record, keeper.registry.wiring(record, now), keeper.registry.offers)
            for record in keeper.registry.records()
            if matches(record)
        ]
        return _json(
            {"agents": listed, "count": len(listed), "timestamp": answers.timestamp(now.wall)}
        )

    async def _events(self, request: Request) -> Response:
        keeper = self._keeper
        now = keeper.now()
        keeper.registry.settle(now)
        text = request.query_params.get("limit", "50")
        limit = int(text) if text.isdecimal() and len(text) < 5 else 0
        if not 1 <= limit <= MAX_LISTED_EVENTS:
            reason = f"`limit` is a whole number from 1 to {MAX_LISTED_EVENTS}"
            return _json(answers.error(reason, now.wall), 400)
        matches = _event_filter(request)
        found: list[Any] = []
        for event in keeper.registry.events():
            if matches(event):
                found.append(answers.event_entry(event))
                if len(found) == limit:
                    break
        return _json({"events": found, "count": len(found)})

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101  (Starlette's handlers say Exception)
        reason = f"{request.method} {request.url.path}: {error.detail}"
        body = answers.error(reason, self._keeper.now().wall)
        return _json(body, error.status_code, error.headers)


def _agent_filter(request: Request) -> Callable[[Record], bool]:
    asked = request.query_params
    fuzzy = asked.get("fuzzy", "").lower() in {"1", "true", "yes"}
    capabilities = [
        name
        for text in asked.getlist("capabilities")
        for name in map(str.strip, text.split(","))
        if name
    ]

    def matches(record: Record) -> bool:
        instance = record.instance
        return (
            asked.get("status", instance.status) == instance.status
            and asked.get("namespace", instance.namespace) == instance.namespace
            and asked.get("type", instance.agent_type) == instance.agent_type
            and (not capabilities or _offers_any(instance.capabilities(), capabilities, fuzzy))
        )

    return matches


def _offers_any(offered: Iterable[str], asked: Iterable[str], fuzzy: bool) -> bool:  # noqa: FBT001
    if not fuzzy:
        return not set(asked).isdisjoint(offered)
    return any(name.lower() in each.lower() for each in offered for name in asked)


def _event_filter(request: Request) -> Callable[[Event], bool]:
    asked = request.query_params

    def matches(event: Event) -> bool:
        names = {event.type.value, answers.WIRE_EVENTS.get(event.type, event.type.value)}
        return (
            asked.get("type", event.type.value) in names
            and asked.get("agent_id", event.instance) == event.instance
            and asked.get("function_name", event.tool) == event.tool
        )

    return matches


async def _limited_body(request: Request) -> bytes | None:
    """Read the body, or return None as soon as it is too large."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                return None
    except ClientDisconnect:
        return b""
    return bytes(body)


def _incarnation(scope: Scope) -> int | None:
    """Read the incarnation that meshd's instances name; what is no number counts as unnamed."""
    for name, value in scope["headers"]:
        if name == INCARNATION_HEADER and value.isdigit() and len(value) < 20:
            return int(value)
    return None


def _reason(request: Request) -> str:
    """Read why an instance leaves; what cannot be shown counts as unsaid."""
    reason = request.query_params.get("reason", "")
    return reason if 0 < len(reason) <= MAX_REASON and reason.isprintable() else GRACEFUL


def _json(body: Any, status: int = 200, headers: Any = None) -> Response:
    return Response(orjson.dumps(body), status, headers, media_type="application/json")
