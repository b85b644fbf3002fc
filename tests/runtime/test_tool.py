import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Generator
from dataclasses import replace
from typing import Any

import pytest

from meshd.callables.dump import dump
from meshd.callables.expected import ExpectedResult
from meshd.clock import SystemClock
from meshd.domain.signature import Mode
from meshd.domain.spec import JsonValue
from meshd.errors import ArgumentsRejected, CallError, ResultRejected, ToolFailed, Unavailable
from meshd.runtime.edge import Edge
from meshd.runtime.proxy import AsyncProxy, SyncProxy
from meshd.runtime.tool import Conduct, RunningTool
from meshd.runtime.upstreams import InProcessUpstream
from meshd.runtime.workers import Workers
from tests.runtime.fakes import FakeBody, FakeClock, binding, settle, turn


def running(
    function: Callable[..., Any], mode: Mode = Mode.SYNC, edges: dict[str, Edge] | None = None
) -> RunningTool:
    return RunningTool("here", "tool", FakeBody(function, mode), edges or {}, Workers())


def edge_to(tool: RunningTool, **settings: Any) -> Edge:
    edge = Edge(binding(**settings), None, dump, SystemClock())
    edge.wire((InProcessUpstream(tool.provider, tool.call),))
    return edge


def double(number: int) -> int:
    return 2 * number


def same(number: int) -> int:
    return number


def is_none(other: object) -> bool:
    return other is None


async def twice(number: int) -> int:
    return 2 * number


async def test_each_mode_answers() -> None:
    def generator(number: int) -> Generator[int, None, None]:
        yield from range(number)

    async def async_generator(number: int) -> AsyncIterator[int]:
        for each in range(number):
            yield each

    assert await running(double).call({"number": 2}) == 4
    assert await running(twice, Mode.ASYNC).call({"number": 2}) == 4
    assert await running(generator, Mode.GENERATOR).call({"number": 3}) == [0, 1, 2]
    assert await running(async_generator, Mode.ASYNC_GENERATOR).call({"number": 3}) == [0, 1, 2]


async def test_a_sync_callable_runs_off_the_event_loop() -> None:
    name = await running(lambda: threading.current_thread().name).call({})
    assert name.startswith("meshd-worker")


async def test_a_sync_callable_that_returns_an_awaitable_is_awaited() -> None:
    assert await running(lambda: twice(4)).call({}) == 8


async def test_chunks_are_handed_over_as_they_are_made() -> None:
    order: list[str] = []

    async def chunks() -> AsyncIterator[int]:
        for number in (1, 2):
            order.append(f"made {number}")
            yield number

    async def on_chunk(count: int, chunk: JsonValue) -> None:
        order.append(f"sent {count}: {chunk}")

    await running(chunks, Mode.ASYNC_GENERATOR).call({}, on_chunk=on_chunk)
    assert order == ["made 1", "sent 1: 1", "made 2", "sent 2: 2"]


async def test_rejected_arguments_name_the_tool() -> None:
    with pytest.raises(ArgumentsRejected, match="`wrong` is wrong") as caught:
        await running(lambda: None).call({"wrong": 1})
    assert caught.value.provider == "here.tool"


async def test_what_the_callable_raises_becomes_an_error_with_its_type() -> None:
    def fail() -> None:
        raise LookupError("gone")

    with pytest.raises(ToolFailed, match=r"^LookupError: gone$") as caught:
        await running(fail).call({})
    assert caught.value.provider == "here.tool"
    assert not caught.value.retriable


async def test_an_exception_without_text_is_named() -> None:
    def fail() -> None:
        raise KeyError

    with pytest.raises(ToolFailed, match=r"^KeyError$"):
        await running(fail).call({})


async def test_a_result_that_cannot_be_sent_is_an_error() -> None:
    with pytest.raises(ResultRejected, match=r"`here.tool` ran, but its result is an `object`"):
        await running(object).call({})


async def test_an_async_callable_receives_an_async_proxy() -> None:
    async def consumer(other: Any) -> list[Any]:
        return [type(other) is AsyncProxy, await other(number=3)]

    tool = running(consumer, Mode.ASYNC, {"other": edge_to(running(twice, Mode.ASYNC))})
    assert await tool.call({}) == [True, 6]


async def test_a_sync_callable_receives_a_sync_proxy() -> None:
    def consumer(other: Any) -> list[Any]:
        return [type(other) is SyncProxy, other(number=3)]

    tool = running(consumer, Mode.SYNC, {"other": edge_to(running(twice, Mode.ASYNC))})
    assert await tool.call({}) == [True, 6]


async def test_a_sync_generator_receives_a_sync_proxy() -> None:
    def consumer(other: Any) -> Generator[int, None, None]:
        for number in (1, 2):
            yield other(number=number)

    tool = running(consumer, Mode.GENERATOR, {"other": edge_to(running(same))})
    assert await tool.call({}) == [1, 2]


async def test_sync_tools_may_call_each_other_deeper_than_there_are_places() -> None:
    workers = Workers(limit=3)

    def countdown(number: int, other: Any) -> int:
        return 0 if number == 0 else 1 + other(number=number - 1)

    edge = Edge(binding(), None, dump, SystemClock())
    tool = RunningTool("here", "tool", FakeBody(countdown), {"other": edge}, workers)
    edge.wire((InProcessUpstream(tool.provider, tool.call),))
    calls = (tool.call({"number": 30}) for _ in range(10))
    assert await asyncio.gather(*calls) == [30] * 10
    workers.close()


async def test_an_optional_need_without_provider_is_none() -> None:
    edge = Edge(binding(), None, dump, SystemClock())
    tool = running(is_none, Mode.SYNC, {"other": edge})
    assert await tool.call({}) is True


async def test_a_required_need_without_provider_is_an_error_with_the_reason() -> None:
    edge = Edge(
        binding(required=True, misses=("`there.thing` 1.0.0 fails `>=2`",)),
        None,
        dump,
        SystemClock(),
    )
    tool = running(is_none, Mode.SYNC, {"other": edge})
    with pytest.raises(Unavailable) as caught:
        await tool.call({})
    assert str(caught.value) == (
        "`tool` needs `there.thing`, which nothing in the mesh provides now: "
        "`there.thing` 1.0.0 fails `>=2`"
    )
    assert caught.value.retriable


async def test_the_failure_of_a_provider_names_the_provider() -> None:
    def fail() -> None:
        raise LookupError("gone")

    provider = RunningTool("there", "thing", FakeBody(fail), {}, Workers())

    async def consumer(other: Any) -> None:
        await other()

    tool = running(consumer, Mode.ASYNC, {"other": edge_to(provider)})
    with pytest.raises(ToolFailed, match=r"^`there.thing` failed: LookupError: gone$") as caught:
        await tool.call({})
    assert caught.value.provider == "here.tool"


async def test_a_consumer_can_catch_the_typed_error_of_its_provider() -> None:
    provider = RunningTool("there", "thing", FakeBody(lambda: 0), {}, Workers())

    async def consumer(other: Any) -> str:
        try:
            await other(wrong=1)
        except ArgumentsRejected as error:
            return error.provider
        return "nothing raised"

    tool = running(consumer, Mode.ASYNC, {"other": edge_to(provider)})
    assert await tool.call({}) == "there.thing"


async def test_rejected_arguments_of_a_nested_call_are_the_consumers_failure() -> None:
    provider = RunningTool("there", "thing", FakeBody(lambda: 0), {}, Workers())

    async def consumer(other: Any) -> None:
        await other(wrong=1)

    tool = running(consumer, Mode.ASYNC, {"other": edge_to(provider)})
    with pytest.raises(ToolFailed, match=r"^`there.thing` failed: arguments rejected"):
        await tool.call({})


async def test_a_cancelled_call_cancels_the_callable() -> None:
    stopped = asyncio.Event()

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    task = asyncio.ensure_future(running(wait, Mode.ASYNC).call({}))
    await turn()
    await turn()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stopped.is_set()


async def test_a_cancelled_stream_closes_its_generator() -> None:
    closed = asyncio.Event()
    started = asyncio.Event()

    async def chunks() -> AsyncIterator[int]:
        try:
            started.set()
            yield 1
            await asyncio.Event().wait()
        finally:
            closed.set()

    task = asyncio.ensure_future(running(chunks, Mode.ASYNC_GENERATOR).call({}))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed.is_set()


async def test_every_error_of_a_call_is_a_call_error() -> None:
    def fail() -> None:
        raise SystemError

    with pytest.raises(CallError):
        await running(fail).call({})


async def test_what_agents_of_mcp_mesh_add_for_themselves_is_no_argument() -> None:
    foreign: dict[str, JsonValue] = {"_trace_id": "1", "_parent_span": "2", "_mesh_headers": {}}
    assert await running(double).call({"number": 2, **foreign}) == 4


async def test_unless_the_tool_says_that_it_has_such_a_parameter() -> None:
    def traced(_trace_id: str) -> str:
        return _trace_id

    body = FakeBody(traced)
    properties = {"_trace_id": {"type": "string"}}
    body.signature = replace(body.signature, input_schema={"properties": properties})
    tool = RunningTool("here", "tool", body, {}, Workers())
    assert await tool.call({"_trace_id": "mine", "_parent_span": "2"}) == "mine"


async def test_given_values_are_injected() -> None:
    assert await running(same).call({}, given={"number": 3}) == 3


async def test_a_tool_waits_for_the_first_wiring_of_its_needs_and_later_no_more() -> None:
    clock = FakeClock()
    edge = Edge(binding(), None, dump, clock, settle_seconds=5)
    tool = running(is_none, Mode.SYNC, {"other": edge})
    call = asyncio.ensure_future(tool.call({}))
    await settle()
    assert not call.done()
    edge.wire((InProcessUpstream("there.thing", running(double).call),))
    assert await call is False
    edge.wire(())
    assert await tool.call({}) is True


async def test_a_required_need_that_is_not_wired_in_time_is_an_error() -> None:
    edge = Edge(binding(required=True), None, dump, SystemClock(), settle_seconds=0.01)
    tool = running(is_none, Mode.SYNC, {"other": edge})
    with pytest.raises(Unavailable, match=r"nothing in the mesh provides now$"):
        await tool.call({})


async def test_a_result_of_a_nested_call_that_does_not_fit_is_the_consumers_failure() -> None:
    async def consumer(other: Any) -> None:
        await other(number=1)

    provider = running(double)
    edge = Edge(binding(), ExpectedResult(list[int]), dump, SystemClock())
    edge.wire((InProcessUpstream(provider.provider, provider.call),))
    with pytest.raises(ToolFailed, match=r"^`here.tool` answered what"):
        await running(consumer, Mode.ASYNC, {"other": edge}).call({})


async def test_an_inline_callable_runs_on_the_event_loop() -> None:
    def generator() -> Generator[str, None, None]:
        yield threading.current_thread().name

    inline = Conduct(execution="inline")
    here = threading.current_thread().name
    for body, expected in (
        (FakeBody(lambda: threading.current_thread().name), here),
        (FakeBody(lambda: twice(4)), 8),
        (FakeBody(generator, Mode.GENERATOR), [here]),
    ):
        assert await RunningTool("here", "tool", body, {}, Workers(), inline).call({}) == expected


async def test_an_inline_generator_gives_turns_and_is_closed_with_its_call() -> None:
    closed = asyncio.Event()

    def endless() -> Generator[int, None, None]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    body = FakeBody(endless, Mode.GENERATOR)
    tool = RunningTool("here", "tool", body, {}, Workers(), Conduct(execution="inline"))
    call = asyncio.ensure_future(tool.call({}))
    await turn()
    await turn()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert closed.is_set()
