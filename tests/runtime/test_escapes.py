"""What a callable raises ends its call, and neither the event loop nor the wait for its answer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NoReturn

import pytest

from meshd.domain.signature import Mode
from meshd.errors import ToolFailed
from meshd.runtime.offer import Offer, RunningOffer
from meshd.runtime.tool import RunningTool
from meshd.runtime.workers import Workers
from tests.runtime.fakes import FakeBody

ESCAPES: list[BaseException] = [
    SystemExit(3),
    KeyboardInterrupt(),
    StopIteration(),
    asyncio.CancelledError(),
    BaseException("bare"),
]


def bodies(error: BaseException) -> dict[Mode, Callable[[], Any]]:
    def sync() -> NoReturn:
        raise error

    async def on_the_loop() -> NoReturn:
        raise error

    def generator() -> Iterator[int]:
        yield 1
        raise error

    async def async_generator() -> AsyncIterator[int]:
        yield 1
        raise error

    return {
        Mode.SYNC: sync,
        Mode.ASYNC: on_the_loop,
        Mode.GENERATOR: generator,
        Mode.ASYNC_GENERATOR: async_generator,
    }


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("error", ESCAPES, ids=lambda error: type(error).__name__)
async def test_a_tool_answers_whatever_its_callable_raises(
    error: BaseException, mode: Mode
) -> None:
    tool = RunningTool("here", "tool", FakeBody(bodies(error)[mode], mode), {}, Workers())
    with pytest.raises(ToolFailed, match=type(error).__name__):
        await tool.call({})


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("error", ESCAPES, ids=lambda error: type(error).__name__)
async def test_a_resource_answers_whatever_its_callable_raises(
    error: BaseException, mode: Mode
) -> None:
    offer = Offer(body=FakeBody(bodies(error)[mode], mode), name="page", uri="some://page")
    with pytest.raises(ToolFailed, match=type(error).__name__):
        await RunningOffer("here", offer, Workers()).read({}, {})


async def test_a_call_that_is_cancelled_from_outside_is_no_failure() -> None:
    started = asyncio.Event()

    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    tool = RunningTool("here", "tool", FakeBody(wait, Mode.ASYNC), {}, Workers())
    call = asyncio.ensure_future(tool.call({}))
    await started.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
