"""What headers and `_meta` say of a call."""

from typing import Any

import pytest

from meshd.domain.spec import CallSettings, NeedSpec, ToolSpec
from meshd.plan.model import AgentPlan, ToolPlan
from meshd.runtime.context import NO_CALL, CallContext
from meshd.runtime.inbound import Inbound, seconds_left, traced
from tests.runtime.fakes import FakeBody

NOW = 1_000.0
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-ffffffffffffffffffffffffffffffff-b7ad6b7169203331-00"


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        ({}, None),
        ({b"meshd-timeout": b"1.25"}, 1.25),
        ({b"meshd-timeout": b"0"}, 0.0),
        ({b"x-mesh-timeout": b"30"}, 30.0),
        ({b"meshd-timeout": b"29.5", b"x-mesh-timeout": b"30"}, 29.5),
        ({b"meshd-timeout": b"31", b"x-mesh-timeout": b"30"}, 30.0),
        ({b"x-mesh-timeout": b"0"}, None),
        ({b"x-mesh-timeout": b"1.5"}, None),
        ({b"meshd-timeout": b"-1"}, None),
        ({b"meshd-timeout": b"nan"}, None),
        ({b"meshd-timeout": b"1e3"}, None),
        ({b"meshd-timeout": b"soon", b"x-mesh-timeout": b"2"}, 2.0),
        ({b"meshd-timeout": b"9" * 40}, None),
    ],
)
def test_the_time_that_is_left(headers: dict[bytes, bytes], left: float | None) -> None:
    assert seconds_left(headers) == left
    deadline = None if left is None else NOW + left
    assert Inbound(()).context(headers, NOW).deadline == deadline


@pytest.mark.parametrize(
    ("headers", "trace"),
    [
        ({b"traceparent": PARENT.encode()}, {"traceparent": PARENT}),
        (
            {b"traceparent": PARENT.encode(), b"tracestate": b"a=1", b"baggage": b"b=2"},
            {"traceparent": PARENT, "tracestate": "a=1", "baggage": "b=2"},
        ),
        ({b"traceparent": f" {PARENT}\t".encode()}, {"traceparent": PARENT}),
        ({b"tracestate": b"a=1"}, {}),
        ({b"baggage": b"b=2"}, {"baggage": "b=2"}),
        ({b"traceparent": b"any", b"tracestate": b"a=1", b"baggage": b"b=2"}, {"baggage": "b=2"}),
        ({b"traceparent": PARENT.upper().encode()}, {}),
        ({b"traceparent": b"ff" + PARENT[2:].encode()}, {}),
        ({b"traceparent": b"00-" + b"0" * 32 + PARENT[35:].encode()}, {}),
        ({b"traceparent": PARENT.encode() + b"-more"}, {}),
    ],
)
def test_the_trace_of_headers(headers: dict[bytes, bytes], trace: dict[str, str]) -> None:
    assert Inbound(()).context(headers, NOW).trace == trace


@pytest.mark.parametrize(
    ("meta", "trace"),
    [
        ({}, {"traceparent": PARENT, "tracestate": "a=1", "baggage": "b=2"}),
        ({"traceparent": OTHER}, {"traceparent": OTHER, "baggage": "b=2"}),
        ({"traceparent": OTHER, "baggage": "c=3"}, {"traceparent": OTHER, "baggage": "c=3"}),
        ({"baggage": "c=3"}, {"traceparent": PARENT, "tracestate": "a=1", "baggage": "c=3"}),
        ({"traceparent": "any"}, {"traceparent": PARENT, "tracestate": "a=1", "baggage": "b=2"}),
        ({"traceparent": 1}, {"traceparent": PARENT, "tracestate": "a=1", "baggage": "b=2"}),
    ],
)
def test_the_trace_of_meta_goes_first(meta: dict[str, Any], trace: dict[str, str]) -> None:
    context = CallContext(trace={"traceparent": PARENT, "tracestate": "a=1", "baggage": "b=2"})
    assert traced(context, meta).trace == trace


def test_headers_that_are_handed_on() -> None:
    inbound = Inbound(["x-tenant", "accept-language"])
    headers = {b"x-tenant": b" blue ", b"x-other": b"no", b"host": b"here"}
    assert inbound.context(headers, NOW) == CallContext(headers={"x-tenant": "blue"})


def test_a_request_that_says_nothing_makes_no_context() -> None:
    assert Inbound(["x-tenant"]).context({b"host": b"here"}, NOW) is NO_CALL


def test_what_is_handed_on_is_what_needs_and_tools_list() -> None:
    need = NeedSpec(parameter="p", capability="c", call=CallSettings(propagate=("x-need",)))
    spec = ToolSpec(
        callable="m:f", name="f", needs=(need,), call=CallSettings(propagate=("x-tool",))
    )
    body = FakeBody(lambda: None)
    plan = AgentPlan(name="here", tools=(ToolPlan(spec=spec, signature=body.signature),))
    headers = {b"x-need": b"1", b"x-tool": b"2", b"x-other": b"3"}
    assert Inbound.of(plan).context(headers, NOW).headers == {"x-need": "1", "x-tool": "2"}
