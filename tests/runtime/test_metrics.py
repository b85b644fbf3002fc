"""What is counted of calls, and how Prometheus reads it."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request

from meshd.callables.dump import dump
from meshd.clock import SystemClock
from meshd.domain.signature import Mode
from meshd.errors import CallError
from meshd.runtime.counts import BOUNDS_SECONDS, ToolCounts
from meshd.runtime.edge import Edge
from meshd.runtime.metrics import metrics_route
from meshd.runtime.tool import Conduct, RunningTool
from meshd.runtime.upstreams import InProcessUpstream
from meshd.runtime.workers import Workers
from tests.runtime.fakes import FakeBody, FakeClock, binding, settle


async def scraped(
    tools: Mapping[str, RunningTool], clock: FakeClock | None = None
) -> dict[str, float]:
    """Return every sample of meshd's own, as `name{label=value,…}`."""
    answer = await metrics_route("here", tools, clock or FakeClock())(Request({"type": "http"}))
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        sample.name + str(sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(bytes(answer.body).decode())
        for sample in family.samples
        if sample.name.startswith("meshd_")
    }


def running(body: FakeBody, conduct: Conduct | None = None) -> RunningTool:
    return RunningTool("here", "tool", body, {}, Workers(), conduct or Conduct())


async def test_calls_are_counted_by_their_outcome() -> None:
    def tool(number: int = 1) -> float:
        return 1 / number

    one = running(FakeBody(tool))
    await one.call({})
    await one.call({"number": 2})
    for bad in ({"number": 0}, {"wrong": 1}, {"no": 1}):
        with pytest.raises(CallError):
            await one.call(bad)
    found = await scraped({"tool": one})
    assert {name: value for name, value in found.items() if "calls_total" in name} == {
        "meshd_tool_calls_total['here', 'ok', 'tool']": 2,
        "meshd_tool_calls_total['failed', 'here', 'tool']": 2,
        "meshd_tool_calls_total['arguments', 'here', 'tool']": 1,
    }
    assert found["meshd_tool_call_seconds_count['here', 'tool']"] == 5
    assert 0 < found["meshd_tool_call_seconds_sum['here', 'tool']"] < 5


async def test_calls_under_way_and_waiting_are_shown() -> None:
    go_on = asyncio.Event()
    body = FakeBody(go_on.wait, Mode.ASYNC)
    one = running(body, Conduct(concurrency_max=2, concurrency_queue=5))
    calls = [asyncio.ensure_future(one.call({})) for _ in range(5)]
    await settle()
    found = await scraped({"tool": one})
    assert found["meshd_tool_calls_in_flight['here', 'tool']"] == 5
    assert found["meshd_tool_calls_waiting['here', 'tool']"] == 3
    calls[0].cancel()
    go_on.set()
    await asyncio.gather(*calls, return_exceptions=True)
    found = await scraped({"tool": one})
    assert found["meshd_tool_calls_in_flight['here', 'tool']"] == 0
    assert found["meshd_tool_calls_waiting['here', 'tool']"] == 0
    assert found["meshd_tool_calls_total['cancelled', 'here', 'tool']"] == 1
    assert found["meshd_tool_calls_total['here', 'ok', 'tool']"] == 4


async def test_times_fall_into_buckets_that_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    one = running(FakeBody(lambda: None))
    took = (0.0, 0.0001, 0.00011, 1.0, 59.0, 61.0)
    for seconds in took:
        monkeypatch.setattr(
            "meshd.runtime.counts.perf_counter", iter((100.0, 100 + seconds)).__next__
        )
        one.counts.end(one.counts.begin())
    found = await scraped({"tool": one})
    buckets = [value for name, value in found.items() if "seconds_bucket" in name]
    assert len(buckets) == len(BOUNDS_SECONDS) + 1
    assert buckets[:2] == [1, 3]
    assert buckets[-3:] == [4, 5, 6]
    assert found["meshd_tool_call_seconds_sum['here', 'tool']"] == pytest.approx(sum(took))


async def test_the_process_and_the_agent_are_shown() -> None:
    clock = FakeClock()
    handler = metrics_route("shop/here", {}, clock)
    clock.seconds += 7
    text = bytes((await handler(Request({"type": "http"}))).body).decode()
    assert 'meshd_agent_uptime_seconds{agent="shop/here"} 7.0' in text
    for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "python_gc_"):
        assert f"\n{name}" in text


async def test_calls_to_needs_are_counted_by_edge() -> None:
    async def provide(arguments: dict[str, Any]) -> Any:
        return arguments["number"]

    async def consume(other: Any) -> Any:
        return await other(number=3)

    edge = Edge(binding(), None, dump, SystemClock())
    edge.wire((InProcessUpstream("there.thing", provide),))
    body = FakeBody(consume, Mode.ASYNC)
    one = RunningTool("here", "tool", body, {"other": edge}, Workers())
    assert await one.call({}) == 3
    found = await scraped({"tool": one})
    edges = {
        name.removeprefix("meshd_edge_"): value
        for name, value in found.items()
        if name.startswith("meshd_edge_") and "seconds" not in name
    }
    assert edges == {
        "calls_total['here', 'ok', 'other', 'tool']": 1,
        "calls_in_flight['here', 'other', 'tool']": 0,
        "attempts_total['here', 'other', 'tool']": 1,
        "retries_total['here', 'other', 'tool']": 0,
        "failovers_total['here', 'other', 'tool']": 0,
        "hedges_total['here', 'other', 'tool']": 0,
        "waits_total['here', 'other', 'tool']": 0,
        "upstreams['closed', 'here', 'other', 'tool']": 1,
        "upstreams['here', 'open', 'other', 'tool']": 0,
        "upstreams['half-open', 'here', 'other', 'tool']": 0,
    }
    assert found["meshd_edge_call_seconds_count['here', 'other', 'tool']"] == 1


def test_a_tool_that_was_never_called_has_a_count() -> None:
    assert ToolCounts().outcomes == {"ok": 0}
