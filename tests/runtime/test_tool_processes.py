"""The pool of a tool's processes, without any process."""

import asyncio

import pytest

from meshd.errors import CallTimedOut, ToolFailed, Unavailable
from meshd.runtime.context import CallContext, current_call
from meshd.runtime.raised import RaisedElsewhere
from meshd.runtime.tool_processes import (
    Chunk,
    DoesNotStart,
    Done,
    Failed,
    Invoke,
    Message,
    Raised,
    ToolProcesses,
)
from tests.runtime.fakes import FakeClock, settle


class FakeLink:
    """A process that a test lets speak."""

    def __init__(self) -> None:
        self.is_alive = True
        self.received: list[Message] = []
        self.said: asyncio.Queue[Message | None] = asyncio.Queue()

    async def send(self, message: Message) -> None:
        self.received.append(message)

    async def receive(self) -> Message:
        said = await self.said.get()
        if said is None:
            self.is_alive = False
            raise EOFError
        return said

    async def fate(self) -> str:
        return "ended with status 9"

    def kill(self) -> None:
        self.is_alive = False


class Starts:
    """Starts fake processes; the test says whether and when."""

    def __init__(self) -> None:
        self.links: list[FakeLink] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.problem = ""

    async def __call__(self) -> FakeLink:
        await self.go_on.wait()
        if self.problem:
            raise DoesNotStart(self.problem)
        self.links.append(FakeLink())
        return self.links[-1]


def pool(
    number: int = 1, *, is_generator: bool = False, clock: FakeClock | None = None
) -> tuple[ToolProcesses, Starts]:
    starts = Starts()
    made = ToolProcesses("here.tool", number, starts, is_generator=is_generator, clock=clock)
    return made, starts


def calling(processes: ToolProcesses) -> "asyncio.Task[object]":
    async def call() -> object:
        return await processes.call({"a": 1}, {}, None)

    return asyncio.ensure_future(call())


async def test_a_process_is_used_again() -> None:
    processes, starts = pool()
    for number in (1, 2):
        call = calling(processes)
        await settle()
        starts.links[0].said.put_nowait(Done(number))
        assert await call == number
    assert starts.links[0].received == [Invoke({"a": 1}), Invoke({"a": 1})]
    assert len(starts.links) == 1


async def test_no_more_run_than_there_may_be_processes() -> None:
    processes, starts = pool(2)
    calls = [calling(processes) for _ in range(5)]
    await settle()
    assert len(starts.links) == 2
    for number in range(5):
        starts.links[0].said.put_nowait(Done(number))
        await settle()
    assert [call.done() for call in calls] == [True, False, True, True, True]
    starts.links[1].said.put_nowait(Done())
    await asyncio.gather(*calls)
    assert len(starts.links) == 2


async def test_the_chunks_of_a_generator_are_its_result() -> None:
    processes, starts = pool(is_generator=True)
    for chunks in ([1, 2], []):
        call = calling(processes)
        await settle()
        for chunk in chunks:
            starts.links[0].said.put_nowait(Chunk(chunk))
        starts.links[0].said.put_nowait(Done())
        assert await call == chunks


@pytest.mark.parametrize(
    ("said", "kind", "text"),
    [
        (Failed(ToolFailed("no", provider="there.x")), ToolFailed, "no"),
        (Raised("KeyError: 'a'"), RaisedElsewhere, "KeyError: 'a'"),
    ],
)
async def test_a_process_whose_callable_failed_is_kept(
    said: Message, kind: type[Exception], text: str
) -> None:
    processes, starts = pool()
    call = calling(processes)
    await settle()
    starts.links[0].said.put_nowait(said)
    with pytest.raises(kind, match=text):
        await call
    calling(processes).cancel()
    assert starts.links[0].is_alive


async def test_a_process_that_died_while_idle_is_replaced() -> None:
    processes, starts = pool()
    call = calling(processes)
    await settle()
    starts.links[0].said.put_nowait(Done())
    await call
    starts.links[0].is_alive = False
    call = calling(processes)
    await settle()
    starts.links[1].said.put_nowait(Done(2))
    assert await call == 2


async def test_a_process_that_dies_fails_the_call() -> None:
    processes, starts = pool()
    call = calling(processes)
    await settle()
    starts.links[0].said.put_nowait(None)
    with pytest.raises(ToolFailed) as caught:
        await call
    assert str(caught.value) == "`here.tool` failed: its process ended with status 9"


async def test_a_cancelled_call_kills_its_process() -> None:
    processes, starts = pool()
    call = calling(processes)
    await settle()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not starts.links[0].is_alive


async def test_a_call_past_its_deadline_kills_its_process() -> None:
    clock = FakeClock()
    processes, starts = pool(clock=clock)
    processes.warm_up()
    await settle()
    token = current_call.set(CallContext(deadline=clock.monotonic() + 0.01))
    call = calling(processes)
    current_call.reset(token)
    with pytest.raises(CallTimedOut, match=r"`here.tool` was stopped: the call's time was over"):
        await call
    assert not starts.links[0].is_alive


async def test_a_start_is_not_lost_with_the_call_that_wanted_it() -> None:
    processes, starts = pool()
    starts.go_on.clear()
    for _ in range(3):
        call = calling(processes)
        await settle()
        call.cancel()
        await settle()
    starts.go_on.set()
    call = calling(processes)
    await settle()
    starts.links[0].said.put_nowait(Done(4))
    assert await call == 4
    assert len(starts.links) == 1


async def test_what_does_not_start_is_unavailable_and_tried_again() -> None:
    processes, starts = pool()
    starts.problem = "module `shop` not found"
    with pytest.raises(Unavailable) as caught:
        await calling(processes)
    assert str(caught.value) == "`here.tool` has no process to run in: module `shop` not found"
    starts.problem = ""
    call = calling(processes)
    await settle()
    starts.links[0].said.put_nowait(Done(5))
    assert await call == 5


async def test_closing_kills_all_that_idle_run_and_start() -> None:
    processes, starts = pool(3)
    first, second = calling(processes), calling(processes)
    await settle()
    starts.links[0].said.put_nowait(Done())
    await first
    processes.warm_up()
    await settle()
    starts.go_on.clear()
    processes.warm_up()
    await processes.close()
    assert [link.is_alive for link in starts.links] == [False, False, False]
    second.cancel()
