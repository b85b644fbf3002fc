import asyncio
from typing import Any

import pytest

from meshd.callables.dump import dump
from meshd.callables.expected import ExpectedResult
from meshd.clock import SystemClock
from meshd.domain.spec import CallSettings, JsonValue
from meshd.errors import (
    ArgumentsRejected,
    CallTimedOut,
    ResultRejected,
    ToolFailed,
    Unavailable,
)
from meshd.runtime.context import CallContext, current_call
from meshd.runtime.edge import Edge, Expected
from meshd.runtime.proxy import AsyncProxy, SyncProxy
from meshd.runtime.upstreams import Traits
from meshd.runtime.workers import Workers
from tests.runtime.fakes import FakeClock, FakeUpstream, binding, turn


def always_the_first() -> float:
    return 0.0


def an_edge(**more: Any) -> Edge:
    return Edge(binding(**more), None, dump, SystemClock(), chance=always_the_first)


def edge_over(upstream: FakeUpstream, expected: Expected | None = None, **more: Any) -> Edge:
    edge = Edge(binding(**more), expected, dump, SystemClock())
    edge.wire((upstream,))
    return edge


async def test_arguments_arrive_as_json_values_of_their_own() -> None:
    upstream = FakeUpstream()
    mutable = [1, 2]
    await edge_over(upstream).call({"items": mutable, "raw": b"\xff", "pair": (1, 2)})
    mutable.append(3)
    assert upstream.asked == [{"items": [1, 2], "raw": "/w==", "pair": [1, 2]}]


async def test_an_argument_that_cannot_be_sent_is_rejected_before_anything_is_called() -> None:
    upstream = FakeUpstream()
    with pytest.raises(ArgumentsRejected, match=r"cannot be sent: `thing` is of type `object`"):
        await edge_over(upstream).call({"thing": object()})
    assert upstream.asked == []


async def test_no_answer_in_time_is_a_timeout_that_names_the_provider() -> None:
    with pytest.raises(CallTimedOut, match=r"`there.thing` did not answer within 0.01 s") as caught:
        await edge_over(FakeUpstream(seconds=4), timeout_seconds=0.01).call({})
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.provider == "there.thing"


async def test_a_call_ends_by_the_deadline_of_the_call_that_it_belongs_to() -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + 0.01
    token = current_call.set(CallContext(deadline=deadline))
    upstream = FakeUpstream(seconds=4)
    try:
        with pytest.raises(CallTimedOut, match="within the time that its caller had left"):
            await edge_over(upstream, timeout_seconds=60).call({})
    finally:
        current_call.reset(token)
    assert upstream.deadline == deadline


async def test_a_timeout_inside_the_provider_is_not_mistaken_for_the_callers() -> None:
    class Slow(FakeUpstream):
        async def call(self, *_: Any, **__: Any) -> JsonValue:
            raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own") as caught:
        await edge_over(Slow()).call({})
    assert not isinstance(caught.value, CallTimedOut)


@pytest.mark.parametrize(
    ("own", "providers", "holds"), [(3.0, 60.0, 3.0), (None, 60.0, 60.0), (None, None, 30.0)]
)
async def test_the_time_of_a_call_is_the_needs_else_the_providers_else_meshds(
    own: float | None, providers: float | None, holds: float
) -> None:
    upstream = FakeUpstream(value=1, traits=Traits(call=CallSettings(timeout_seconds=providers)))
    clock = FakeClock()
    edge = Edge(binding(timeout_seconds=own), None, dump, clock)
    edge.wire((upstream,))
    assert await edge.call({}) == 1
    assert upstream.deadline == clock.monotonic() + holds


async def test_who_cannot_be_reached_gives_way_to_the_next() -> None:
    first = FakeUpstream(error=Unavailable("gone", provider="first.thing"))
    second = FakeUpstream(value=2, provider="second.thing")
    edge = an_edge()
    edge.wire((first, second))
    assert await edge.call({"a": 1}) == 2
    assert first.asked == second.asked == [{"a": 1}]


async def test_only_what_was_not_executed_is_tried_elsewhere() -> None:
    first = FakeUpstream(error=ToolFailed("no", provider="first.thing"))
    second = FakeUpstream(value=2)
    edge = an_edge()
    edge.wire((first, second))
    with pytest.raises(ToolFailed, match="no"):
        await edge.call({})
    assert second.asked == []


async def test_a_failure_after_others_were_not_reached_counts_them() -> None:
    first = FakeUpstream(error=Unavailable("gone", provider="first.thing"))
    second = FakeUpstream(error=ToolFailed("no", provider="second.thing"))
    edge = an_edge()
    edge.wire((first, second))
    with pytest.raises(ToolFailed) as caught:
        await edge.call({})
    assert (caught.value.attempts, caught.value.provider) == (2, "second.thing")


async def test_upstreams_share_one_deadline() -> None:
    first = FakeUpstream(error=Unavailable("gone", provider="first.thing"))
    second = FakeUpstream(seconds=4, provider="second.thing")
    edge = an_edge(timeout_seconds=0.01)
    edge.wire((first, second))
    with pytest.raises(
        CallTimedOut, match=r"`second.thing` did not answer within 0.01 s"
    ) as caught:
        await edge.call({})
    assert caught.value.attempts == 2


async def test_a_call_under_way_goes_on_with_the_upstreams_of_then() -> None:
    release = asyncio.Event()

    class Waiting(FakeUpstream):
        async def call(self, *_: Any, **__: Any) -> JsonValue:
            await release.wait()
            raise Unavailable("gone", provider=self.provider)

    edge = an_edge()
    edge.wire((Waiting(), FakeUpstream(value="of before")))
    call = asyncio.ensure_future(edge.call({}))
    await turn()
    edge.wire((FakeUpstream(value="of then"),))
    release.set()
    assert await call == "of then"


async def test_when_nobody_can_be_reached_the_attempts_are_counted() -> None:
    gone = [FakeUpstream(error=Unavailable("gone", provider="x.y")) for _ in range(3)]
    edge = an_edge()
    edge.wire(tuple(gone))
    with pytest.raises(Unavailable) as caught:
        await edge.call({})
    assert caught.value.attempts == 3


async def test_a_call_before_the_first_wiring_waits_for_it() -> None:
    edge = Edge(binding(), None, dump, SystemClock(), settle_seconds=5)
    call = asyncio.ensure_future(edge.call({}))
    await turn()
    assert not call.done()
    edge.wire((FakeUpstream(value=7),))
    assert await call == 7
    assert edge.settled


async def test_it_waits_no_longer_than_the_time_to_settle() -> None:
    edge = Edge(binding(), None, dump, SystemClock(), settle_seconds=0.01)
    with pytest.raises(Unavailable, match=r"needs `there.thing`, which nothing in the mesh"):
        await edge.call({})
    assert edge.settled
    assert not edge.wired


async def test_it_waits_no_longer_than_its_caller() -> None:
    clock = SystemClock()
    edge = Edge(binding(), None, dump, clock, settle_seconds=60)
    token = current_call.set(CallContext(deadline=clock.monotonic() + 0.01))
    try:
        with pytest.raises(Unavailable):
            await edge.call({})
    finally:
        current_call.reset(token)
    assert not edge.settled


async def test_the_time_to_settle_begins_once() -> None:
    clock = FakeClock()
    edge = Edge(binding(), None, dump, clock, settle_seconds=5)
    edge.begin_to_settle()
    clock.seconds += 6
    edge.begin_to_settle()
    await edge.settle()
    assert edge.settled
    await edge.settle()
    assert not edge.wired


async def test_the_result_is_converted_to_the_expected_type() -> None:
    edge = edge_over(FakeUpstream(value=["1", 2]), ExpectedResult(list[int]))
    assert await edge.call({}) == [1, 2]


async def test_a_result_of_another_type_is_rejected() -> None:
    edge = edge_over(FakeUpstream(value="many"), ExpectedResult(int))
    with pytest.raises(ResultRejected, match=r"`there.thing` answered what `tool` does not expect"):
        await edge.call({})


async def test_an_edge_without_upstream_says_so() -> None:
    edge = an_edge()
    with pytest.raises(Unavailable, match="which nothing in the mesh provides now"):
        await edge.call({})


async def test_proxies_take_keyword_arguments_only_and_say_so() -> None:
    edge = edge_over(FakeUpstream())
    with pytest.raises(TypeError, match=r"keyword arguments only.*other\(argument=value\)"):
        await AsyncProxy(edge)("Oslo")
    workers = Workers()
    with pytest.raises(TypeError, match="keyword arguments only"):
        SyncProxy(edge, workers)("Oslo")
    assert repr(AsyncProxy(edge)) == repr(SyncProxy(edge, workers)) == "<proxy for here.tool#other>"
    workers.close()
