"""Which callables may run where."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from fastmcp import Context

from meshd.callables.tool import Target, compile_tool
from meshd.domain.spec import CallSettings, Execution, NeedSpec, ToolSpec
from tests.callables.project import loader

NEED = NeedSpec(parameter="other", capability="a.b")


def sync(number: int) -> int:
    return number


async def asynchronous(number: int) -> int:
    return number


def chunks(number: int) -> Iterator[int]:
    yield number


async def async_chunks(number: int) -> AsyncIterator[int]:
    yield number


def sync_with_need(other: Any) -> int:
    return other()


async def async_with_need(other: Any) -> int:
    return await other()


def with_context(context: Context) -> str:
    return context.request_id


def problems(
    function: Callable[..., Any], execution: Execution, *needs: NeedSpec
) -> list[tuple[str, str]]:
    spec = ToolSpec(callable="m:f", name="f", execution=execution, needs=needs)
    _, diagnostics = compile_tool(spec, Target(function), loader())
    return [(each.code, each.label) for each in diagnostics]


@pytest.mark.parametrize(
    ("function", "executions"),
    [
        (sync, ("inline", "thread", "process")),
        (chunks, ("inline", "thread", "process")),
        (asynchronous, ("inline",)),
        (async_chunks, ("inline",)),
        (with_context, ("inline", "thread")),
    ],
)
def test_where_a_callable_may_run(
    function: Callable[..., Any], executions: tuple[Execution, ...]
) -> None:
    every: tuple[Execution, ...] = ("inline", "thread", "process")
    allowed = tuple(execution for execution in every if not problems(function, execution))
    assert allowed == executions


def test_a_sync_callable_cannot_wait_for_its_needs_on_the_event_loop() -> None:
    label = "it is not async: waiting for its needs would block the event loop"
    assert problems(sync_with_need, "inline", NEED) == [("M254", label)]
    assert problems(sync_with_need, "thread", NEED) == []
    assert problems(sync_with_need, "process", NEED) == []
    assert problems(async_with_need, "inline", NEED) == []


def test_the_problem_says_what_to_do() -> None:
    spec = ToolSpec(callable="m:f", name="f", execution="process")
    tool, [diagnostic] = compile_tool(spec, Target(asynchronous), loader())
    assert tool is None
    assert diagnostic.message == "`m:f` cannot run with `execution: process`"
    assert diagnostic.hint == "remove `execution`"


def test_streaming_is_for_what_makes_chunks() -> None:
    streaming = CallSettings(streaming=True)

    def warned(callable_: Callable[..., Any]) -> list[str]:
        spec = ToolSpec(callable="m:f", name="f", call=streaming)
        tool, diagnostics = compile_tool(spec, Target(callable_), loader())
        assert tool is not None
        return [f"{one.code} {one.severity}" for one in diagnostics]

    assert warned(sync) == warned(asynchronous) == ["M255 warning"]
    assert warned(chunks) == warned(async_chunks) == []
