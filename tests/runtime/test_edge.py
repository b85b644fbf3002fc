from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import TypeAdapter

from meshd.callables.dump import dump
from meshd.clock import SystemClock
from meshd.domain.spec import JsonValue
from meshd.errors import ArgumentsRejected, CallTimedOut, ResultRejected, Unavailable
from meshd.runtime.context import CallContext, current_call
from meshd.runtime.edge import Edge, Expected
from meshd.runtime.proxy import AsyncProxy, SyncProxy
from meshd.runtime.workers import Workers
from tests.runtime.fakes import binding


@dataclass
class FakeUpstream:
    """Answers with a value after a number of seconds; notes what it was asked."""

    value: JsonValue = None
    seconds: float = 0.0
    asked: tuple[dict[str, JsonValue], ...] = ()
    deadline: float | None = None
    provider: str = "there.thing"

    async def call(self, arguments: dict[str, JsonValue]) -> JsonValue:
        self.asked += (arguments,)
        self.deadline = current_call.get().deadline
        await SystemClock().sleep(self.seconds)
        return self.value


def edge_over(upstream: FakeUpstream, expected: Expected | None = None, **more: Any) -> Edge:
    edge = Edge(binding(**more), expected, dump, SystemClock())
    edge.upstreams = (upstream,)
    return edge


async def test_arguments_arrive_as_json_values_of_their_own() -> None:
    upstream = FakeUpstream()
    mutable = [1, 2]
    await edge_over(upstream).call({"items": mutable, "raw": b"\xff", "pair": (1, 2)})
    mutable.append(3)
    assert upstream.asked == ({"items": [1, 2], "raw": "/w==", "pair": [1, 2]},)


async def test_an_argument_that_cannot_be_sent_is_rejected_before_anything_is_called() -> None:
    upstream = FakeUpstream()
    with pytest.raises(ArgumentsRejected, match=r"cannot be sent: `thing` is of type `object`"):
        await edge_over(upstream).call({"thing": object()})
    assert upstream.asked == ()


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
        with pytest.raises(CallTimedOut):
            await edge_over(upstream, timeout_seconds=60).call({})
    finally:
        current_call.reset(token)
    assert upstream.deadline == deadline


async def test_a_timeout_inside_the_provider_is_not_mistaken_for_the_callers() -> None:
    class Slow(FakeUpstream):
        async def call(self, arguments: dict[str, JsonValue]) -> JsonValue:
            raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own") as caught:
        await edge_over(Slow()).call({})
    assert not isinstance(caught.value, CallTimedOut)


async def test_without_a_timeout_a_call_has_no_deadline() -> None:
    upstream = FakeUpstream(value=1)
    assert await edge_over(upstream, timeout_seconds=None).call({}) == 1
    assert upstream.deadline is None


async def test_the_result_is_converted_to_the_expected_type() -> None:
    edge = edge_over(FakeUpstream(value=["1", 2]), TypeAdapter(list[int]))
    assert await edge.call({}) == [1, 2]


async def test_a_result_of_another_type_is_rejected() -> None:
    edge = edge_over(FakeUpstream(value="many"), TypeAdapter(int))
    with pytest.raises(ResultRejected, match=r"`there.thing` answered what `tool` does not expect"):
        await edge.call({})


async def test_an_edge_without_upstream_says_so() -> None:
    edge = Edge(binding(), None, dump, SystemClock())
    with pytest.raises(Unavailable, match="and nothing comes near"):
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
