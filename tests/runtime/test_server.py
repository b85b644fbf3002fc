from collections.abc import Callable
from typing import Any, cast

import pytest
from fastmcp import Client, Context
from fastmcp.exceptions import ToolError
from fastmcp.server.dependencies import get_context
from mcp_types import InputRequiredResult, TextContent

from meshd.clock import SystemClock
from meshd.domain.signature import Mode
from meshd.domain.spec import ToolSpec
from meshd.errors import ArgumentsRejected, InputRequired, ToolFailed
from meshd.plan.model import AgentPlan, ToolPlan
from meshd.runtime.offer import Offer, RunningOffer
from meshd.runtime.server import AgentServer, may_take_the_lane
from meshd.runtime.tool import RunningTool
from meshd.runtime.workers import Workers
from tests.runtime.fakes import FakeBody


def served(function: Callable[..., Any], **more: Any) -> tuple[AgentServer, RunningTool]:
    body = FakeBody(function, Mode.ASYNC, **more)
    tool = RunningTool("here", "tool", body, {}, Workers())
    spec = ToolSpec(callable="sample:function", name="tool")
    plan = AgentPlan(name="here", tools=(ToolPlan(spec=spec, signature=body.signature),))
    return AgentServer(plan, {"tool": tool}, (), (), clock=SystemClock()), tool


async def who_calls(context: Context, name: str) -> str:
    return f"{name} by {type(context).__name__} of {context.fastmcp.name}"


async def test_a_plain_tool_is_called_directly() -> None:
    async def plain() -> int:
        return 1

    server, tool = served(plain)
    assert await server.caller(tool)({}) == 1


async def test_a_tool_that_asks_for_the_context_gets_it_within_the_process_too() -> None:
    server, tool = served(who_calls, context_parameters=("context",))
    assert await server.caller(tool)({"name": "called"}) == "called by Context of here"


async def test_code_that_asks_for_the_context_finds_it_within_the_process_too() -> None:
    async def asking() -> str:
        return get_context().fastmcp.name

    server, tool = served(asking, asks_server=True)
    assert await server.caller(tool)({}) == "here"
    assert not may_take_the_lane(tool.body.signature)


async def test_its_typed_errors_reach_the_consumer() -> None:
    server, tool = served(who_calls, context_parameters=("context",))
    with pytest.raises(ArgumentsRejected, match="`wrong` is wrong"):
        await server.caller(tool)({"wrong": 1})


async def test_what_it_raises_reaches_the_consumer() -> None:
    async def fail(context: Context) -> None:
        raise LookupError(type(context).__name__)

    server, tool = served(fail, context_parameters=("context",))
    with pytest.raises(ToolFailed, match=r"^LookupError: Context$"):
        await server.caller(tool)({})


async def test_mcp_content_reaches_the_consumer_as_json() -> None:
    async def content() -> Any:
        return TextContent(type="text", text="as it is")

    server, tool = served(content, mcp_content=True)
    [block] = cast("list[dict[str, Any]]", await server.caller(tool)({}))
    assert (block["type"], block["text"]) == ("text", "as it is")


async def test_an_error_of_fastmcp_that_it_raises_reaches_the_consumer() -> None:
    async def fail(context: Context) -> None:
        raise ToolError(f"not in {context.fastmcp.name}")

    server, tool = served(fail, context_parameters=("context",))
    with pytest.raises(ToolFailed, match="not in here"):
        await server.caller(tool)({})


async def test_a_tool_that_asks_for_input_says_so_between_agents() -> None:
    async def ask(context: Context) -> Any:
        return InputRequiredResult(request_state=context.fastmcp.name)

    server, tool = served(ask, context_parameters=("context",))
    with pytest.raises(InputRequired, match="which only a client can give") as caught:
        await server.caller(tool)({})
    assert (caught.value.state, caught.value.provider) == ("here", "here.tool")


def any_text(**_: str) -> str:
    return "text"


async def test_resources_and_prompts_are_offered_by_their_kind() -> None:
    body = FakeBody(any_text)
    offers = [
        RunningOffer("here", Offer(body=body, name=name, uri=uri), Workers())
        for name, uri in [("page", "some://page"), ("pages", "some://pages/{name}")]
    ]
    prompt = RunningOffer("here", Offer(body=body, name="ask"), Workers())
    server = AgentServer(AgentPlan(name="here"), {}, offers, [prompt], clock=SystemClock())
    async with Client(server._server) as client:  # pyright: ignore[reportPrivateUsage]
        assert [one.name for one in await client.list_resources()] == ["page"]
        assert [one.name for one in await client.list_resource_templates()] == ["pages"]
        assert [one.name for one in await client.list_prompts()] == ["ask"]
        [content] = await client.read_resource("some://pages/one")
        assert content.model_dump()["text"] == "text"
