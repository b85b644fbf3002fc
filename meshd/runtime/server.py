"""An agent's plan and its running tools to a FastMCP server and its ASGI application.

The only module that knows FastMCP. Tools are FastMCP tools of our own class, whose `run` is
`RunningTool.call`; so FastMCP's own rules for signatures do not apply to user callables.
"""

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from fastmcp import FastMCP
from fastmcp.exceptions import ToolError, ValidationError
from fastmcp.prompts import Prompt
from fastmcp.resources import Resource, ResourceTemplate
from fastmcp.server.dependencies import get_context
from fastmcp.tools.base import Tool, ToolResult
from mcp_types import TextContent, ToolAnnotations
from pydantic import PrivateAttr
from starlette.requests import Request
from starlette.types import ASGIApp

from meshd.domain.spec import Hints, JsonValue
from meshd.errors import ArgumentsRejected, CallError, ToolFailed
from meshd.plan.model import AgentPlan, ToolPlan
from meshd.runtime.tool import OnChunk, RunningTool

MCP_PATH = "/mcp"
WRAPPED = {"fastmcp": {"wrap_result": True}}


class MeshTool(Tool):
    """A FastMCP tool that answers with what a `RunningTool` returns."""

    _running: RunningTool = PrivateAttr()

    @classmethod
    def of(cls, running: RunningTool, plan: ToolPlan) -> "MeshTool":
        """Make the FastMCP tool for a running one."""
        spec, signature = plan.spec, plan.signature
        tool = cls(
            name=spec.name,
            version=None,
            title=spec.hints.title,
            description=signature.description or None,
            parameters=dict(signature.input_schema),
            output_schema=None if signature.output_schema is None else dict(signature.output_schema),
            annotations=annotations(spec.hints),
            tags=set(spec.tags),
            meta=tool_meta(plan),
        )
        tool._running = running
        return tool

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        """Answer one `tools/call` of a client."""
        running = self._running
        signature = running.body.signature
        given = {name: get_context() for name in signature.context_parameters}
        on_chunk = progress_reporter() if signature.mode.is_generator else None
        try:
            value = await running.call(arguments, given=given, on_chunk=on_chunk)
        except ArgumentsRejected as error:
            raise ValidationError(str(error)) from error
        except CallError as error:
            raise ToolError(str(error)) from error
        if signature.mcp_content:
            return self.convert_result(value)
        return ToolResult(
            content=content_of(value), structured_content={"result": value}, meta=WRAPPED
        )


def content_of(value: JsonValue) -> list[TextContent]:
    """Return the text form of a result: nothing for `None`, strings as they are, else JSON."""
    if value is None:
        return []
    text = value if isinstance(value, str) else json_text(value)
    return [TextContent(type="text", text=text)]


def json_text(value: JsonValue) -> str:
    """Return JSON text; integers beyond 64 bits and lone surrogates take the slow way."""
    try:
        return orjson.dumps(value).decode()
    except (orjson.JSONEncodeError, UnicodeDecodeError):
        return json.dumps(value, separators=(",", ":"))


def progress_reporter() -> OnChunk:
    """Return a function that sends chunks as progress to a client that asked for progress."""
    context = get_context()

    async def report(number: int, chunk: JsonValue) -> None:
        text = chunk if isinstance(chunk, str) else json_text(chunk)
        await context.report_progress(progress=number, message=text)

    return report


def annotations(hints: Hints) -> ToolAnnotations:
    """Return the hints as MCP tool annotations."""
    return ToolAnnotations(
        title=hints.title,
        read_only_hint=hints.read_only,
        destructive_hint=hints.destructive,
        idempotent_hint=hints.idempotent,
        open_world_hint=hints.open_world,
    )


def tool_meta(plan: ToolPlan) -> dict[str, Any] | None:
    """Return what MCP clients may want to know of a tool's place in the mesh."""
    spec = plan.spec
    if spec.capability is None:
        return None
    return {"meshd": {"capability": spec.capability, "version": spec.version}}


@dataclass(frozen=True, slots=True)
class Offered:
    """A loaded callable that is served as a resource or a prompt, with its public description."""

    callable: Callable[..., Any]
    name: str
    description: str | None
    uri: str = ""
    mime_type: str | None = None


class AgentServer:
    """The FastMCP server of one agent."""

    def __init__(
        self,
        agent: AgentPlan,
        tools: Mapping[str, RunningTool],
        resources: tuple[Offered, ...],
        prompts: tuple[Offered, ...],
    ) -> None:
        """Build the server; nothing listens yet."""
        server: FastMCP[Any] = FastMCP(
            agent.name, agent.description or None, version=agent.version, on_duplicate="error"
        )
        for plan in agent.tools:
            server.add_tool(MeshTool.of(tools[plan.spec.name], plan))
        for resource in resources:
            add_resource(server, resource)
        for prompt in prompts:
            server.add_prompt(
                Prompt.from_function(
                    prompt.callable, name=prompt.name, description=prompt.description
                )
            )
        # Otherwise the SDK lists all tools again on each call, to look for header parameters.
        schemas = {plan.spec.name: plan.signature.input_schema for plan in agent.tools}
        server._mcp_server.get_tool_input_schema = schemas.get  # noqa: SLF001
        self._server = server

    @contextlib.asynccontextmanager
    async def application(
        self, routes: Mapping[str, Callable[[Request], Any]], hosts: tuple[str, ...]
    ) -> AsyncIterator[ASGIApp]:
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

    def caller(
        self, tool: RunningTool
    ) -> Callable[[dict[str, JsonValue]], Awaitable[JsonValue]]:
        """Return the direct way to call a tool: through FastMCP only if the tool sees FastMCP."""
        signature = tool.body.signature
        if not signature.context_parameters and not signature.mcp_content:
            return tool.call

        async def call(arguments: dict[str, JsonValue]) -> JsonValue:
            try:
                result = await self._server.call_tool(tool.name, arguments)
            except ValidationError as error:
                raise ArgumentsRejected(str(error), provider=tool.provider) from None
            except ToolError as error:
                raise ToolFailed(str(error), provider=tool.provider) from None
            if result.structured_content is not None:
                return result.structured_content.get("result", result.structured_content)
            return [block.model_dump(mode="json", by_alias=True) for block in result.content]

        return call


def add_resource(server: FastMCP[Any], resource: Offered) -> None:
    """Add a resource, or a template if its URI has parameters."""
    more: dict[str, Any] = {"name": resource.name, "description": resource.description}
    if resource.mime_type is not None:
        more["mime_type"] = resource.mime_type
    if "{" in resource.uri:
        template = ResourceTemplate.from_function(resource.callable, resource.uri, **more)
        server.add_template(template)
    else:
        server.add_resource(Resource.from_function(resource.callable, resource.uri, **more))
