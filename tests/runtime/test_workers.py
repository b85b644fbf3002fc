import asyncio
import contextvars
import threading
from collections.abc import Generator

import pytest

from meshd.errors import CallError
from meshd.runtime.workers import CHUNKS_AHEAD, Places, Workers
from tests.runtime.fakes import turn

who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")


async def test_a_callable_runs_in_a_thread_with_the_callers_context() -> None:
    workers = Workers()
    who.set("alice")
    result = await workers.run(lambda: (who.get(), threading.current_thread().name))
    assert result[0] == "alice"
    assert result[1].startswith("meshd-worker")
    workers.close()


async def test_what_a_callable_raises_reaches_the_caller() -> None:
    workers = Workers()

    def fail() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await workers.run(fail)
    workers.close()


async def test_no_more_callables_run_than_there_are_places() -> None:
    workers = Workers(limit=2)
    running = 0
    most = 0
    lock = threading.Lock()
    gate = threading.Barrier(2, timeout=4)

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        gate.wait()
        with lock:
            running -= 1

    await asyncio.gather(*(workers.run(work) for _ in range(8)))
    assert most == 2
    workers.close()


async def test_nested_sync_calls_deeper_than_the_places_do_not_wait_for_each_other() -> None:
    workers = Workers(limit=2)

    async def on_the_loop(depth: int) -> int:
        return await workers.run(lambda: nest(depth))

    def nest(depth: int) -> int:
        return 0 if depth == 0 else 1 + workers.wait_for(on_the_loop(depth - 1))

    assert await asyncio.gather(*(on_the_loop(20) for _ in range(5))) == [20] * 5
    workers.close()


async def test_places_are_given_back_after_nested_calls() -> None:
    workers = Workers(limit=1)

    async def inner() -> str:
        return await workers.run(lambda: "inner")

    for _ in range(5):
        assert await workers.run(lambda: workers.wait_for(inner())) == "inner"
    assert await workers.run(lambda: "free") == "free"
    workers.close()


async def test_waiting_on_the_event_loop_is_refused() -> None:
    workers = Workers()

    async def call() -> None: ...

    with pytest.raises(CallError, match="on the event loop"):
        workers.wait_for(call())
    workers.close()


async def test_a_nested_call_sees_the_context_of_the_thread_that_makes_it() -> None:
    workers = Workers()

    async def inner() -> str:
        return who.get()

    def outer() -> str:
        who.set("bob")
        return workers.wait_for(inner())

    assert await workers.run(outer) == "bob"
    workers.close()


async def test_a_cancelled_caller_leaves_the_place_to_the_callable_until_it_returns() -> None:
    workers = Workers(limit=1)
    go_on = threading.Event()
    waiting = asyncio.ensure_future(workers.run(lambda: go_on.wait(4)))
    await turn()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    second = asyncio.ensure_future(workers.run(lambda: "second"))
    for _ in range(10):
        await turn()
    assert not second.done()
    go_on.set()
    assert await second == "second"
    workers.close()


async def test_a_cancelled_turn_passes_its_place_on() -> None:
    places = Places(1)
    await places.take()
    first = asyncio.ensure_future(places.take())
    second = asyncio.ensure_future(places.take())
    await turn()
    first.cancel()
    places.give()
    await second
    third = asyncio.ensure_future(places.take())
    await turn()
    places.give()
    await third


async def test_a_place_handed_to_a_caller_that_was_just_cancelled_is_not_lost() -> None:
    places = Places(1)
    await places.take()
    waiting = asyncio.ensure_future(places.take())
    await turn()
    places.give()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await places.take()


async def test_a_sync_generator_runs_in_one_thread() -> None:
    workers = Workers()

    def chunks() -> Generator[str, None, None]:
        for _ in range(3):
            yield threading.current_thread().name

    names = [name async for name in workers.iterate(chunks())]
    assert len(names) == 3
    assert len(set(names)) == 1
    workers.close()


async def test_a_sync_generator_waits_for_a_slow_consumer() -> None:
    workers = Workers()
    made = 0

    def chunks() -> Generator[int, None, None]:
        nonlocal made
        for number in range(1000):
            made += 1
            yield number

    async for number in workers.iterate(chunks()):
        await turn()
        assert made <= number + CHUNKS_AHEAD + 2
        if number == 100:
            break
    workers.close()


async def test_a_sync_generator_is_closed_when_its_consumer_stops() -> None:
    workers = Workers()
    closed = threading.Event()

    def chunks() -> Generator[int, None, None]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    stream = workers.iterate(chunks())
    async for _ in stream:
        break
    await stream.aclose()
    assert await asyncio.to_thread(closed.wait, 4)
    workers.close()


async def test_what_a_sync_generator_raises_reaches_the_consumer_after_its_chunks() -> None:
    workers = Workers()

    def chunks() -> Generator[int, None, None]:
        yield 1
        raise LookupError("no more")

    stream = workers.iterate(chunks())
    assert await anext(stream) == 1
    with pytest.raises(LookupError, match="no more"):
        await anext(stream)
    workers.close()


async def test_closed_workers_start_nothing_and_keep_no_place() -> None:
    workers = Workers(limit=1)
    workers.close()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="shutdown"):
            await workers.run(lambda: None)


def test_a_callable_may_outlive_the_event_loop() -> None:
    go_on = threading.Event()
    thread: list[threading.Thread] = []

    async def leave_behind() -> None:
        workers = Workers()

        def work() -> None:
            thread.append(threading.current_thread())
            go_on.wait(4)

        running = asyncio.ensure_future(workers.run(work))
        while not thread:
            await turn()
        running.cancel()
        workers.close()

    asyncio.run(leave_behind())
    go_on.set()
    thread[0].join(4)
    assert not thread[0].is_alive()


async def test_what_a_nested_call_raises_reaches_the_callable() -> None:
    workers = Workers()

    async def fail() -> None:
        raise LookupError("gone")

    def nest() -> str:
        with pytest.raises(LookupError, match="gone"):
            workers.wait_for(fail())
        return "caught"

    assert await workers.run(nest) == "caught"
    workers.close()


async def test_a_nested_call_that_is_cancelled_is_an_error_for_the_callable() -> None:
    workers = Workers()

    async def cancelled() -> None:
        raise asyncio.CancelledError

    def nest() -> str:
        with pytest.raises(CallError, match="the call was cancelled"):
            workers.wait_for(cancelled())
        return "caught"

    assert await workers.run(nest) == "caught"
    workers.close()
