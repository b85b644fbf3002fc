"""Proxies: calls that are awaited, made a task, or iterated; in the process and over HTTP."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Any

import pytest

from meshd.callables.dump import dump
from meshd.callables.expected import ExpectedResult
from meshd.clock import SystemClock
from meshd.domain.signature import Mode
from meshd.domain.spec import CallSettings, JsonValue
from meshd.errors import (
    CallError,
    CallTimedOut,
    ConnectionLost,
    ResultRejected,
    ToolFailed,
    Unreachable,
)
from meshd.runtime.chunks import Chunks
from meshd.runtime.context import CallContext, current_call
from meshd.runtime.edge import Edge
from meshd.runtime.proxy import AsyncProxy, SyncProxy
from meshd.runtime.tool import RunningTool
from meshd.runtime.upstreams import InProcessUpstream, Traits
from meshd.runtime.workers import Workers
from tests.runtime.fakes import FakeBody, FakeUpstream, LoopClock, binding, settle, virtually

STREAMING = Traits(call=CallSettings(streaming=True), idempotent=True)


def first() -> float:
    return 0.0


def edge_over(*upstreams: Any, expected: Any = None, **settings: Any) -> Edge:
    edge = Edge(binding(**settings), expected, dump, SystemClock(), chance=first)
    edge.wire(upstreams)
    return edge


def streaming_from(function: Callable[..., Any], mode: Mode = Mode.ASYNC_GENERATOR) -> AsyncProxy:
    """Return the proxy of a generator in the same process."""
    tool = RunningTool("there", "thing", FakeBody(function, mode), {}, Workers())
    upstream = InProcessUpstream(tool.provider, tool.call, STREAMING, chunked=tool.chunked)
    return AsyncProxy(edge_over(upstream))


async def take(found: list[Any], call: AsyncIterator[Any]) -> None:
    async for chunk in call:
        found.append(chunk)  # noqa: PERF401  (what comes before an error)


async def test_a_call_is_awaited_made_a_task_or_gathered() -> None:
    proxy = AsyncProxy(edge_over(FakeUpstream(7)))
    assert await proxy() == 7
    assert await asyncio.create_task(proxy()) == 7  # noqa: TID251  (what users do)
    assert await asyncio.gather(proxy(), proxy()) == [7, 7]
    async with asyncio.TaskGroup() as group:
        task = group.create_task(proxy())
    assert task.result() == 7


async def test_a_task_of_a_call_is_cancelled_as_any_other() -> None:
    upstream = FakeUpstream(seconds=60)
    task = asyncio.ensure_future(AsyncProxy(edge_over(upstream))())
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert upstream.cancelled == 1


async def test_a_call_that_nobody_awaits_is_warned_about() -> None:
    call = AsyncProxy(edge_over(FakeUpstream()))()
    assert repr(call) == "<call over here.tool#other>"
    with pytest.warns(RuntimeWarning, match=r"a call of here.tool#other was neither awaited"):
        del call
    closed = AsyncProxy(edge_over(FakeUpstream()))()
    closed.close()


async def test_what_does_not_stream_is_not_iterated_over() -> None:
    proxy = AsyncProxy(edge_over(FakeUpstream([1])))
    with pytest.raises(CallError, match=r"`there.thing` does not stream: set `call: {streaming: t"):
        async for _ in proxy():
            pass


async def test_what_streams_still_answers_as_a_whole() -> None:
    async def chunks() -> AsyncIterator[int]:
        yield 1
        yield 2

    proxy = streaming_from(chunks)
    assert [chunk async for chunk in proxy()] == [1, 2]
    assert await proxy() == [1, 2]


async def test_a_chunk_is_made_when_it_is_asked_for() -> None:
    made: list[int] = []

    async def chunks() -> AsyncIterator[int]:
        for number in range(5):
            made.append(number)
            yield number

    async for chunk in streaming_from(chunks)():
        await settle()
        assert len(made) == chunk + 1
    assert made == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("way", ["break", "aclose", "raise", "cancel"])
async def test_leaving_the_loop_ends_the_work(way: str) -> None:
    closed = asyncio.Event()

    async def chunks() -> AsyncIterator[int]:
        try:
            for number in range(100):
                yield number
        finally:
            closed.set()

    proxy = streaming_from(chunks)

    async def leave() -> None:
        async for chunk in proxy():
            if chunk == 2:
                match way:
                    case "raise":
                        raise LookupError
                    case "cancel":
                        await asyncio.Event().wait()
                    case _:
                        break

    async def close() -> None:
        call = aiter(proxy())
        assert isinstance(call, Chunks)
        assert [await anext(call), await anext(call)] == [0, 1]
        await call.aclose()

    task = asyncio.ensure_future(close() if way == "aclose" else leave())
    await settle()
    task.cancel()
    with contextlib.suppress(LookupError, asyncio.CancelledError):
        await task
    async with asyncio.timeout(2):
        await closed.wait()


async def test_an_error_comes_after_the_chunks_before_it() -> None:
    async def chunks() -> AsyncIterator[int]:
        yield 1
        raise LookupError("gone")

    found: list[int] = []
    with pytest.raises(ToolFailed, match="LookupError: gone"):
        await take(found, aiter(streaming_from(chunks)()))
    assert found == [1]


async def test_before_the_first_chunk_a_failure_goes_on_elsewhere_and_later_not() -> None:
    gone = FakeUpstream(traits=STREAMING, error=Unreachable("gone"))
    good = FakeUpstream([1, 2], traits=STREAMING)
    assert [chunk async for chunk in AsyncProxy(edge_over(gone, good))()] == [1, 2]

    breaks = FakeUpstream([1, ConnectionLost("broke")], traits=STREAMING)
    edge = edge_over(breaks, good)
    with pytest.raises(ConnectionLost) as caught:
        assert [chunk async for chunk in AsyncProxy(edge)()] == []
    assert (caught.value.attempts, len(good.asked)) == (1, 1)
    assert edge.counters.outcomes == {"ok": 0, "lost": 1}


def test_the_time_of_a_call_holds_for_the_whole_stream() -> None:
    async def main() -> Any:
        class Slow(FakeUpstream):
            async def stream(self, *_: Any, **__: Any) -> AsyncGenerator[JsonValue, None]:
                for number in range(100):
                    await LoopClock().sleep(0.4)
                    yield number

        edge = Edge(binding(timeout_seconds=1.0), None, dump, LoopClock(), chance=first)
        edge.wire((Slow(traits=STREAMING),))
        found: list[int] = []
        with pytest.raises(CallTimedOut, match=r"did not answer within 1 s"):
            await take(found, aiter(AsyncProxy(edge)()))
        return found, asyncio.get_running_loop().time(), edge.states[0].in_flight

    assert virtually(main()) == ([0, 1], 1.0, 0)


def test_the_consumers_own_time_between_chunks_counts_when_it_asks_again() -> None:
    async def main() -> Any:
        edge = Edge(binding(timeout_seconds=1.0), None, dump, LoopClock(), chance=first)
        edge.wire((FakeUpstream([1, 2, 3], traits=STREAMING),))
        found: list[int] = []
        async for chunk in AsyncProxy(edge)():
            found.append(chunk)
            await LoopClock().sleep(5.0)  # the consumer is not interrupted
        return found

    assert virtually(main()) == [1, 2, 3]


async def test_each_chunk_is_converted() -> None:
    expected = ExpectedResult(list[int])
    edge = edge_over(FakeUpstream(["1", "x"], traits=STREAMING), expected=expected)
    found: list[Any] = []
    with pytest.raises(ResultRejected, match=r"`there.thing` answered what `tool` does not exp"):
        await take(found, aiter(AsyncProxy(edge)()))
    assert found == [1]


async def test_the_callee_of_a_stream_runs_in_the_context_of_its_call() -> None:
    found: list[CallContext] = []

    async def chunks() -> AsyncIterator[int]:
        found.append(current_call.get())
        yield 1

    token = current_call.set(CallContext(trace={"traceparent": "t"}, opened=frozenset({"tool"})))
    async for _ in streaming_from(chunks)():
        # The consumer's own stays as it is.
        assert current_call.get().deadline is None
    current_call.reset(token)
    [context] = found
    assert (context.trace, context.opened) == ({"traceparent": "t"}, frozenset())
    assert context.deadline is not None


async def in_thread(workers: Workers, edge: Edge, consume: Callable[[Any], Any]) -> Any:
    proxy = SyncProxy(edge, workers)
    return await workers.run(lambda: consume(proxy()))


async def test_a_sync_consumer_iterates() -> None:
    workers = Workers()
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def chunks() -> Generator[int, None, None]:
        try:
            yield from range(100)
        finally:
            loop.call_soon_threadsafe(closed.set)

    tool = RunningTool("there", "thing", FakeBody(chunks, Mode.GENERATOR), {}, workers)
    upstream = InProcessUpstream(tool.provider, tool.call, STREAMING, chunked=tool.chunked)
    edge = edge_over(upstream)
    assert await in_thread(workers, edge, sum) == 4950

    def some(call: Iterator[int]) -> int:
        for chunk in call:
            if chunk == 3:
                return chunk
        return -1

    closed.clear()
    assert await in_thread(workers, edge, some) == 3
    async with asyncio.timeout(2):
        await closed.wait()

    def ended(call: Any) -> list[int]:
        taken = [next(call)]
        call.close()
        return [*taken, *call]

    closed.clear()
    assert await in_thread(workers, edge, ended) == [0]
    async with asyncio.timeout(2):
        await closed.wait()
    workers.close()


async def test_sync_streams_through_sync_streams_need_no_more_places_than_there_are() -> None:
    workers = Workers(limit=2)

    def numbers() -> Iterator[int]:
        yield from range(20)

    tool = RunningTool("a", "numbers", FakeBody(numbers, Mode.GENERATOR), {}, workers)
    inner = edge_over(InProcessUpstream("a.numbers", tool.call, STREAMING, chunked=tool.chunked))

    def doubled(other: Any) -> Iterator[int]:
        for number in other():
            yield 2 * number

    body = FakeBody(doubled, Mode.GENERATOR)
    middle = RunningTool("b", "doubled", body, {"other": inner}, workers)
    edge = edge_over(InProcessUpstream("b.doubled", middle.call, STREAMING, chunked=middle.chunked))
    calls = (in_thread(workers, edge, sum) for _ in range(6))
    async with asyncio.timeout(4):
        assert await asyncio.gather(*calls) == [380] * 6
    workers.close()


async def test_an_error_reaches_the_sync_consumer_after_the_chunks_before_it() -> None:
    workers = Workers()
    edge = edge_over(FakeUpstream([1, ToolFailed("no")], traits=STREAMING))
    found: list[int] = []

    def consume(call: Iterator[int]) -> None:
        for chunk in call:
            found.append(chunk)  # noqa: PERF402

    with pytest.raises(ToolFailed, match="no"):
        await in_thread(workers, edge, consume)
    assert found == [1]
    workers.close()


@pytest.mark.parametrize(
    ("value", "expected"), [([1, 2], [1, 2]), ([], []), ({"a": 1}, [{"a": 1}])]
)
async def test_what_hands_over_no_chunks_is_iterated_as_a_whole(value: Any, expected: Any) -> None:
    async def call(_: dict[str, JsonValue]) -> JsonValue:
        return value

    edge = edge_over(InProcessUpstream("there.thing", call, STREAMING))
    assert [chunk async for chunk in AsyncProxy(edge)()] == expected


async def test_a_call_is_driven_as_a_coroutine_too() -> None:
    call = AsyncProxy(edge_over(FakeUpstream(7)))()

    async def driven() -> Any:
        # By hand, as an event loop of another kind would do it.
        call.send(None)
        return call.throw(LookupError("thrown in"))

    with pytest.raises(LookupError, match="thrown in"):
        await driven()


async def test_a_stream_that_nobody_began_leaves_nothing_behind() -> None:
    edge = edge_over(FakeUpstream([1], traits=STREAMING))
    chunks = edge.stream({})
    del chunks
    assert edge.counters.in_flight == 0
    assert [state.in_flight for state in edge.states] == [0]
