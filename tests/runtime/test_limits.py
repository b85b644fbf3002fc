"""How many calls of a tool run and wait, whatever the way it runs."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from meshd.clock import SystemClock
from meshd.domain.signature import Mode
from meshd.errors import Busy, CallTimedOut
from meshd.runtime.context import CallContext, current_call
from meshd.runtime.limits import Gate
from meshd.runtime.tool import Conduct, RunningTool
from meshd.runtime.workers import Workers
from tests.runtime.fakes import FakeBody, FakeClock, settle


def limited(body: FakeBody, most: int, queue: int = 0) -> RunningTool:
    conduct = Conduct(concurrency_max=most, concurrency_queue=queue)
    return RunningTool("here", "tool", body, {}, Workers(), conduct)


class Held:
    """Async callables that run until they are let go."""

    def __init__(self) -> None:
        self.running = 0
        self.order: list[int] = []
        self.go_on = asyncio.Event()

    async def tool(self, number: int = 0) -> int:
        self.running += 1
        self.order.append(number)
        await self.go_on.wait()
        self.running -= 1
        return number

    async def chunks(self) -> AsyncIterator[int]:
        yield 1
        await self.tool()


async def test_more_calls_than_may_wait_are_refused_at_once() -> None:
    held = Held()
    tool = limited(FakeBody(held.tool, Mode.ASYNC), 2, 1)
    calls = [asyncio.ensure_future(tool.call({"number": n})) for n in range(3)]
    await settle()
    assert held.running == 2
    with pytest.raises(Busy) as caught:
        await tool.call({})
    assert str(caught.value) == (
        "`here.tool` is busy: its `concurrency` allows 2 at a time, and 1 more to wait"
    )
    assert caught.value.provider == "here.tool"
    assert (caught.value.code, caught.value.retriable, caught.value.executed) == (
        "busy",
        True,
        False,
    )
    held.go_on.set()
    assert await asyncio.gather(*calls) == [0, 1, 2]
    assert held.order == [0, 1, 2]
    assert await tool.call({"number": 4}) == 4


async def test_who_waits_is_let_in_in_order() -> None:
    held = Held()
    tool = limited(FakeBody(held.tool, Mode.ASYNC), 1, 10)
    calls = [asyncio.ensure_future(tool.call({"number": n})) for n in range(5)]
    await settle()
    held.go_on.set()
    await asyncio.gather(*calls)
    assert held.order == [0, 1, 2, 3, 4]


async def test_a_cancelled_call_leaves_its_place_in_the_queue() -> None:
    held = Held()
    tool = limited(FakeBody(held.tool, Mode.ASYNC), 1, 1)
    first = asyncio.ensure_future(tool.call({"number": 1}))
    waiting = asyncio.ensure_future(tool.call({"number": 2}))
    await settle()
    waiting.cancel()
    await settle()
    third = asyncio.ensure_future(tool.call({"number": 3}))
    await settle()
    held.go_on.set()
    assert await asyncio.gather(first, third) == [1, 3]
    assert held.order == [1, 3]


async def test_a_cancelled_call_that_runs_lets_the_next_one_in() -> None:
    held = Held()
    tool = limited(FakeBody(held.tool, Mode.ASYNC), 1, 1)
    running = asyncio.ensure_future(tool.call({"number": 1}))
    waiting = asyncio.ensure_future(tool.call({"number": 2}))
    await settle()
    running.cancel()
    await settle()
    assert held.order == [1, 2]
    held.go_on.set()
    assert await waiting == 2


async def test_a_call_waits_no_longer_than_its_deadline() -> None:
    clock = FakeClock()
    gate = Gate("here.tool", 1, 5, clock)
    token = current_call.set(CallContext(deadline=clock.monotonic() - 1))
    async with gate:
        with pytest.raises(CallTimedOut, match="did not begin within the call's time") as caught:
            async with gate:
                pytest.fail("it was let in")
        assert not caught.value.executed
        assert gate.waiting == 0
    async with gate:
        pass
    current_call.reset(token)


async def test_a_generator_counts_for_as_long_as_it_runs() -> None:
    held = Held()
    tool = limited(FakeBody(held.chunks, Mode.ASYNC_GENERATOR), 1)
    running = asyncio.ensure_future(tool.call({}))
    await settle()
    with pytest.raises(Busy):
        await tool.call({})
    held.go_on.set()
    assert await running == [1]
    assert await tool.call({}) == [1]


async def test_sync_callables_are_limited_too() -> None:
    go_on = threading.Event()
    tool = limited(FakeBody(lambda: go_on.wait(4)), 1)
    running = asyncio.ensure_future(tool.call({}))
    await settle()
    with pytest.raises(Busy):
        await tool.call({})
    go_on.set()
    assert await running is True


async def test_a_thread_that_outlives_its_call_still_counts() -> None:
    go_on = threading.Event()

    def chunks() -> Iterator[int]:
        go_on.wait(4)
        yield 1

    for body in (FakeBody(lambda: go_on.wait(4)), FakeBody(chunks, Mode.GENERATOR)):
        go_on.clear()
        tool = limited(body, 1)
        running = asyncio.ensure_future(tool.call({}))
        await settle()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        with pytest.raises(Busy):
            await tool.call({})
        go_on.set()
        clock = SystemClock()
        for _ in range(200):
            with contextlib.suppress(Busy):
                await tool.call({})
                break
            await clock.sleep(0.01)
        assert tool.counts.outcomes["ok"] == 1
