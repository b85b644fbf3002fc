"""The registry over HTTP, as MCP Mesh's agents speak to theirs.

Nothing here knows more than the shape of requests and answers.
"""

from collections.abc import Callable
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from meshd import __version__
from meshd.errors import StaleIncarnation
from meshd.registry import answers
from meshd.registry.events import Event
from meshd.registry.heartbeats import PATH, Heartbeats, incarnation_of
from meshd.registry.keeper import Keeper
from meshd.registry.offers import Offers
from meshd.registry.registered import Record
from meshd.registry.registry import GRACEFUL

SERVICE = "meshd-registry"
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


def registry_app(keeper: Keeper) -> ASGIApp:
    """Build the application."""
    heartbeats = Heartbeats(keeper)
    framework = Routes(keeper, heartbeats).app()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        answering = heartbeats if heartbeats.concerns(scope) else framework
        await answering(scope, receive, send)

    return app


class Routes:
    """The routes that are not in a hurry."""

    def __init__(self, keeper: Keeper, heartbeats: Heartbeats) -> None:
        self._keeper = keeper
        self._heartbeats = heartbeats

    def app(self) -> Starlette:
        """Return them as an application."""
        return Starlette(
            routes=[
                Route("/", self._root, methods=["GET"]),
                Route("/health", self._health, methods=["GET"]),
                Route(PATH, self._heartbeats, methods=["POST"]),
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
        if keeper.problem:
            store["reason"] = keeper.problem
        if keeper.store.notice:
            store["notice"] = keeper.store.notice
        body = {
            "status": status,
            "version": __version__,
            "uptime_seconds": uptime,
            "timestamp": answers.timestamp(now.wall),
            "service": SERVICE,
            "revision": keeper.registry.revision,
            "store": store,
        }
        response = _json(body)
        response.headers["X-Health-Status"] = status
        response.headers["X-Service-Version"] = __version__
        response.headers["X-Uptime-Seconds"] = str(uptime)
        return response

    async def _deregister(self, request: Request) -> Response:
        keeper = self._keeper
        now = keeper.now()
        try:
            keeper.registry.deregister(
                request.path_params["agent_id"],
                now,
                incarnation_of(request.scope["headers"]),
                _reason(request),
            )
        except StaleIncarnation as error:
            return _json(answers.error(str(error), now.wall), 409)
        return Response(status_code=204)

    async def _agents(self, request: Request) -> Response:
        keeper = self._keeper
        now = keeper.now()
        registry = keeper.registry
        matches = _agent_filter(request)
        listed = [
            answers.agent_entry(record, registry.wiring(record, now), registry.offers)
            for record in registry.records(_capabilities(request, registry.offers))
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
    status, namespace, kind = (asked.get(name) for name in ("status", "namespace", "type"))

    def matches(record: Record) -> bool:
        instance = record.instance
        return (
            status in {None, instance.status}
            and namespace in {None, instance.namespace}
            and kind in {None, instance.agent_type}
        )

    return matches


def _capabilities(request: Request, offers: Offers) -> set[str] | None:
    """Return the capabilities that are asked for; None if any will do."""
    asked = request.query_params
    names = {
        name
        for text in asked.getlist("capabilities")
        for name in map(str.strip, text.split(","))
        if name
    }
    if not names:
        return None
    if asked.get("fuzzy", "").lower() not in {"1", "true", "yes"}:
        return names
    parts = [name.lower() for name in names]
    return {each for each in offers.capabilities() if any(part in each.lower() for part in parts)}


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


def _reason(request: Request) -> str:
    """Read why an instance leaves; what cannot be shown counts as unsaid."""
    reason = request.query_params.get("reason", "")
    return reason if 0 < len(reason) <= MAX_REASON and reason.isprintable() else GRACEFUL


def _json(body: Any, status: int = 200, headers: Any = None) -> Response:
    return Response(orjson.dumps(body), status, headers, media_type="application/json")
