"""What an instance says to the registry, and what it makes of the answers."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.domain.signature import Mode, ToolSignature
from meshd.domain.spec import CallSettings, NeedSpec, ToolSpec
from meshd.errors import MalformedAnswer
from meshd.plan.model import AgentPlan, ToolPlan
from meshd.registry.registration import read_registration
from meshd.runtime.registration import (
    Identity,
    Slot,
    UpstreamRef,
    Wiring,
    digest_of,
    read_answer,
    registration,
)

SIGNATURE = ToolSignature(
    description="From the docstring",
    input_schema={"type": "object", "properties": {"city": {"type": "string"}}},
    output_schema={"type": "object"},
    mode=Mode.ASYNC,
)
WEATHER = NeedSpec(
    parameter="weather",
    capability="weather.now",
    namespace="prod",
    version=">=1.2",
    tags=("+fast", "-beta", ("eu", "us")),
    required=True,
)
CLOCK = NeedSpec(parameter="clock", capability="clock.now", namespace="shared")


def tool(name: str, **more: Any) -> ToolPlan:
    return ToolPlan(spec=ToolSpec(callable=f"m:{name}", name=name, **more), signature=SIGNATURE)


PLANNER = AgentPlan(
    name="planner",
    namespace="prod",
    version="1.4.0",
    description=" Plans " + "x" * 300,
    tools=(
        tool(
            "plan",
            capability="trip.plan",
            version="2.0.0",
            tags=("metric",),
            needs=(WEATHER, CLOCK),
            call=CallSettings(timeout_seconds=60.0),
        ),
        tool("hidden", needs=(CLOCK,)),
        tool("plain"),
    ),
)
IDENTITY = Identity(
    instance="prod--planner-1", incarnation=7, endpoint="http://[::1]:4000", interval_seconds=2.0
)


def test_the_registry_reads_what_the_instance_says() -> None:
    read = read_registration(json.dumps(registration(PLANNER, IDENTITY)).encode())

    instance = read.instance
    assert read.warnings == ()
    assert (instance.id, instance.agent, instance.namespace) == (
        "prod--planner-1",
        "planner",
        "prod",
    )
    assert instance.endpoint == "http://[::1]:4000"
    assert (instance.incarnation, instance.interval_seconds) == (7, 2.0)
    assert instance.lists_upstreams
    assert len(instance.description) <= 256
    plan, hidden = instance.tools
    assert (plan.name, plan.capability, plan.version, plan.tags) == (
        "plan",
        "trip.plan",
        "2.0.0",
        ("metric",),
    )
    assert plan.kwargs == {"timeout": 60.0}
    assert plan.input_schema == SIGNATURE.input_schema
    assert plan.output_schema == SIGNATURE.output_schema
    assert (hidden.name, hidden.capability, hidden.kwargs) == ("hidden", "", {})
    weather, clock = plan.dependencies
    assert weather.required
    assert weather.want.capability == "weather.now"
    assert weather.want.namespace == "prod"
    assert weather.want.version == ">=1.2"
    assert weather.want.tags == ("+fast", "-beta", ("eu", "us"))
    assert not clock.required
    assert clock.want.namespace == "shared"


def test_a_namespace_is_sent_only_where_it_is_another() -> None:
    [plan, _] = registration(PLANNER, IDENTITY)["tools"]
    assert [entry.get("namespace") for entry in plan["dependencies"]] == [None, "shared"]


def test_an_instance_that_drains_says_so() -> None:
    body = registration(PLANNER, IDENTITY, draining=True)
    assert body["meshd"] == {"incarnation": 7, "interval_seconds": 2.0, "draining": True}


def entry(instance: str, tool: str = "now", **more: Any) -> dict[str, Any]:
    return {
        "agent_id": instance,
        "capability": "c",
        "endpoint": f"http://{instance}:1",
        "function_name": tool,
        "status": "available",
        **more,
    }


HOLE = {
    "agent_id": "",
    "capability": "c",
    "endpoint": "",
    "function_name": "",
    "status": "unresolved",
}


def ref(instance: str, agent: str, **kwargs: Any) -> UpstreamRef:
    return UpstreamRef(
        instance=instance, agent=agent, endpoint=f"http://{instance}:1", tool="now", kwargs=kwargs
    )


def test_a_registry_of_meshd_lists_all_providers() -> None:
    first = entry("prod--weather-1", agent="prod/weather", kwargs={"timeout": 3})
    answer = read_answer(
        PLANNER,
        {
            "dependencies_resolved": {},
            "meshd": {"upstreams": {"plan": [[first, entry("weather-2")], []], "hidden": [[HOLE]]}},
        },
    )
    assert answer.is_meshd
    assert answer.wiring == {
        ("plan", "weather"): (
            ref("prod--weather-1", "prod/weather", timeout=3),
            ref("weather-2", "weather"),
        ),
        ("plan", "clock"): (),
        ("hidden", "clock"): (),
    }


def test_a_registry_of_mcp_mesh_names_the_best_in_its_place() -> None:
    answer = read_answer(
        PLANNER, {"dependencies_resolved": {"plan": [HOLE, entry("clock-1a2b3c4d")]}}
    )
    assert not answer.is_meshd
    assert answer.wiring == {
        ("plan", "weather"): (),
        ("plan", "clock"): (ref("clock-1a2b3c4d", "clock"),),
        ("hidden", "clock"): (),
    }


@pytest.mark.parametrize(
    "provider",
    [
        entry("a-1", status="unavailable"),
        entry("a-1", status="degraded"),
        {**entry("a-1"), "endpoint": "stdio://a-1"},
        {**entry("a-1"), "endpoint": "file:///etc/passwd"},
        {**entry("a-1"), "function_name": ""},
        {**entry("a-1"), "endpoint": None},
        {**entry("a-1"), "status": None},
        {**entry("a-1"), "agent_id": ""},
    ],
)
def test_what_cannot_be_called_is_a_hole(provider: dict[str, Any]) -> None:
    answer = read_answer(PLANNER, {"dependencies_resolved": {"plan": [provider]}})
    assert answer.wiring["plan", "weather"] == ()


WRONG: list[Any] = [
    None,
    [],
    "text",
    {"dependencies_resolved": []},
    {"dependencies_resolved": {"plan": {}}},
    {"dependencies_resolved": {"plan": ["x"]}},
    {"dependencies_resolved": {"plan": [entry("a", agent=4)]}},
    {"dependencies_resolved": {"plan": [entry("a", kwargs=[1])]}},
    {"meshd": []},
    {"meshd": {}},
    {"meshd": {"upstreams": {"plan": [{}]}}},
    {"meshd": {"upstreams": {"plan": [["x"]]}}},
    {"meshd": {"upstreams": {"plan": [[entry("a", status=["available"])]]}}},
    {"meshd": {"upstreams": {"plan": 0}}},
]


@pytest.mark.parametrize("body", WRONG)
def test_an_answer_of_another_shape_is_malformed(body: Any) -> None:
    with pytest.raises(MalformedAnswer):
        read_answer(PLANNER, body)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
GOOD: dict[str, Any] = {**entry("a-1", agent="a"), "kwargs": {"timeout": 3}}


@st.composite
def almost(draw: st.DrawFn) -> Any:
    """Draw an answer with something else in one place."""
    places = ("answer", "all", "tool", "need", "entry", *GOOD)
    spoiled, wrong = draw(st.sampled_from(places)), draw(ANYTHING)

    def at(place: str, value: Any) -> Any:
        return wrong if place == spoiled else value

    one = at("entry", {name: at(name, value) for name, value in GOOD.items()})
    if draw(st.booleans()):
        slots = at("tool", [at("need", [one])])
        return at("answer", {"meshd": at("all", {"upstreams": {"plan": slots}})})
    return at("answer", {"dependencies_resolved": at("all", {"plan": at("tool", [one])})})


@given(ANYTHING | almost())
def test_no_answer_raises_anything_else(body: Any) -> None:
    try:
        answer = read_answer(PLANNER, body)
    except MalformedAnswer:
        return
    for providers in answer.wiring.values():
        for provider in providers:
            assert (
                provider.terms.call.timeout_seconds is None
                or provider.terms.call.timeout_seconds > 0
            )
            assert provider.instance
            assert provider.tool


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [
        *[(3, 3), (0.5, 0.5), (864_000, 864_000)],
        *[(0, None), (-1, None), ("3", None), (True, None), (None, None), ([3], None)],
        *[(float("nan"), None), (float("inf"), None), (10**400, None)],
    ],
)
def test_a_timeout_is_a_number_that_a_clock_can_reach(timeout: Any, seconds: float | None) -> None:
    assert ref("a-1", "a", timeout=timeout).terms.call == CallSettings(timeout_seconds=seconds)


def test_the_digest_sees_every_change_and_no_order_of_keys() -> None:
    slot: Slot = ("plan", "weather")
    other: Slot = ("plan", "clock")
    one = ref("a-1", "a", timeout=3, nested={"x": 1, "y": 2})
    turned = ref("a-1", "a", nested={"y": 2, "x": 1}, timeout=3)
    digest = digest_of({slot: (one,), other: ()})
    assert digest == digest_of({other: (), slot: (turned,)})
    others: list[Wiring] = [
        {slot: (), other: (one,)},
        {slot: (one, one), other: ()},
        {slot: (replace(one, endpoint="http://b:1"),), other: ()},
        {slot: (replace(one, kwargs={"timeout": 4}),), other: ()},
        {slot: (replace(one, tool="later"),), other: ()},
    ]
    assert digest not in {digest_of(wiring) for wiring in others}


def test_needs_of_one_capability_keep_their_places() -> None:
    fast = NeedSpec(parameter="fast", capability="c", tags=("fast",))
    slow = NeedSpec(parameter="slow", capability="c", tags=("slow",))
    agent = AgentPlan(name="a", tools=(tool("t", needs=(fast, slow)),))
    both = [[entry("f-1")], [entry("s-1")]]
    one = read_answer(agent, {"meshd": {"upstreams": {"t": both}}})
    assert one.wiring == {("t", "fast"): (ref("f-1", "f"),), ("t", "slow"): (ref("s-1", "s"),)}
    turned = read_answer(agent, {"meshd": {"upstreams": {"t": both[::-1]}}})
    assert one.digest != turned.digest


def test_what_both_kinds_of_registries_say_of_one_provider_is_the_same() -> None:
    said = entry("clock-1", agent="clock")
    ours = read_answer(PLANNER, {"meshd": {"upstreams": {"plan": [[], [said]]}}})
    theirs = read_answer(PLANNER, {"dependencies_resolved": {"plan": [HOLE, said]}})
    assert (ours.wiring, ours.digest) == (theirs.wiring, theirs.digest)


@pytest.mark.parametrize(
    ("endpoint", "host", "port"),
    [
        ("http://127.0.0.1:4000", "127.0.0.1", 4000),
        ("http://[fd00::1]:4000", "[fd00::1]", 4000),
        ("https://planner.example", "planner.example", 443),
        ("http://planner.example", "planner.example", 80),
    ],
)
def test_where_it_is_reached(endpoint: str, host: str, port: int) -> None:
    body = registration(PLANNER, replace(IDENTITY, endpoint=endpoint))
    assert (body["http_host"], body["http_port"]) == (host, port)
