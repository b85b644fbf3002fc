"""The FastMCP server of one agent and its ASGI application."""

import contextlib
import functools
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from fastmcp import FastMCP
from fastmcp.exceptions import FastMCPError
from fastmcp.server.http import (
    DEFAULT_HOSTS,
    StarletteWithLifespan,
    StreamableHTTPASGIApp,
    _host_matches,  # pyright: ignore[reportPrivateUsage]
)
from fastmcp.tools.base import InputRequiredToolResult
from mcp.server.transport_security import RequestBodyLimitMiddleware
from mcp_types import InputRequiredResult
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.types import ASGIApp

from meshd.clock import Clock
from meshd.domain.signature import ToolSignature
from meshd.domain.spec import JsonValue
from meshd.errors import InputRequired, ToolFailed
from meshd.plan.model import AgentPlan, ToolPlan
from meshd.runtime.components import (
    WRAPPED,
    FailedResult,
    MeshPrompt,
    MeshResource,
    MeshTemplate,
    MeshTool,
)
from meshd.runtime.context import current_call
from meshd.runtime.front import Doors, Entrance, Front
from meshd.runtime.inbound import Inbound
from meshd.runtime.lane.app import CompiledTool, Lane
from meshd.runtime.lane.request import Requests
from meshd.runtime.offer import RunningOffer
from meshd.runtime.protocol import MCP_PATH
from meshd.runtime.request_headers import strict_headers
from meshd.runtime.tool import RunningTool

NO_TOKENS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Applications:
    """One agent as ASGI applications that answer alike: with the lane, and FastMCP alone."""

    laned: ASGIApp
    plain: ASGIApp


class AgentServer:
    """The FastMCP server of one agent."""

    def __init__(
        self,
        agent: AgentPlan,
        tools: Mapping[str, RunningTool],
        resources: Iterable[RunningOffer],
        prompts: Iterable[RunningOffer],
        *,
        clock: Clock,
        tokens: Mapping[str, str] = NO_TOKENS,
    ) -> None:
        """Build the server; nothing listens yet. `tokens` are those that tools demand, by name."""
        server: FastMCP[Any] = FastMCP(
            agent.name, agent.description or None, version=agent.version, on_duplicate="error"
        )
        for plan in agent.tools:
            name = plan.spec.name
            server.add_tool(MeshTool.of(tools[name], plan, clock, is_locked=name in tokens))
        for resource in resources:
            if "{" in resource.offer.uri:
                server.add_template(MeshTemplate.of(resource))
            else:
                server.add_resource(MeshResource.of(resource))
        for prompt in prompts:
            server.add_prompt(MeshPrompt.of(prompt))
        # Otherwise the SDK lists all tools again on each call, to look for header parameters.
        schemas = {plan.spec.name: plan.signature.input_schema for plan in agent.tools}
        server._mcp_server.get_tool_input_schema = schemas.get  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        self._server = server
        self._plan = agent
        self._tools = tools
        self._entrance = Entrance(Doors(tokens), Inbound.of(agent), clock, agent.max_request_bytes)

    @contextlib.asynccontextmanager
    async def applications(
        self,
        routes: Mapping[str, Callable[[Request], Any]],
        hosts: tuple[str, ...],
    ) -> AsyncGenerator[Applications, None]:
        """Run the ASGI application: MCP at `/mcp`, and the probe routes.

        Quick answers are plain JSON, and event streams stay possible: in FastMCP's JSON-only mode
        progress and cancellation are lost. Host and Origin are checked on every route and verb.
        """
        for path, handler in routes.items():
            self._server.custom_route(path, methods=["GET"])(handler)
        app = self._server.http_app(
            path=MCP_PATH,
            json_response=False,
            stateless_http=True,
            host_origin_protection=True,
            allowed_hosts=list(hosts),
            middleware=[Middleware(Front, entrance=self._entrance)],
        )
        async with app.lifespan(app):
            limit_bodies(app, self._plan.max_request_bytes)
            strict = strict_headers(app)
            yield Applications(self._lane(strict, hosts), strict)

    def _lane(self, app: ASGIApp, hosts: tuple[str, ...]) -> Lane:
        """Put the lane for the tools that do not see FastMCP in front of it.

        It needs no strict headers: whatever they would change or refuse is not plain.
        """
        plain = {
            plan.spec.name: self._compiled(plan)
            for plan in self._plan.tools
            if may_take_the_lane(plan.signature)
        }
        named = functools.partial(may_be_named, hosts)
        entrance = self._entrance
        requests = Requests(plain, named, entrance.max_bytes, entrance.heard)
        info = self._server._mcp_server.server_info_stamp  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        return Lane(requests, app, self._entrance, info)

    def _compiled(self, plan: ToolPlan) -> CompiledTool:
        running = self._tools[plan.spec.name]
        is_locked = running.name in self._entrance.doors.locked
        return CompiledTool(running, plan.signature.mode.is_generator, is_locked)

    def caller(self, tool: RunningTool) -> Callable[[dict[str, JsonValue]], Awaitable[JsonValue]]:
        """Return the direct way to call a tool: through FastMCP only if the tool sees FastMCP."""
        if not tool.body.signature.needs_server:
            return tool.call if answers_json(tool.body.signature) else direct(tool)

        async def call(arguments: dict[str, JsonValue]) -> JsonValue:
            # A caller within the process needs no token.
            context = current_call.get()
            token = current_call.set(replace(context, opened=context.opened | {tool.name}))
            try:
                result = await self._server.call_tool(tool.name, arguments)
            except FastMCPError as error:
                raise ToolFailed(str(error), provider=tool.provider) from None
            finally:
                current_call.reset(token)
            if isinstance(result, FailedResult):
                raise result.error
            if isinstance(result, InputRequiredToolResult):
                raise asks_for_input(result.input_required, tool.provider)
            structured = result.structured_content
            if structured is not None:
                return structured["result"] if result.meta == WRAPPED else structured
            return [block.model_dump(mode="json", by_alias=True) for block in result.content]

        return call


def answers_json(signature: ToolSignature) -> bool:
    """Say whether the type of the tool's result is known, and so no matter of MCP."""
    schema = signature.output_schema or {}
    return bool(schema.get("properties", {}).get("result"))


def direct(tool: RunningTool) -> Callable[[dict[str, JsonValue]], Awaitable[JsonValue]]:
    """Return the direct way to call a tool that may answer anything, even what is MCP's."""

    async def call(arguments: dict[str, JsonValue]) -> JsonValue:
        value = await tool.call(arguments)
        if isinstance(value, InputRequiredResult):
            raise asks_for_input(value, tool.provider)
        return value

    return call


def asks_for_input(asked: InputRequiredResult, provider: str) -> InputRequired:
    """Return the error by which a caller within the process learns what a tool asks for."""
    said = asked.model_dump(mode="json", by_alias=True, exclude_none=True)
    return InputRequired(
        "the tool asks for input, which only a client can give",
        provider=provider,
        requests=said.get("inputRequests"),
        state=asked.request_state,
    )


def may_take_the_lane(signature: ToolSignature) -> bool:
    """Say whether nothing of the tool's work or answer is FastMCP's."""
    if signature.needs_server:
        return False
    return "x-mcp-header" not in json.dumps(dict(signature.input_schema))


def limit_bodies(app: StarletteWithLifespan, max_bytes: int) -> None:
    """Let the MCP route take bodies of at most this size, for which FastMCP has no setting."""
    for route in app.routes:
        endpoint = getattr(route, "endpoint", None)
        if isinstance(endpoint, StreamableHTTPASGIApp) and endpoint.session_manager is not None:
            limit = endpoint.session_manager.asgi_app
            if isinstance(limit, RequestBodyLimitMiddleware):  # pyright: ignore[reportUnnecessaryIsInstance]
                limit.max_body_size = max_bytes
                return
    raise RuntimeError("this release of FastMCP limits request bodies in another way")


def may_be_named(hosts: tuple[str, ...], host: str) -> bool:
    """Judge a Host header as FastMCP's guard does, without the address of the socket."""
    return _host_matches(host, (*DEFAULT_HOSTS, *hosts))
