"""The FastMCP server of one agent and its ASGI application."""

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from typing import Any

from fastmcp import FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.tools.base import InputRequiredToolResult
from starlette.requests import Request
from starlette.types import ASGIApp

from meshd.domain.spec import JsonValue
from meshd.errors import CallError, ToolFailed
from meshd.plan.model import AgentPlan
from meshd.runtime.components import MeshPrompt, MeshResource, MeshTemplate, MeshTool
from meshd.runtime.offer import RunningOffer
from meshd.runtime.tool import RunningTool

MCP_PATH = "/mcp"


class AgentServer:
    """The FastMCP server of one agent."""

    def __init__(
        self,
        agent: AgentPlan,
        tools: Mapping[str, RunningTool],
        resources: Iterable[RunningOffer],
        prompts: Iterable[RunningOffer],
    ) -> None:
        """Build the server; nothing listens yet."""
        server: FastMCP[Any] = FastMCP(
            agent.name, agent.description or None, version=agent.version, on_duplicate="error"
        )
        for plan in agent.tools:
            server.add_tool(MeshTool.of(tools[plan.spec.name], plan))
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

    @contextlib.asynccontextmanager
    async def application(
        self, routes: Mapping[str, Callable[[Request], Any]], hosts: tuple[str, ...]
    ) -> AsyncGenerator[ASGIApp, None]:
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
        )
        async with app.lifespan(app):
            yield app

    def caller(self, tool: RunningTool) -> Callable[[dict[str, JsonValue]], Awaitable[JsonValue]]:
        """Return the direct way to call a tool: through FastMCP only if the tool sees FastMCP."""
        signature = tool.body.signature
        if not signature.context_parameters and not signature.mcp_content:
            return tool.call

        async def call(arguments: dict[str, JsonValue]) -> JsonValue:
            try:
                result = await self._server.call_tool(tool.name, arguments)
            except ToolError as error:
                # The tool's own typed error, which it turned into FastMCP's for the client.
                if isinstance(error.__context__, CallError):
                    raise error.__context__ from None
                raise ToolFailed(str(error), provider=tool.provider) from None
            if isinstance(result, InputRequiredToolResult):
                raise ToolFailed(
                    "it asks for input, which only a client can give", provider=tool.provider
                )
            if result.structured_content is not None:
                return result.structured_content.get("result", result.structured_content)
            return [block.model_dump(mode="json", by_alias=True) for block in result.content]

        return call
