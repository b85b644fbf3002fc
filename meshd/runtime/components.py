"""Running tools, resources and prompts as components of a FastMCP server.

They are FastMCP components of our own classes, so FastMCP's rules for the signatures of functions
do not apply to user callables.
"""

import logging
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, cast

from fastmcp.exceptions import (
    FastMCPError,
    PromptError,
    ResourceError,
    ToolError,
)
from fastmcp.prompts import Message, Prompt
from fastmcp.prompts.base import PromptArgument, PromptResult
from fastmcp.resources import Resource, ResourceTemplate
from fastmcp.resources.base import ResourceResult
from fastmcp.server.dependencies import fastmcp_request_ctx, get_context
from fastmcp.tools.base import InputRequiredToolResult, Tool, ToolResult
from mcp.shared.exceptions import MCPError
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    InputRequiredResult,
    ProgressNotification,
    ProgressNotificationParams,
    TextContent,
    ToolAnnotations,
)
from pydantic import AnyUrl, BaseModel, PrivateAttr
from starlette.types import ASGIApp, Receive, Scope, Send

from meshd.clock import Clock
from meshd.domain.signature import ToolSignature
from meshd.domain.spec import Hints, JsonValue
from meshd.errors import CallError, ToolFailed, Unauthorised
from meshd.plan.model import ToolPlan
from meshd.runtime.context import current_call
from meshd.runtime.inbound import traced
from meshd.runtime.offer import RunningOffer
from meshd.runtime.protocol import CHUNK, ERROR
from meshd.runtime.replies import (
    chunk_text,
    error_fields,
    in_time,
    json_text,
    wants_json,
)
from meshd.runtime.tool import OnChunk, RunningTool

WRAPPED = {"fastmcp": {"wrap_result": True}}
"""Tells FastMCP's client to unwrap `{"result": …}`."""


_settled: ContextVar[tuple[RunningTool, JsonValue | CallError] | None] = ContextVar(
    "settled", default=None
)


class MeshTool(Tool):
    """A tool that answers with what a `RunningTool` returns."""

    _running: RunningTool = PrivateAttr()
    _clock: Clock = PrivateAttr()
    _is_locked: bool = PrivateAttr(default=False)

    @classmethod
    def of(
        cls, running: RunningTool, plan: ToolPlan, clock: Clock, *, is_locked: bool = False
    ) -> "MeshTool":
        """Make the component for a running tool; a locked one is called with its token only."""
        spec, signature = plan.spec, plan.signature
        output = signature.output_schema
        tool = cls(
            name=spec.name,
            title=spec.hints.title,
            description=signature.description or None,
            parameters=dict(signature.input_schema),
            output_schema=None if output is None else dict(output),
            annotations=annotations(spec.hints),
            tags=set(spec.tags),
            meta=tool_meta(plan),
        )
        tool._running = running
        tool._clock = clock
        tool._is_locked = is_locked
        return tool

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        """Answer one `tools/call` of a client."""
        signature = self._running.body.signature
        value = await self._outcome(arguments)
        if isinstance(value, CallError):
            answer = error_answer(value)
            if answer is None:
                raise for_client(value, ToolError) from value.__cause__
            return FailedResult(value, *answer)
        if isinstance(value, InputRequiredResult):
            return InputRequiredToolResult(value)
        if signature.mcp_content:
            return self.convert_result(value)
        return ToolResult(
            content=content_of(value), structured_content={"result": value}, meta=WRAPPED
        )

    async def _outcome(self, arguments: dict[str, Any]) -> JsonValue | CallError:
        running = self._running
        settled = _settled.get()
        if settled is not None and settled[0] is running:
            return settled[1]
        meta = request_meta()
        context = traced(current_call.get(), meta)
        if self._is_locked and running.name not in context.opened:
            return Unauthorised(
                f"`{running.provider}` demands its token", provider=running.provider
            )
        on_chunk = None
        if running.body.signature.mode.is_generator and "progressToken" in meta:
            on_chunk = progress_reporter(meta)
        token = current_call.set(context)
        try:
            given = contexts(running.body.signature)
            call = running.call(arguments, given=given, on_chunk=on_chunk)
            return await in_time(running, call, context.deadline, self._clock)
        except CallError as error:
            return error
        finally:
            current_call.reset(token)


class FailedResult(ToolResult):
    """The answer to a call that failed, with the error for callers within the process."""

    _error: CallError = PrivateAttr()

    def __init__(self, error: CallError, text: str, meta: Mapping[str, Any] | None) -> None:
        super().__init__(
            content=[TextContent(type="text", text=text)],
            meta=None if meta is None else dict(meta),
            is_error=True,
        )
        self._error = error

    @property
    def error(self) -> CallError:
        """The error itself."""
        return self._error


class MeshResource(Resource):
    """A resource that a callable reads."""

    _running: RunningOffer = PrivateAttr()

    @classmethod
    def of(cls, running: RunningOffer) -> "MeshResource":
        """Make the component for a running resource."""
        resource = cls(uri=AnyUrl(running.offer.uri), **resource_fields(running))
        resource._running = running
        return resource

    async def read(self) -> str | bytes | ResourceResult:
        """Answer one `resources/read`."""
        return await resource_content(self._running, {})


class MeshTemplate(ResourceTemplate):
    """A resource whose URI has parameters."""

    _running: RunningOffer = PrivateAttr()

    @classmethod
    def of(cls, running: RunningOffer) -> "MeshTemplate":
        """Make the component for a running resource template."""
        template = cls(
            uri_template=running.offer.uri,
            parameters=dict(running.signature.input_schema),
            **resource_fields(running),
        )
        template._running = running
        return template

    async def _read(self, uri: str, params: dict[str, Any]) -> ResourceResult:
        return self.convert_result(await self.read(params))

    async def read(self, arguments: dict[str, Any]) -> str | bytes | ResourceResult:
        """Answer one `resources/read` of a URI that matches."""
        return await resource_content(self._running, arguments)


class MeshPrompt(Prompt):
    """A prompt that a callable makes."""

    _running: RunningOffer = PrivateAttr()

    @classmethod
    def of(cls, running: RunningOffer) -> "MeshPrompt":
        """Make the component for a running prompt."""
        schema = running.signature.input_schema
        required = schema.get("required", ())
        prompt = cls(
            name=running.offer.name,
            description=running.signature.description or None,
            arguments=[
                PromptArgument(
                    name=name, description=said.get("description"), required=name in required
                )
                for name, said in schema["properties"].items()
            ],
        )
        prompt._running = running
        return prompt

    async def render(
        self, arguments: dict[str, Any] | None = None
    ) -> str | list[Message | str] | PromptResult:
        """Answer one `prompts/get`."""
        try:
            value = await self._running.read(arguments or {}, contexts(self._running.signature))
        except CallError as error:
            raise for_client(error, PromptError) from None
        return value if is_message(value) else json_text(value)


def for_client(error: CallError, kind: type[FastMCPError]) -> Exception:
    """Return the error that the client is told of.

    User code that knows FastMCP may have raised just that, or an error of the protocol. Of the
    latter, a tool passes on only that the client lacks a capability; all else is its result.
    """
    raised = error.__cause__
    if isinstance(raised, kind):
        return raised
    if isinstance(raised, MCPError) and (
        kind is not ToolError or raised.error.code == MISSING_REQUIRED_CLIENT_CAPABILITY
    ):
        return raised
    # What went wrong is in meshd's own log already.
    return kind(str(error), log_level=logging.DEBUG)


def error_answer(error: CallError) -> tuple[str, Mapping[str, Any] | None] | None:
    """Return text and `_meta` of the answer to an error; None if it is an error of the protocol."""
    raised = error.__cause__
    if isinstance(raised, MCPError) and raised.error.code == MISSING_REQUIRED_CLIENT_CAPABILITY:
        return None
    if isinstance(raised, ToolError):
        return str(raised), None
    # An error that the tool raised needs no more words: that is what an error result says.
    return str(error), None if isinstance(error, ToolFailed) else {ERROR: error_fields(error)}


def settled(app: ASGIApp, running: RunningTool, outcome: JsonValue | CallError) -> ASGIApp:
    """Return the application, answering a call of the tool with an outcome that is there."""

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        token = _settled.set((running, outcome))
        try:
            await app(scope, receive, send)
        finally:
            _settled.reset(token)

    return answering


def contexts(signature: ToolSignature) -> dict[str, Any]:
    """Return FastMCP's context for the parameters that ask for it."""
    return {name: get_context() for name in signature.context_parameters}


async def resource_content(
    running: RunningOffer, arguments: dict[str, Any]
) -> str | bytes | ResourceResult:
    """Return what a resource holds: text, bytes, MCP content, or JSON text of anything else."""
    try:
        value = await running.read(arguments, contexts(running.signature))
    except CallError as error:
        raise for_client(error, ResourceError) from None
    return value if is_content(value) else json_text(value)


def is_message(value: Any) -> bool:
    """Whether the value is an answer as it is: text, MCP content, or a list of such messages."""
    if isinstance(value, list):
        items = cast("list[object]", value)
        return all(isinstance(item, str | BaseModel) for item in items)
    return isinstance(value, str | BaseModel)


def is_content(value: Any) -> bool:
    """Whether the value is a resource's content as it is: text, bytes or MCP content."""
    if isinstance(value, list):
        items = cast("list[object]", value)
        return bool(items) and all(isinstance(item, BaseModel) for item in items)
    return isinstance(value, str | bytes | BaseModel)


def resource_fields(running: RunningOffer) -> dict[str, Any]:
    """Return what resources and templates say of themselves."""
    fields: dict[str, Any] = {
        "name": running.offer.name,
        "description": running.signature.description or None,
    }
    if running.offer.mime_type is not None:
        fields["mime_type"] = running.offer.mime_type
    return fields


def content_of(value: JsonValue) -> list[TextContent]:
    """Return the text form of a result: nothing for `None`, strings as they are, else JSON."""
    if value is None:
        return []
    text = value if isinstance(value, str) else json_text(value)
    return [TextContent(type="text", text=text)]


def progress_reporter(meta: Mapping[str, Any]) -> OnChunk:
    """Return a function that sends chunks as progress to a client that asked for progress."""
    context = get_context()

    async def report(number: int, chunk: JsonValue) -> None:
        await context.report_progress(progress=number, message=chunk_text(chunk, meta))

    async def report_json(number: int, chunk: JsonValue) -> None:
        params = ProgressNotificationParams(
            progress_token=meta["progressToken"],
            progress=number,
            message=chunk_text(chunk, meta),
            _meta={CHUNK: "json"},
        )
        await context.session.send_notification(
            ProgressNotification(params=params), context.request_id
        )

    return report_json if wants_json(meta) else report


def request_meta() -> Mapping[str, Any]:
    """Return the `_meta` of the request that FastMCP serves, if it serves one."""
    context = fastmcp_request_ctx.get(None)
    return (
        {} if context is None or context.meta is None else cast("Mapping[str, Any]", context.meta)
    )


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
    """Return what clients may want to know of a tool's place in the mesh."""
    spec = plan.spec
    if spec.capability is None:
        return None
    return {"meshd": {"capability": spec.capability, "version": spec.version}}
