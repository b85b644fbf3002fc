from collections.abc import Callable
from typing import Any

import pytest
from fastmcp import Context

from meshd.domain.signature import Mode
from meshd.domain.spec import ToolSpec
from meshd.errors import ArgumentsRejected, ToolFailed
from meshd.plan.model import AgentPlan, ToolPlan
from meshd.runtime.server import AgentServer
from meshd.runtime.tool import RunningTool
from meshd.runtime.workers import Workers
from tests.runtime.fakes import FakeBody


def served(function: Callable[..., Any], **more: Any) -> tuple[AgentServer, RunningTool]:
    body = FakeBody(function, Mode.ASYNC, **more)
    tool = RunningTool("here", "tool", body, {}, Workers())
    spec = ToolSpec(callable="sample:function", name="tool")
    plan = AgentPlan(name="here", tools=(ToolPlan(spec=spec, signature=body.signature),))
    return AgentServer(plan, {"tool": tool}, (), ()), tool


async def who_calls(context: Context, name: str) -> str:
    return f"{name} by {type(context).__name__} of {context.fastmcp.name}"


async def test_a_plain_tool_is_called_directly() -> None:
    async def plain() -> int:
        return 1

    server, tool = served(plain)
    assert server.caller(tool) == tool.call


async def test_a_tool_that_asks_for_the_context_gets_it_within_the_process_too() -> None:
    server, tool = served(who_calls, context_parameters=("context",))
    assert await server.caller(tool)({"name": "called"}) == "called by Context of here"


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
