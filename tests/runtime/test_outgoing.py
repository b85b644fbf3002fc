"""What an outgoing call carries besides its arguments."""

import pytest

from meshd.domain.spec import CallSettings
from meshd.runtime.context import CallContext
from meshd.runtime.inbound import Inbound
from meshd.runtime.outgoing import Outgoing

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE = {"traceparent": PARENT, "tracestate": "a=1", "baggage": "user=2"}


def headers_of(settings: CallSettings, context: CallContext, token: str | None = None) -> object:
    return Outgoing(settings, token).of(context, 100.0)[0]


@pytest.mark.parametrize(
    ("deadline", "expected"),
    [
        (None, {}),
        (103.5, {"Meshd-Timeout": "3.500", "X-Mesh-Timeout": "4"}),
        (100.25, {"Meshd-Timeout": "0.250", "X-Mesh-Timeout": "1"}),
        (99.0, {"Meshd-Timeout": "0.001", "X-Mesh-Timeout": "1"}),
        (1e12, {"Meshd-Timeout": "999999999.000", "X-Mesh-Timeout": "999999999"}),
    ],
)
def test_the_time_left(deadline: float | None, expected: dict[str, str]) -> None:
    assert headers_of(CallSettings(), CallContext(deadline=deadline)) == expected


@pytest.mark.parametrize(
    ("fixed", "propagate", "received", "token", "expected"),
    [
        ({}, (), {"x-user": "1"}, None, {}),
        ({}, ("x-user",), {"x-user": "1", "x-other": "2"}, None, {"x-user": "1"}),
        ({"X-Service": "trip"}, (), {}, None, {"X-Service": "trip"}),
        ({"X-User": "nobody"}, ("x-user",), {"x-user": "1"}, None, {"x-user": "1"}),
        ({"X-User": "nobody"}, ("x-user",), {}, None, {"X-User": "nobody"}),
        # What came with the request is no right of the agent.
        (
            {},
            ("authorization", "cookie", "Proxy-Authorization"),
            {"authorization": "Bearer theirs", "cookie": "a", "proxy-authorization": "b"},
            None,
            {},
        ),
        ({}, ("authorization",), {"authorization": "x"}, "own", {"Authorization": "Bearer own"}),
        ({"authorization": "Basic x"}, (), {}, None, {"authorization": "Basic x"}),
        ({"authorization": "Basic x"}, (), {}, "own", {"Authorization": "Bearer own"}),
        # The time is the call's.
        ({"x-mesh-timeout": "99"}, ("meshd-timeout",), {"meshd-timeout": "9"}, None, {}),
    ],
)
def test_headers(
    fixed: dict[str, str],
    propagate: tuple[str, ...],
    received: dict[str, str],
    token: str | None,
    expected: dict[str, str],
) -> None:
    settings = CallSettings(headers=fixed, propagate=propagate)
    assert headers_of(settings, CallContext(headers=received), token) == expected


def test_the_trace_goes_both_ways() -> None:
    headers, meta = Outgoing(CallSettings()).of(CallContext(trace=TRACE), 0.0)
    assert (headers, meta) == (TRACE, TRACE)
    assert Outgoing(CallSettings()).of(CallContext(), 0.0) == ({}, {})


def test_what_goes_out_is_what_a_provider_reads() -> None:
    headers, _ = Outgoing(CallSettings(headers={"X-User": "1"})).of(
        CallContext(deadline=107.5, trace=TRACE), 100.0
    )
    received = {name.lower().encode(): value.encode() for name, value in headers.items()}
    found = Inbound(["x-user"]).context(received, 50.0)
    assert found == CallContext(deadline=57.5, trace=TRACE, headers={"x-user": "1"})


def test_a_callee_in_the_process_gets_the_same_headers() -> None:
    settings = CallSettings(headers={"X-Service": "trip"}, propagate=("x-user", "cookie"))
    context = CallContext(headers={"x-user": "1", "x-other": "2", "cookie": "c"})
    assert Outgoing(settings, "token").within(context) == {"x-service": "trip", "x-user": "1"}
    assert Outgoing(CallSettings()).within(context) == {}


def test_a_token_is_not_shown() -> None:
    assert repr(Outgoing(CallSettings(), "secret")) == "Outgoing(has_token=True)"
