"""A plan survives being written as JSON, without its places; what is no plan is refused."""

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.diagnostics.model import Span
from meshd.domain.resolve import (
    OtherCapability,
    OtherNamespace,
    Reason,
    Unavailable,
    VersionConstraintFailed,
)
from meshd.domain.signature import Mode, ToolSignature
from meshd.domain.spec import (
    CallSettings,
    Hints,
    NeedSpec,
    ObjectSpec,
    ParameterSpec,
    PromptSpec,
    ResourceSpec,
    ResultSpec,
    SecretSpec,
    ToolSpec,
)
from meshd.domain.tags import ExtraTagDisallowed, MissingTag
from meshd.plan.codec import from_json, to_json
from meshd.plan.model import AgentPlan, Binding, Eviction, Plan, ProviderRef, ToolPlan

PLACE = Span("mesh.yaml", 3, 1, 9)

REASONS: list[Reason] = [
    Unavailable("its lease lapsed"),
    OtherCapability("d"),
    OtherNamespace("prod"),
    MissingTag(missing=("a", "b")),
    MissingTag(missing_one_of=("c",)),
    ExtraTagDisallowed(("beta",)),
    VersionConstraintFailed("1.0.0", ">=2"),
]

NEED = NeedSpec(
    parameter="weather",
    capability="weather.forecast",
    version=">=1.2,<2",
    tags=("+fast", ("a", "-b"), ()),
    required=True,
    expects="trip.models:Weather",
    call=CallSettings(timeout_seconds=3.0, origin=PLACE),
    origin=PLACE,
    origins={"capability": PLACE},
)

TOOL = ToolPlan(
    spec=ToolSpec(
        callable="trip.plan:plan",
        name="plan_trip",
        capability="trip.plan",
        version="2.0.0",
        tags=("fast", "metric"),
        description="Plans",
        hints=Hints(read_only=True, title="Plan"),
        parameters=(
            ParameterSpec(
                name="units", schema={"enum": ["metric", None, 1.5]}, has_default=True, default=[1]
            ),
        ),
        result=ResultSpec(type="trip.models:Trip", select={"a": "b.c"}),
        needs=(NEED,),
        call=CallSettings(timeout_seconds=60.0),
    ),
    signature=ToolSignature(
        description="Plans",
        input_schema={"type": "object", "properties": {"origin": {}, "kind": {"type": "string"}}},
        output_schema={"type": "object"},
        mode=Mode.ASYNC_GENERATOR,
        injected=("weather",),
    ),
)

PLAN = Plan(
    mesh="trip",
    project_root="/project",
    agents=(
        AgentPlan(
            name="planner",
            namespace="prod",
            version="1.4.0",
            labels={"team": "travel", "origin": "x"},
            port=8000,
            advertise="planner.example.org:80",
            replicas=3,
            process="trips",
            env={
                "MODE": "prod",
                "KEY": SecretSpec(env="PLANNER_KEY"),
                "CERT": SecretSpec(file="/project/cert"),
            },
            heartbeat_seconds=2.5,
            roots=("/project/src",),
            lifespan="trip.app:lifespan",
            objects=(
                ObjectSpec(name="cart", class_reference="m:Cart", arguments={"limit": [1, {}]}),
            ),
            tools=(TOOL,),
            resources=(ResourceSpec(uri="trip://{id}", callable="m:trip", name="trip"),),
            prompts=(PromptSpec(name="ask", callable="m:ask", description="Asks"),),
        ),
    ),
    bindings=(
        Binding(
            id="prod/planner.plan_trip#weather",
            consumer="prod/planner",
            tool="plan_trip",
            parameter="weather",
            need=NEED,
            providers=(
                ProviderRef(
                    agent="prod/weather",
                    namespace="prod",
                    tool="get",
                    capability="weather.forecast",
                    version="1.4.0",
                    tags=("fast",),
                    score=10,
                ),
            ),
            call=CallSettings(timeout_seconds=3.0),
            evicted=tuple(
                Eviction(id=f"a{n}.t", stage="tags", reason=reason)
                for n, reason in enumerate(REASONS)
            ),
            misses=("near",),
        ),
    ),
)


def through_text(plan: Plan) -> Plan:
    return from_json(json.loads(json.dumps(to_json(plan), allow_nan=False)))


def test_a_plan_survives_json() -> None:
    assert through_text(PLAN) == PLAN
    assert through_text(Plan()) == Plan()


def test_places_are_left_out() -> None:
    plan = through_text(PLAN)
    assert "mesh.yaml" not in json.dumps(to_json(PLAN))
    assert plan.bindings[0].need.at("capability") is None


def test_secrets_are_references() -> None:
    (agent,) = to_json(PLAN)["agents"]
    assert agent["env"] == {
        "MODE": "prod",
        "KEY": {"env": "PLANNER_KEY", "file": None},
        "CERT": {"env": None, "file": "/project/cert"},
    }


def test_a_plan_from_before_there_were_replicas_means_one() -> None:
    document: Any = to_json(PLAN)
    for name in ("advertise", "replicas", "process", "env", "heartbeat_seconds"):
        del document["agents"][0][name]
    (agent,) = from_json(document).agents
    assert (agent.advertise, agent.replicas, agent.process, agent.env) == ("", 1, None, {})
    assert agent.heartbeat_seconds == 5.0


UNSET: dict[str, Any] = {
    field.name: None for field in fields(CallSettings) if not field.name.startswith("origin")
}


def test_the_shape_of_a_binding() -> None:
    binding = replace(PLAN.bindings[0], evicted=PLAN.bindings[0].evicted[2:3])
    assert to_json(Plan(mesh="m", bindings=(binding,))) == {
        "format_version": 1,
        "mesh": "m",
        "project_root": "",
        "agents": [],
        "bindings": [
            {
                "id": "prod/planner.plan_trip#weather",
                "consumer": "prod/planner",
                "tool": "plan_trip",
                "parameter": "weather",
                "need": {
                    "parameter": "weather",
                    "capability": "weather.forecast",
                    "namespace": "default",
                    "version": ">=1.2,<2",
                    "tags": ["+fast", ["a", "-b"], []],
                    "required": True,
                    "expects": "trip.models:Weather",
                    "call": UNSET | {"timeout_seconds": 3.0},
                },
                "providers": [
                    {
                        "agent": "prod/weather",
                        "namespace": "prod",
                        "tool": "get",
                        "capability": "weather.forecast",
                        "version": "1.4.0",
                        "tags": ["fast"],
                        "score": 10,
                    }
                ],
                "call": UNSET | {"timeout_seconds": 3.0},
                "evicted": [
                    {
                        "id": "a2.t",
                        "stage": "tags",
                        "reason": {"kind": "OtherNamespace", "namespace": "prod"},
                    }
                ],
                "misses": ["near"],
            }
        ],
    }


def changed(path: str, value: Any) -> Any:
    """Return the plan's JSON with one value replaced, or taken away where it is `...`."""
    document: Any = json.loads(json.dumps(to_json(PLAN)))
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    inner = document
    for step in steps:
        inner = inner[step]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return document


MODES = "'sync', 'async', 'generator', 'async-generator'"
KINDS = (
    "Unavailable, OtherCapability, OtherNamespace, MissingTag, ExtraTagDisallowed, "
    "VersionConstraintFailed"
)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("format_version", ..., "not a plan: `format_version` is missing"),
        ("format_version", 2, "the plan has format 2, this meshd reads 1"),
        ("format_version", True, "the plan has format True, this meshd reads 1"),
        ("mesh", 1, "plan.mesh: expected str, found 1"),
        ("mesh", None, "plan.mesh: expected str, found None"),
        ("agents", {}, "plan.agents: expected a list, found {}"),
        ("agents.0", [], "plan.agents[0]: expected a mapping, found []"),
        ("agents.0.name", ..., "plan.agents[0].name: missing"),
        ("agents.0.port", True, "plan.agents[0].port: expected int, found True"),
        ("agents.0.labels.team", 1, "plan.agents[0].labels.team: expected str, found 1"),
        ("agents.0.env.KEY.env", 1, "plan.agents[0].env.KEY.env: expected str, found 1"),
        ("agents.0.env.KEY.value", "x", "plan.agents[0].env.KEY.value: unknown key"),
        ("agents.0.surprise", 1, "plan.agents[0].surprise: unknown key"),
        ("agents.0.origin", None, "plan.agents[0].origin: unknown key"),
        (
            "agents.0.tools.0.signature.mode",
            "fast",
            f"plan.agents[0].tools[0].signature.mode: expected one of {MODES}, found 'fast'",
        ),
        (
            "bindings.0.need.tags.1.0",
            1,
            "plan.bindings[0].need.tags[1][0]: expected str, found 1",
        ),
        (
            "bindings.0.evicted.0.reason.kind",
            "Mood",
            f"plan.bindings[0].evicted[0].reason.kind: expected one of {KINDS}, found 'Mood'",
        ),
        (
            "bindings.0.evicted.0.reason.kind",
            [],
            f"plan.bindings[0].evicted[0].reason.kind: expected one of {KINDS}, found []",
        ),
    ],
)
def test_what_is_no_plan_is_refused_with_the_path(path: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011  (the message is asserted whole)
        from_json(changed(path, value))
    assert str(raised.value) == message


@pytest.mark.parametrize("document", [None, [], "plan", 1, {}])
def test_other_documents_are_no_plans(document: Any) -> None:
    with pytest.raises(ValueError, match="not a plan"):
        from_json(document)


def test_whole_seconds_may_be_written_without_a_point() -> None:
    plan = from_json(changed("bindings.0.call.timeout_seconds", 3))
    assert plan == PLAN


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, st.text(), st.lists(st.text() | st.lists(st.text()).map(tuple)).map(tuple))
def test_any_values_survive(value: Any, text: str, tags: tuple[str | tuple[str, ...], ...]) -> None:
    parameter = ParameterSpec(name=text, schema={text: value}, default=value)
    spec = replace(TOOL.spec, parameters=(parameter,), description=text)
    tool = replace(TOOL, spec=spec)
    binding = replace(PLAN.bindings[0], need=replace(NEED, tags=tags))
    plan = replace(PLAN, agents=(replace(PLAN.agents[0], tools=(tool,)),), bindings=(binding,))
    assert through_text(plan) == plan
