from typing import Any

import pytest

from meshd.diagnostics.model import Span
from meshd.domain.explain import Setting, explain_tool
from meshd.domain.spec import (
    AgentSpec,
    CallSettings,
    Hints,
    MeshSpec,
    NeedSpec,
    ParameterSpec,
    ResultSpec,
    SecretSpec,
    ToolSpec,
)

PARTS = ("mesh.", "agent.http.advertise", "agent.replicas", "agent.pro", "agent.env", "agent.heart")


def at(line: int) -> Span:
    return Span("a.yaml", line, 1, 2)


PLAN = ToolSpec(
    callable="trip:plan",
    name="plan",
    capability="trip.plan",
    description="Plans",
    tags=("fast",),
    hints=Hints(read_only=False, origins={"read_only": at(5)}),
    parameters=(
        ParameterSpec(
            name="units",
            schema={"type": "string"},
            has_default=True,
            default=None,
            hide=True,
            origins={"schema": at(6), "default": at(7), "hide": at(8)},
        ),
    ),
    result=ResultSpec(type="Trip", origins={"type": at(9)}),
    needs=(
        NeedSpec(
            parameter="weather",
            capability="weather.now",
            tags=("a", ("b", "c")),
            expects="dict",
            call=CallSettings(timeout_seconds=0.25, origins={"timeout_seconds": at(12)}),
            origins={"capability": at(10), "tags": at(11), "expects": at(11)},
        ),
    ),
    call=CallSettings(timeout_seconds=90.0, origins={"timeout_seconds": at(2)}),
    origins={"callable": at(3), "capability": at(4), "description": at(4), "tags": at(4)},
)
MESH = MeshSpec(
    agents=(
        AgentSpec(
            name="planner",
            namespace="travel",
            roots=("/p/src",),
            port=8001,
            tools=(ToolSpec(callable="a:b", name="b"), PLAN),
            origins={"namespace": at(1), "roots": at(1), "port": at(1)},
        ),
    )
)


def test_every_setting_has_its_value_and_its_place() -> None:
    assert explain_tool(MESH, "travel/planner", "plan") == (
        Setting("agent.version", "1.0.0", None),
        Setting("agent.namespace", "travel", at(1)),
        Setting("agent.python.path", ["/p/src"], at(1)),
        Setting("agent.http.host", "127.0.0.1", None),
        Setting("agent.http.port", 8001, at(1)),
        Setting("agent.replicas", 1, None),
        Setting("agent.heartbeat.interval", "5s", None),
        Setting("callable", "trip:plan", at(3)),
        Setting("name", "plan", None),
        Setting("capability", "trip.plan", at(4)),
        Setting("version", "1.0.0", None),
        Setting("tags", ["fast"], at(4)),
        Setting("description", "Plans", at(4)),
        Setting("hints.readOnly", False, at(5)),
        Setting("parameters.units.schema", {"type": "string"}, at(6)),
        Setting("parameters.units.hide", True, at(8)),
        Setting("parameters.units.default", None, at(7)),
        Setting("result.type", "Trip", at(9)),
        Setting("call.timeout", "90s", at(2)),
        Setting("call.retries.max", 2, None),
        Setting("call.retries.on", ["lost", "timeout", "busy"], None),
        Setting("call.retries.backoff", "0.1s", None),
        Setting("call.retries.budget", "20%", None),
        Setting("call.breaker.failures", 5, None),
        Setting("call.breaker.open", "15s", None),
        Setting("call.balance", "least", None),
        Setting("call.streaming", False, None),
        Setting("call.headers", {}, None),
        Setting("call.propagate", [], None),
        Setting("needs.weather.capability", "weather.now", at(10)),
        Setting("needs.weather.namespace", "default", None),
        Setting("needs.weather.version", "", None),
        Setting("needs.weather.tags", ["a", ["b", "c"]], at(11)),
        Setting("needs.weather.required", False, None),
        Setting("needs.weather.expects", "dict", at(11)),
        Setting("needs.weather.call.timeout", "0.25s", at(12)),
    )


def test_how_instances_run_is_explained_without_secrets() -> None:
    spec = AgentSpec(
        name="planner",
        advertise="planner.example.org",
        replicas=3,
        process="trips",
        env={
            "MODE": "prod",
            "KEY": SecretSpec(env="PLANNER_KEY"),
            "CERT": SecretSpec(file="/p/keys/cert"),
            "ELSEWHERE": SecretSpec(file="/run/secrets/x"),
        },
        heartbeat_seconds=0.5 * 3,
        tools=(ToolSpec(callable="a:b", name="b"),),
        origins={
            name: at(line)
            for line, name in enumerate(
                ["advertise", "replicas", "process", "env.MODE", "env.KEY", "heartbeat_seconds"], 1
            )
        },
    )
    mesh = MeshSpec(
        project_root="/p",
        registry_url="http://registry:8000",
        agents=(spec,),
        origins={"registry_url": at(9)},
    )
    found = {one.name: (one.value, one.origin) for one in explain_tool(mesh, "planner", "b")}
    assert {key: value for key, value in found.items() if key.startswith(PARTS)} == {
        "mesh.registry.url": ("http://registry:8000", at(9)),
        "agent.http.advertise": ("planner.example.org", at(1)),
        "agent.replicas": (3, at(2)),
        "agent.process": ("trips", at(3)),
        "agent.env.MODE": ("prod", at(4)),
        "agent.env.KEY": ({"env": "PLANNER_KEY"}, at(5)),
        "agent.env.CERT": ({"file": "keys/cert"}, None),
        "agent.env.ELSEWHERE": ({"file": "/run/secrets/x"}, None),
        "agent.heartbeat.interval": ("1.5s", at(6)),
    }


def test_what_is_supplied_later_is_explained_as_it_is_written() -> None:
    later: Any = "${env:LATER}"
    call = CallSettings(timeout_seconds=later)
    tools = (ToolSpec(callable="a:b", name="b", call=call),)
    mesh = MeshSpec(agents=(AgentSpec(name="a", heartbeat_seconds=later, tools=tools),))
    found = {one.name: one.value for one in explain_tool(mesh, "a", "b")}
    assert (found["agent.heartbeat.interval"], found["call.timeout"]) == (later, later)


def test_what_nothing_sets_has_its_default() -> None:
    settings = {s.name: (s.value, s.origin) for s in explain_tool(MESH, "travel/planner", "b")}
    assert settings["call.timeout"] == ("30s", None)
    assert not {"capability", "description"} & set(settings)


@pytest.mark.parametrize(("agent", "tool"), [("planner", "plan"), ("travel/planner", "none")])
def test_what_is_not_there(agent: str, tool: str) -> None:
    with pytest.raises(LookupError):
        explain_tool(MESH, agent, tool)


def test_every_call_setting_is_explained_and_no_token() -> None:
    call = CallSettings(
        concurrency=3,
        hedge_seconds=0.2,
        headers={"X-A": "a"},
        propagate=("x-tenant",),
        auth=SecretSpec(env="TOKEN"),
        origins={"auth": at(3), "hedge_seconds": at(4)},
    )
    tool = ToolSpec(
        callable="a:b",
        name="b",
        call=call,
        execution="process",
        concurrency_max=4,
        origins={"concurrency_max": at(5), "execution": at(6)},
    )
    mesh = MeshSpec(agents=(AgentSpec(name="a", tools=(tool,)),))
    found = explain_tool(mesh, "a", "b")
    assert {
        Setting("execution", "process", at(6)),
        Setting("concurrency.max", 4, at(5)),
        Setting("concurrency.queue", 0, None),
        Setting("call.concurrency", 3, None),
        Setting("call.hedge", "0.2s", at(4)),
    } <= {one for one in found if not isinstance(one.value, dict | list)}
    assert Setting("call.auth.bearer", {"env": "TOKEN"}, at(3)) in found
    assert Setting("call.headers", {"X-A": "a"}, None) in found
    assert Setting("call.propagate", ["x-tenant"], None) in found
