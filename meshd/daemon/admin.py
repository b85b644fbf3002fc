"""The admin API, version 1: what the other commands ask the daemon, over a Unix socket (0600)."""

import os
from collections.abc import Callable
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


class Administered(Protocol):
    """What the admin API can ask of a mesh."""

    def view(self) -> dict[str, Any]:
        """Return the mesh as `meshd list --format json` shows it."""
        ...

    def tool(self, agent: str, tool: str) -> dict[str, Any] | None:
        """Return the schemas and description of a tool, or None if there is none."""
        ...


def admin_app(mesh: Administered, stop: Callable[[], None]) -> Starlette:
    """Build the application."""

    async def view(_: Request) -> Response:
        return JSONResponse(mesh.view())

    async def tool(request: Request) -> Response:
        found = mesh.tool(request.query_params.get("agent", ""), request.query_params["tool"])
        return JSONResponse(found, status_code=404 if found is None else 200)

    async def stop_daemon(_: Request) -> Response:
        stop()
        return JSONResponse({"pid": os.getpid()}, status_code=202)

    return Starlette(
        routes=[
            Route("/v1/mesh", view),
            Route("/v1/tool", tool),
            Route("/v1/stop", stop_daemon, methods=["POST"]),
        ]
    )
