"""What counting costs on each call, and what it costs to be asked for the numbers.

Run by hand: PYTHONPATH=. python tests/benchmarks/metrics_cost.py
"""

import time
from collections.abc import Callable

import uvloop
from starlette.requests import Request

from meshd.callables.allow import ImportPolicy
from meshd.callables.load import Loader
from meshd.callables.tool import LoadedTool, Target, compile_tool
from meshd.clock import SystemClock
from meshd.domain.spec import ToolSpec
from meshd.runtime.counts import ToolCounts
from meshd.runtime.metrics import metrics_route
from meshd.runtime.tool import RunningTool
from meshd.runtime.workers import Workers

LIMIT_MICROSECONDS = 2.0
CALLS = 20_000
ROUNDS = 15
ARGUMENTS = {"a": 1, "b": 2}


class NoCounts(ToolCounts):
    """Counts nothing."""

    def begin(self) -> float:
        return 0.0

    def end(self, began: float, outcome: str = "ok") -> None:
        return None


async def add(a: int, b: int) -> int:
    return a + b


def body() -> LoadedTool:
    spec = ToolSpec(callable="m:add", name="add")
    tool, diagnostics = compile_tool(spec, Target(add), Loader(ImportPolicy()))
    assert tool is not None, diagnostics
    return tool


async def microseconds(tool: RunningTool) -> float:
    """Return the time of one call, in a round of many."""
    began = time.perf_counter()
    for _ in range(CALLS):
        await tool.call(ARGUMENTS)
    return (time.perf_counter() - began) / CALLS * 1e6


def alone(work: Callable[[], object]) -> float:
    """Return the shortest time of a piece of work, in microseconds."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(CALLS):
            work()
        best = min(best, (time.perf_counter() - began) / CALLS * 1e6)
    return best


async def measure() -> None:
    counted, uncounted = (RunningTool("here", "add", body(), {}, Workers()) for _ in range(2))
    uncounted.counts = NoCounts()
    with_counts: list[float] = []
    without: list[float] = []
    for _ in range(ROUNDS):  # in turn, so that both see the same machine
        with_counts.append(await microseconds(counted))
        without.append(await microseconds(uncounted))
    counts = ToolCounts()
    pair = alone(lambda: counts.end(counts.begin()))
    nothing = NoCounts()
    cost = pair - alone(lambda: nothing.end(nothing.begin()))

    tools = {
        f"tool_{number}": RunningTool("here", f"tool_{number}", body(), {}, Workers())
        for number in range(100)
    }
    answer = metrics_route("here", tools, SystemClock())
    scrapes: list[float] = []
    size = 0
    for _ in range(ROUNDS):
        began = time.perf_counter()
        size = len((await answer(Request({"type": "http"}))).body)
        scrapes.append((time.perf_counter() - began) * 1e3)

    call, bare = min(with_counts), min(without)
    print(f"{'a call of a tool with two integers, counted':60} {call:6.2f} µs")
    print(f"{'the same, not counted':60} {bare:6.2f} µs")
    print(f"{'what counting adds to a call':60} {call - bare:6.2f} µs")
    print(f"{f'counting alone (at most {LIMIT_MICROSECONDS:g})':60} {cost:6.2f} µs")
    print(f"{f'GET /metrics with 100 tools, {size / 1000:.0f} kB':60} {min(scrapes):6.2f} ms")
    assert cost <= LIMIT_MICROSECONDS


if __name__ == "__main__":
    uvloop.run(measure())
