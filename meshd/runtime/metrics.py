"""An agent's answer to `GET /metrics`: what it has counted, in the text format of Prometheus.

Names, labels and sums are made when somebody asks, from the plain numbers that calls leave behind.
Labels are names from the manifests, never what callers send.
"""

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
from meshd.runtime.counts import BOUNDS_SECONDS
from meshd.runtime.tool import RunningTool

_LABELS = ("agent", "tool")
_NAMES = (*(f"{bound:g}" for bound in BOUNDS_SECONDS), "+Inf")


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
            "meshd_agent_uptime_seconds", "How long the agent runs.", labels=("agent",)
        )
        uptime.add_metric((self._agent,), self._clock.monotonic() - self._began)
        yield uptime
        yield from self._of_tools()

    def _of_tools(self) -> Iterator[Metric]:
        calls = CounterMetricFamily(
            "meshd_tool_calls",
            "Calls that ended, by outcome: `ok`, `cancelled`, or the code of the error.",
            labels=(*_LABELS, "outcome"),
        )
        seconds = HistogramMetricFamily(
            "meshd_tool_call_seconds",
            "Time from the arrival of a call to its result, waiting included.",
            labels=_LABELS,
        )
        in_flight = GaugeMetricFamily(
            "meshd_tool_calls_in_flight", "Calls that have not ended.", labels=_LABELS
        )
        waiting = GaugeMetricFamily(
            "meshd_tool_calls_waiting",
            "Those of them that wait because of the tool's `concurrency`.",
            labels=_LABELS,
        )
        for name, tool in self._tools.items():
            labels, counts = (self._agent, name), tool.counts
            for outcome, number in counts.outcomes.items():
                calls.add_metric((*labels, outcome), number)
            # One list, taken at once: what is added while this runs shows the next time.
            sums = accumulate(counts.buckets)
            seconds.add_metric(labels, list(zip(_NAMES, sums, strict=True)), counts.seconds)
            in_flight.add_metric(labels, counts.in_flight)
            waiting.add_metric(labels, 0 if tool.gate is None else tool.gate.waiting)
        yield from (calls, seconds, in_flight, waiting)


def metrics_route(
    agent: str, tools: Mapping[str, RunningTool], clock: Clock
) -> Callable[[Request], Awaitable[Response]]:
    """Return the handler of `GET /metrics`."""
    registry = CollectorRegistry()
    registry.register(AgentCollector(agent, tools, clock))
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return metrics
