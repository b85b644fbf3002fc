"""What takes time: tools that wait, clients that leave, and deadlines; answered alike again."""

import asyncio
import sys
from collections.abc import Generator
from typing import Any

import pytest
from starlette.types import ASGIApp

from meshd.clock import SystemClock
from tests.differential.apps import Apps, two_apps
from tests.differential.compare import difference
from tests.differential.requests import Draft, modern, older
from tests.differential.src.odd_tools import FAILURES, RESULTS
from tests.differential.wire import Answer, Exchange, Request

PATIENCE_SECONDS = 3


@pytest.fixture(scope="module")
def apps() -> Generator[Apps, None, None]:
    with two_apps() as made:
        yield made


def drafts(tool: str, arguments: dict[str, Any], token: int | None = None) -> list[Draft]:
    made = [modern(tool, arguments), older(tool, arguments, 1, "2025-11-25")]
    for draft in made:
        if token is not None:
            draft.meta["progressToken"] = token
    return made


@pytest.mark.timeout(30)
@pytest.mark.parametrize("token", [None, 1])
@pytest.mark.parametrize(
    ("tool", "arguments"), [("slow", {}), ("slow", {"seconds": 0}), ("slow_ticks", {"n": 2})]
)
def test_a_tool_that_waits(
    apps: Apps, tool: str, arguments: dict[str, Any], token: int | None
) -> None:
    for draft in drafts(tool, arguments, token):
        lane, _ = apps.both(draft.request())
        assert not lane.by_starlette
        assert not apps.difference(draft.request())


DEADLINES = (b"0", b"0.0", b"0.000000001", b"nope", b"-1", b"1e3", b"", b"5, 0.0", b"5")


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", [b"meshd-timeout", b"x-mesh-timeout"])
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("add", {"a": 1, "b": 2}),
        ("add", {"a": "x"}),
        ("add_in_a_thread", {"a": 1}),
        ("inline", {"kind": "one"}),
        ("ticks", {"n": 2}),
        ("lines", {"text": "a\nb"}),
        ("raises", {"kind": "tool"}),
    ],
)
def test_a_deadline(apps: Apps, tool: str, arguments: dict[str, Any], name: bytes) -> None:
    for draft in drafts(tool, arguments):
        for said in DEADLINES:
            request = draft.request().with_header(name, said)
            assert apps.difference(request) == "", said


@pytest.mark.parametrize("said", [b"0", b"0.01", b"5", b"nope"])
@pytest.mark.parametrize(
    ("tool", "arguments"), [("slow", {"seconds": 0.03}), ("slow_ticks", {"n": 3})]
)
def test_a_deadline_of_a_tool_that_waits(
    apps: Apps, tool: str, arguments: dict[str, Any], said: bytes
) -> None:
    for draft in drafts(tool, arguments):
        assert not apps.difference(draft.request().with_header(b"meshd-timeout", said))


@pytest.mark.parametrize("token", [None, 1])
def test_a_call_that_is_never_done_ends_with_its_deadline(apps: Apps, token: int | None) -> None:
    for draft in drafts("endless", {}, token):
        request = draft.request().with_header(b"meshd-timeout", b"0.03")
        lane, _ = apps.both(request)
        assert b"was not done in time" in lane.body
        assert not apps.difference(request)


async def left(app: ASGIApp, request: Request, leaves_after: int) -> tuple[list[str], bool]:
    """Leave an application in the middle; return which tools ended by it, and whether it did."""
    ended: list[str] = sys.modules["odd_tools"].ENDED
    ended.clear()
    exchange = Exchange(request, leaves_after)
    asking = asyncio.ensure_future(app(exchange.scope, exchange.receive, exchange.send))
    if leaves_after == 0:
        await SystemClock().sleep(0.1)
        exchange.leave()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await asking
        while not ended:
            await SystemClock().sleep(0.01)
    return list(ended), exchange.answer().failure == ""


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("tool", "token", "leaves_after"),
    [("endless", None, 0), ("endless", 1, 0), ("endless_ticks", None, 0), ("endless_ticks", 1, 5)],
)
def test_a_client_that_leaves_ends_its_call(
    apps: Apps, tool: str, token: int | None, leaves_after: int
) -> None:
    for draft in drafts(tool, {}, token):
        for app in (apps.lane, apps.plain):
            ended, answered = apps.run(left(app, draft.request(), leaves_after))
            assert (ended, answered) == ([tool], False)


async def together(app: ASGIApp, requests: list[Request]) -> list[Answer]:
    """Ask for all of it at the same time; return the answers in the order of the requests."""
    exchanges = [Exchange(request) for request in requests]
    await asyncio.gather(*(app(one.scope, one.receive, one.send) for one in exchanges))
    return [one.answer() for one in exchanges]


def is_busy(answer: Answer) -> bool:
    return b'"code":"busy"' in answer.body


@pytest.mark.parametrize("token", [None, 1])
def test_who_comes_when_all_places_are_taken(apps: Apps, token: int | None) -> None:
    for draft in drafts("one_at_a_time", {"seconds": 0.02}, token):
        requests = [draft.request()] * 4
        lane, plain = (apps.run(together(app, requests)) for app in (apps.lane, apps.plain))
        for answers in (lane, plain):
            answers.sort(key=is_busy)
            assert [is_busy(one) for one in answers] == [False, False, True, True]
        assert [difference(*pair) for pair in zip(lane, plain, strict=True)] == [""] * 4


@pytest.mark.timeout(30)
def test_many_at_a_time_are_not_mixed_up(apps: Apps) -> None:
    requests = [
        draft.request()
        for number in range(30)
        for draft in (
            modern("slow", {"seconds": 0.01 * (number % 3)}, number),
            modern("add_in_a_thread", {"a": number}, f"{number}"),
            older("ticks", {"n": number % 5}, number),
        )
    ]

    lane, plain = (apps.run(together(app, requests)) for app in (apps.lane, apps.plain))
    assert [one.body for one in lane] == [one.body for one in plain]


@pytest.mark.no_cover
@pytest.mark.timeout(60)
def test_every_result_that_comes_late(apps: Apps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshd.runtime.lane.exchange.WATCH_SECONDS", 0.0)
    cases = [(tool, kind) for tool in ("slow_result", "slow_chunks") for kind in RESULTS]
    cases += [("slow_raises", kind) for kind in FAILURES]
    requests = [
        draft.request()
        for tool, kind in cases
        for token in ((None, 1) if tool == "slow_chunks" else (None,))
        for draft in drafts(tool, {"kind": kind}, token)
    ]
    found = [f"{text}\n\n{one}" for one in requests if (text := apps.difference(one))]
    assert not found, "\n\n---\n".join([f"{len(found)} differences", *found[:5]])


PING_SECONDS = 0.08


@pytest.mark.timeout(30)
@pytest.mark.parametrize(("tool", "token"), [("slow", None), ("slow", 1), ("slow_ticks", None)])
def test_a_long_silence_is_filled_with_pings(
    apps: Apps, monkeypatch: pytest.MonkeyPatch, tool: str, token: int | None
) -> None:
    monkeypatch.setattr("meshd.runtime.lane.exchange.PING_SECONDS", PING_SECONDS)
    monkeypatch.setattr("mcp.server._streamable_http_modern._SSE_PING_INTERVAL", PING_SECONDS)
    draft = modern(tool, {"seconds": 0.19} if tool == "slow" else {"n": 18})
    if token is not None:
        draft.meta["progressToken"] = token
    lane, plain = apps.both(draft.request())
    assert not lane.by_starlette
    # How many there are is a matter of moments.
    once = [Answer(one.status, one.headers, without_repeats(one.body)) for one in (lane, plain)]
    assert not difference(*once)
    assert once[0].body.startswith(b": ping\r\n\r\nevent: message\r\n")


def without_repeats(stream: bytes) -> bytes:
    found = stream.split(b"\r\n\r\n")
    return b"\r\n\r\n".join(one for at, one in enumerate(found) if not at or one != found[at - 1])
