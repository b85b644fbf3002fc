"""The probe routes of an agent: /health, /ready, /livez, /startupz, /metadata and /metrics.

The bodies follow MCP Mesh's agents, whose tooling reads them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from meshd.clock import Clock
from meshd.plan.model import AgentPlan
from meshd.runtime.metrics import metrics_route
from meshd.runtime.tool import RunningTool


@dataclass(slots=True)
class Serving:
    """Whether the agent has started and takes calls; the agent's owner sets it."""

    started: bool = False
    ready: bool = False


def probe_routes(
    agent: AgentPlan, tools: Mapping[str, RunningTool], serving: Serving, clock: Clock
) -> Mapping[str, Callable[[Request], Any]]:
    """Return the handlers by path; each answers 200, or 503 while its question has a no."""

    def answer(body: Mapping[str, Any], *, holds: bool = True) -> Response:
        stamped = {**body, "timestamp": clock.now().isoformat()}
        return JSONResponse(stamped, status_code=200 if holds else 503)

    async def health(_: Request) -> Response:
        status = "healthy" if serving.ready else "starting"
        return answer({"status": status, "agent": agent.name}, holds=serving.ready)

    async def ready(_: Request) -> Response:
        wrappers = len(tools) if serving.ready else 0
        runtime = "up" if serving.ready else "starting"
        body = {"ready": serving.ready, "agent": agent.name, "runtime": runtime}
        return answer({**body, "mcp_wrappers": wrappers}, holds=serving.ready)

    async def livez(_: Request) -> Response:
        return answer({"alive": True, "agent": agent.name})

    async def startupz(_: Request) -> Response:
        return answer({"started": serving.started, "agent": agent.name}, holds=serving.started)

    async def metadata(_: Request) -> Response:
        return answer(agent_metadata(agent))

    return {
        "/health": health,
        "/ready": ready,
        "/livez": livez,
        "/startupz": startupz,
        "/metadata": metadata,
        "/metrics": metrics_route(agent.key, tools, clock),
    }


def agent_metadata(agent: AgentPlan) -> dict[str, Any]:
    """Return what the agent says of itself: who it is, and its capabilities and needs."""
    capabilities = {
        tool.spec.capability: {
            "function_name": tool.spec.name,
            "version": tool.spec.version,
            "tags": list(tool.spec.tags),
            "dependencies": [need.capability for need in tool.spec.needs],
        }
        for tool in agent.tools
        if tool.spec.capability is not None
    }
    return {
        "agent": agent.name,
        "namespace": agent.namespace,
        "version": agent.version,
        "description": agent.description,
        "labels": dict(agent.labels),
        "capabilities": capabilities,
        "tools": [tool.spec.name for tool in agent.tools],
    }
