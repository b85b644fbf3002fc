"""Answers of resources and prompts, and errors that users who know FastMCP raise."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fastmcp import Client, FastMCP
from fastmcp.exceptions import PromptError, ResourceError, ToolError
from fastmcp.tools.base import InputRequiredToolResult
from mcp.shared.exceptions import MCPError
from mcp_types import InputRequiredResult, TextContent
from pydantic import BaseModel

from meshd.clock import SystemClock
from meshd.domain.signature import Mode
from meshd.domain.spec import ToolSpec
from meshd.errors import ArgumentsRejected, ToolFailed, Unavailable
from meshd.plan.model import ToolPlan
from meshd.runtime import components
from meshd.runtime.components import MeshPrompt, MeshResource, MeshTool
from meshd.runtime.offer import Offer, RunningOffer
from meshd.runtime.replies import json_text
from meshd.runtime.tool import RunningTool
from meshd.runtime.workers import Workers
from tests.runtime.fakes import FakeBody


def offered(function: Callable[..., Any], mode: Mode = Mode.SYNC) -> RunningOffer:
    offer = Offer(body=FakeBody(function, mode), name="thing", uri="sample://thing")
    return RunningOffer("here", offer, Workers())


def caused_by(error: Exception) -> ToolFailed:
    failed = ToolFailed("failed")
    failed.__cause__ = error
    return failed


def test_json_text_holds_integers_beyond_64_bits() -> None:
    assert json_text({"a": [1, "ø"]}) == '{"a":[1,"ø"]}'
    assert json_text(2**70) == str(2**70)


def test_an_error_of_fastmcp_passes_as_it_is() -> None:
    raised = ToolError("said so")
    assert components.for_client(caused_by(raised), ToolError) is raised


def test_another_error_becomes_one_of_the_kind() -> None:
    error = components.for_client(caused_by(LookupError("gone")), PromptError)
    assert isinstance(error, PromptError)
    assert str(error) == "failed"


@pytest.mark.parametrize(
    ("code", "kind", "passes"),
    [(-32021, ToolError, True), (-1, ToolError, False), (-1, ResourceError, True)],
)
def test_an_error_of_the_protocol(code: int, kind: type[Any], passes: bool) -> None:
    raised = MCPError(code=code, message="no")
    assert (components.for_client(caused_by(raised), kind) is raised) is passes


@pytest.mark.parametrize(
    ("value", "text"), [("plain", "plain"), ([1, None], "[1,null]"), ({"a": 1}, '{"a":1}')]
)
async def test_resources(value: object, text: str) -> None:
    server: FastMCP[Any] = FastMCP("here")
    server.add_resource(MeshResource.of(offered(lambda: value)))
    async with Client(server) as client:
        [content] = await client.read_resource("sample://thing")
        assert content.model_dump()["text"] == text


@pytest.mark.parametrize(
    ("value", "texts"),
    [("one", ["one"]), (["one", "two"], ["one", "two"]), ({"a": 1}, ['{"a":1}'])],
)
async def test_prompts(value: object, texts: list[str]) -> None:
    server: FastMCP[Any] = FastMCP("here")
    server.add_prompt(MeshPrompt.of(offered(lambda: value)))
    async with Client(server) as client:
        prompt = await client.get_prompt("thing")
        assert [message.content.model_dump()["text"] for message in prompt.messages] == texts


async def test_offers_of_every_mode() -> None:
    async def one() -> str:
        return "one"

    async def later() -> Any:
        for number in (1, 2):
            yield number

    def now() -> Any:
        yield from (1, 2)

    assert await offered(one, Mode.ASYNC).read({}, {}) == "one"
    assert await offered(one).read({}, {}) == "one"
    assert await offered(now, Mode.GENERATOR).read({}, {}) == [1, 2]
    assert await offered(later, Mode.ASYNC_GENERATOR).read({}, {}) == [1, 2]


async def test_what_an_offer_raises() -> None:
    def fail() -> None:
        raise LookupError("gone")

    server: FastMCP[Any] = FastMCP("here")
    server.add_resource(MeshResource.of(offered(fail)))
    server.add_prompt(MeshPrompt.of(offered(fail)))
    async with Client(server) as client:
        with pytest.raises(Exception, match="LookupError: gone"):
            await client.read_resource("sample://thing")
        with pytest.raises(Exception, match="LookupError: gone"):
            await client.get_prompt("thing")


def test_content_as_it_is() -> None:
    class Content(BaseModel):
        text: str = ""

    assert components.is_content([Content()])
    assert not components.is_content([])
    assert not components.is_content([Content(), 1])
    assert components.is_message([Content(), "text"])
    assert not components.is_message([1])


def tool_of(function: Callable[..., Any], mode: Mode = Mode.SYNC, **more: Any) -> MeshTool:
    body = FakeBody(function, mode, **more)
    spec = ToolSpec(callable="m:tool", name="tool")
    running = RunningTool("here", "tool", body, {}, Workers())
    return MeshTool.of(running, ToolPlan(spec=spec, signature=body.signature), SystemClock())


async def called(tool: MeshTool, **more: Any) -> Any:
    server: FastMCP[Any] = FastMCP("here")
    server.add_tool(tool)
    async with Client(server) as client:
        return await client.call_tool("tool", {}, **more)


async def test_a_result_that_is_mcp_content_is_sent_as_it_is() -> None:
    content = TextContent(type="text", text="as it is")
    result = await called(tool_of(lambda: content, mcp_content=True))
    assert result.content == [content]


async def test_chunks_that_are_no_text_are_reported_as_json() -> None:
    seen: list[tuple[float, str | None]] = []

    async def on_progress(progress: float, _: float | None, message: str | None) -> None:
        seen.append((progress, message))

    def chunks() -> Any:
        yield {"a": 1}
        yield "text"

    result = await called(tool_of(chunks, Mode.GENERATOR), progress_handler=on_progress)
    assert result.data == [{"a": 1}, "text"]
    assert seen == [(1, '{"a":1}'), (2, "text")]


async def test_a_tool_may_ask_its_client_for_input() -> None:
    asked = InputRequiredResult(request_state="later")
    answer = await tool_of(lambda: asked).run({})
    assert isinstance(answer, InputRequiredToolResult)


@pytest.mark.parametrize(
    ("error", "kind"),
    [(ArgumentsRejected("no"), ArgumentsRejected), (Unavailable("gone"), ToolFailed)],
)
async def test_errors_of_calls_that_an_offer_raises(
    error: Exception, kind: type[Exception]
) -> None:
    async def fail() -> None:
        raise error

    with pytest.raises(kind):
        await offered(fail, Mode.ASYNC).read({}, {})


async def test_an_offer_that_is_cancelled_is_no_failure() -> None:
    started = asyncio.Event()

    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    reading = asyncio.ensure_future(offered(wait, Mode.ASYNC).read({}, {}))
    await started.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_a_result_of_nothing_has_no_text() -> None:
    assert (await called(tool_of(lambda: None))).content == []


async def test_a_resource_says_of_what_kind_it_is() -> None:
    offer = Offer(body=FakeBody(str), name="page", uri="some://page", mime_type="image/png")
    assert MeshResource.of(RunningOffer("here", offer, Workers())).mime_type == "image/png"
