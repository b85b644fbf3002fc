"""The admin API, version 1: what the other commands ask the daemon, over a Unix socket (0600)."""

import os
from collections.abc import Callable
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from meshd.errors import DaemonError, InvalidInput


class Administered(Protocol):
    """What the admin API can ask of a daemon."""

    def view(self) -> dict[str, Any]:
        """Return the mesh as `meshd list --format json` shows it."""
        ...

    def status(self) -> dict[str, Any]:
        """Return how the mesh fares, as `meshd status --format json` shows it."""
        ...

    def tool(self, agent: str, tool: str) -> dict[str, Any] | None:
        """Return the schemas and description of a tool, or None if there is none."""
        ...

    async def reload(self) -> dict[str, Any]:
        """Apply what the manifests say now, and return what came of it.

        Raises:
            DaemonError: this mesh cannot be reloaded.

        """
        ...

    async def restart(self, agent: str) -> list[str] | None:
        """Replace an agent's processes; return the replicas' ids, None if there is no such agent.

        Raises:
            InvalidInput, DaemonError: it cannot be started again; the old one goes on.

        """
        ...


def admin_app(daemon: Administered, stop: Callable[[], None]) -> Starlette:
    """Build the application."""

    async def view(_: Request) -> Response:
        return JSONResponse(daemon.view())

    async def status(_: Request) -> Response:
        return JSONResponse(daemon.status())

    async def tool(request: Request) -> Response:
        asked = request.query_params
        found = daemon.tool(asked.get("agent", ""), asked.get("tool", ""))
        return JSONResponse(found, status_code=404 if found is None else 200)

    async def reload(_: Request) -> Response:
        try:
            return JSONResponse(await daemon.reload())
        except DaemonError as error:
            return _refusal(error)

    async def restart(request: Request) -> Response:
        try:
            replicas = await daemon.restart(request.query_params.get("agent", ""))
        except (InvalidInput, DaemonError) as error:
            return _refusal(error)
        return JSONResponse({"restarted": replicas}, status_code=404 if replicas is None else 200)

    async def stop_daemon(_: Request) -> Response:
        stop()
        return JSONResponse({"pid": os.getpid()}, status_code=202)

    return Starlette(
        routes=[
            Route("/v1/mesh", view),
            Route("/v1/status", status),
            Route("/v1/tool", tool),
            Route("/v1/reload", reload, methods=["POST"]),
            Route("/v1/restart", restart, methods=["POST"]),
            Route("/v1/stop", stop_daemon, methods=["POST"]),
        ]
    )


def _refusal(error: InvalidInput | DaemonError) -> Response:
    hint = error.hint if isinstance(error, DaemonError) else ""
    return JSONResponse({"error": str(error), "hint": hint}, status_code=409)
