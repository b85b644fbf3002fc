"""Calls that take long: pings, clients that leave, time that is over, slow readers."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from meshd.clock import SystemClock
from meshd.domain.signature import Mode
from meshd.runtime.lane import exchange as exchange_module
from tests.runtime.asgi import Question, agent_apps, asked, newer, older
from tests.runtime.fakes import turn

FORMS = pytest.mark.parametrize("form", [newer, older])
Form = Callable[..., Question]


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "WATCH_SECONDS", 0.005)
    monkeypatch.setattr(exchange_module, "PING_SECONDS", 0.03)


class Waiting:
    """A tool that waits until it is let go on."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.ended: list[str] = []

    async def tool(self) -> str:
        self.begun.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        self.ended.append("done")
        return "done"


def named(waiting: Waiting) -> Callable[..., Any]:
    async def wait() -> str:
        return await waiting.tool()

    return wait


async def test_a_call_that_waits_for_a_moment_is_answered_as_usual() -> None:
    async def moment() -> int:
        await turn()
        return 1

    async with agent_apps(moment) as apps:
        reply = await asked(apps.laned, newer("moment"))
        assert reply.headers[b"content-type"] == b"application/json"
        assert reply.result["structuredContent"] == {"result": 1}


@FORMS
async def test_silence_is_broken_by_pings(form: Form) -> None:
    waiting = Waiting()
    async with agent_apps(named(waiting)) as apps:
        pings: list[Any] = []

        def heard(message: Any) -> None:
            if message.get("body") == b": ping\r\n\r\n":
                pings.append(message)
                if len(pings) == 2:
                    waiting.go_on.set()

        reply = await asked(apps.laned, form("wait"), heard)
    assert not reply.by_fastmcp
    assert reply.headers[b"content-type"] == b"text/event-stream"
    assert reply.result["structuredContent"] == {"result": "done"}
    assert [message["type"] for message in reply.messages].count("http.response.start") == 1
    assert [m.get("more_body", False) for m in reply.messages[1:]] == [True, True, False]


async def test_an_older_client_sees_at_once_that_its_answer_begins() -> None:
    waiting = Waiting()
    async with agent_apps(named(waiting)) as apps:

        def heard(message: Any) -> None:
            if message["type"] == "http.response.start":
                waiting.go_on.set()

        reply = await asked(apps.laned, older("wait"), heard)
    assert [m["type"] for m in reply.messages] == ["http.response.start", "http.response.body"]
    assert reply.result["structuredContent"] == {"result": "done"}


@FORMS
async def test_a_client_that_leaves_cancels_the_call(form: Form) -> None:
    waiting = Waiting()
    async with agent_apps(named(waiting)) as apps:
        question = form("wait")

        async def leave() -> None:
            await waiting.begun.wait()
            question.leaves.set()

        reply, _ = await asyncio.gather(asked(apps.laned, question), leave())
    assert waiting.ended == ["cancelled"]
    assert [m for m in reply.messages if m["type"] == "http.response.body"] == []


async def test_a_call_that_does_not_mind_being_cancelled_is_answered() -> None:
    begun = asyncio.Event()

    async def stubborn() -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "still here"
        return "never"

    async with agent_apps(stubborn) as apps:
        question = newer("stubborn")

        async def leave() -> None:
            await begun.wait()
            question.leaves.set()

        reply, _ = await asyncio.gather(asked(apps.laned, question), leave())
    assert reply.result["structuredContent"] == {"result": "still here"}
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_call_that_fails_as_it_is_cancelled_is_answered() -> None:
    async def clumsy() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise LookupError("the other cleanup")

    async with agent_apps(clumsy) as apps:
        question = newer("clumsy").with_headers((b"meshd-timeout", b"0.01"))
        task = asyncio.current_task()
        assert task is not None
        reply = await asked(apps.laned, question)
        assert reply.result["content"][0]["text"] == "LookupError: the other cleanup"
        assert task.cancelling() == 0


async def test_a_client_that_reads_nothing_is_sent_one_ping_at_a_time() -> None:
    waiting = Waiting()
    async with agent_apps(named(waiting)) as apps:
        question = newer("wait")
        sent: list[Any] = []
        chunks = list(question.chunks)

        async def receive() -> Any:
            if chunks:
                return {"type": "http.request", "body": chunks.pop()}
            return await asyncio.get_running_loop().create_future()

        async def send(message: Any) -> None:
            sent.append(message["type"])
            await asyncio.get_running_loop().create_future()

        serving = asyncio.ensure_future(apps.laned(question.scope(), receive, send))
        await SystemClock().sleep(0.15)
        assert sent == ["http.response.start"]
        serving.cancel()
        await asyncio.wait([serving])


async def test_who_is_cancelled_from_outside_answers_nothing() -> None:
    waiting = Waiting()
    async with agent_apps(named(waiting)) as apps:
        serving = asyncio.ensure_future(asked(apps.laned, newer("wait")))
        await waiting.begun.wait()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
    assert waiting.ended == ["cancelled"]


@FORMS
@pytest.mark.parametrize(
    "header", [(b"meshd-timeout", b"0.1"), (b"meshd-timeout", b" 0.1 "), (b"meshd-timeout", b"0")]
)
async def test_a_call_whose_time_is_over_is_answered_alike(
    form: Form, header: tuple[bytes, bytes]
) -> None:
    for way in ("laned", "plain"):
        waiting = Waiting()
        async with agent_apps(named(waiting)) as apps:
            # What FastMCP imports with its first call may take longer than the call may.
            await asked(apps.plain, form("wait").with_headers((b"meshd-timeout", b"0")))
            reply = await asked(getattr(apps, way), form("wait").with_headers(header))
            assert reply.by_fastmcp == (way == "plain")
        assert waiting.ended == ([] if header[1] == b"0" else ["cancelled"])
        assert reply.result["content"][0]["text"] == "`here.wait` was not done in time"
        assert reply.result["isError"] is True
        assert reply.result["_meta"]["meshd.dev/error"]["code"] == "timeout"


async def test_a_stream_whose_time_is_over_ends_with_the_error() -> None:
    async def endless() -> Any:
        while True:
            yield "again"

    async with agent_apps(endless, mode=Mode.ASYNC_GENERATOR) as apps:
        question = newer("endless", progressToken=1).with_headers((b"meshd-timeout", b"0.02"))
        reply = await asked(apps.laned, question)
    assert reply.events[0]["params"]["message"] == "again"
    assert reply.result["_meta"]["meshd.dev/error"]["code"] == "timeout"


async def test_a_client_that_leaves_ends_a_stream_that_never_waits() -> None:
    closed: list[bool] = []

    async def endless() -> Any:
        try:
            while True:
                yield "again"
        finally:
            closed.append(True)

    async with agent_apps(endless, mode=Mode.ASYNC_GENERATOR) as apps:
        question = newer("endless", progressToken=1)
        sent: list[Any] = []

        def heard(message: Any) -> None:
            sent.append(message)
            if len(sent) == 10:
                question.leaves.set()

        await asked(apps.laned, question, heard)
    assert closed == [True]


async def test_a_slow_client_slows_the_generator_down() -> None:
    made: list[int] = []

    async def numbers() -> Any:
        for number in range(100):
            made.append(number)
            yield number

    async with agent_apps(numbers, mode=Mode.ASYNC_GENERATOR) as apps:
        reads = asyncio.Semaphore(3)
        question = newer("numbers", progressToken=1)
        scope, chunks = question.scope(), list(question.chunks)

        async def receive() -> Any:
            if chunks:
                return {"type": "http.request", "body": chunks.pop()}
            return await asyncio.get_running_loop().create_future()

        async def send(_: Any) -> None:
            await reads.acquire()

        serving = asyncio.ensure_future(apps.laned(scope, receive, send))
        await SystemClock().sleep(0.1)
        # The start, two chunks, and one that waits for its turn.
        assert made == [0, 1, 2]
        serving.cancel()
        await asyncio.wait([serving])
