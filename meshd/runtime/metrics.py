"""An agent's answer to `GET /metrics`: what it has counted, in the text format of Prometheus.

Names, labels and sums are made when somebody asks, in a thread, from the plain numbers that calls
leave behind. A tool that is called meanwhile may show a call in one number and not in another.
Labels are names from the manifests, never what callers send.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    GCCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from meshd.clock import Clock
from meshd.runtime.counts import BOUNDS_SECONDS, ToolCounts
from meshd.runtime.edge import Edge
from meshd.runtime.routes import EdgeCounters
from meshd.runtime.tool import RunningTool

_BOUNDS = (*(f"{bound:g}" for bound in BOUNDS_SECONDS), "+Inf")
_EDGE_COUNTS: Mapping[str, tuple[str, Callable[[EdgeCounters], int]]] = {
    "attempts": ("Attempts to reach an upstream.", lambda counts: counts.attempts),
    "retries": (
        "Attempts after one that may have been executed, or was refused as busy.",
        lambda counts: counts.retries,
    ),
    "failovers": (
        "Attempts elsewhere, after one that was certainly not executed.",
        lambda counts: counts.failovers,
    ),
    "hedges": ("Second attempts beside a slow one.", lambda counts: counts.hedges),
    "waits": (
        "Calls that waited for an upstream to come back.",
        lambda counts: counts.waits,
    ),
}


class CallMetrics:
    """The metrics that tools and edges have in common."""

    def __init__(self, prefix: str, what: str, labels: tuple[str, ...]) -> None:
        self._calls = CounterMetricFamily(
            f"{prefix}_calls",
            f"Calls {what} that ended, by outcome: ok, cancelled, or the code of the error.",
            labels=(*labels, "outcome"),
        )
        self._seconds = HistogramMetricFamily(
            f"{prefix}_call_seconds",
            f"Time that calls {what} took, waiting included.",
            labels=labels,
        )
        self._in_flight = GaugeMetricFamily(
            f"{prefix}_calls_in_flight", f"Calls {what} that have not ended.", labels=labels
        )

    def add(self, labels: tuple[str, ...], counts: ToolCounts) -> None:
        """Add what one tool or edge has counted."""
        for outcome, number in list(counts.outcomes.items()):
            self._calls.add_metric((*labels, outcome), number)
        buckets = list(zip(_BOUNDS, accumulate(list(counts.buckets)), strict=True))
        self._seconds.add_metric(labels, buckets, counts.seconds)
        self._in_flight.add_metric(labels, counts.in_flight)

    def families(self) -> tuple[Metric, ...]:
        """Return all of it."""
        return (self._calls, self._seconds, self._in_flight)


class AgentCollector(Collector):
    """Hands the numbers of one agent to Prometheus's client."""

    def __init__(self, agent: str, tools: Mapping[str, RunningTool], clock: Clock) -> None:
        self._agent = agent
        self._tools = tools
        self._clock = clock
        self._began = clock.monotonic()

    def collect(self) -> Iterator[Metric]:
        """Return the agent's metrics as they are now."""
        uptime = GaugeMetricFamily(
            "meshd_agent_uptime_seconds", "How long the agent has run.", labels=("agent",)
        )
        uptime.add_metric((self._agent,), self._clock.monotonic() - self._began)
        yield uptime
        yield from self._of_tools()
        yield from self._of_edges()

    def _of_tools(self) -> Iterator[Metric]:
        names = ("agent", "tool")
        calls = CallMetrics("meshd_tool", "of a tool", names)
        waiting = GaugeMetricFamily(
            "meshd_tool_calls_waiting",
            "Calls in flight that wait because of the tool's `concurrency`.",
            labels=names,
        )
        for name, tool in self._tools.items():
            labels = (self._agent, name)
            calls.add(labels, tool.counts)
            waiting.add_metric(labels, 0 if tool.gate is None else tool.gate.waiting)
        yield from (*calls.families(), waiting)

    def _of_edges(self) -> Iterator[Metric]:
        names = ("agent", "tool", "need")
        calls = CallMetrics("meshd_edge", "of a need", names)
        counts = {
            name: CounterMetricFamily(f"meshd_edge_{name}", said, labels=names)
            for name, (said, _) in _EDGE_COUNTS.items()
        }
        upstreams = GaugeMetricFamily(
            "meshd_edge_upstreams",
            "Upstreams of a need, by the state of their breaker.",
            labels=(*names, "breaker"),
        )
        for (tool, need), edge in self._edges():
            labels = (self._agent, tool, need)
            calls.add(labels, edge.counters)
            for name, (_, value) in _EDGE_COUNTS.items():
                counts[name].add_metric(labels, value(edge.counters))
            states = [state.breaker for state in edge.states]
            for breaker in ("closed", "open", "half-open"):
                upstreams.add_metric((*labels, breaker), states.count(breaker))
        yield from (*calls.families(), *counts.values(), upstreams)

    def _edges(self) -> Iterator[tuple[tuple[str, str], Edge]]:
        for name, tool in self._tools.items():
            for parameter, edge in tool.edges.items():
                yield (name, parameter), edge


def metrics_route(
    agent: str, tools: Mapping[str, RunningTool], clock: Clock
) -> Callable[[Request], Awaitable[Response]]:
    """Return the handler of `GET /metrics`."""
    registry = CollectorRegistry()
    registry.register(AgentCollector(agent, tools, clock))
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)

    async def metrics(_: Request) -> Response:
        # Milliseconds where there are many tools, in which calls would have to wait.
        text = await asyncio.to_thread(generate_latest, registry)
        return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return metrics
