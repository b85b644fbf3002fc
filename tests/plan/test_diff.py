"""Which processes a new version of a mesh starts, stops, restarts and leaves alone, and why."""

from dataclasses import fields, replace

import pytest

from meshd.diagnostics.model import Span
from meshd.domain.spec import AgentSpec, ObjectSpec, PromptSpec, ResourceSpec, SecretSpec
from meshd.plan.diff import FILE_CHANGED, ProcessChanges, changes
from meshd.plan.processes import ProcessSpec, processes
from tests.plan.meshes import agent, mesh, tool


def running(*agents: AgentSpec) -> tuple[ProcessSpec, ...]:
    return processes(mesh(*agents))


A, B, C = agent("a", tool("t")), agent("b"), agent("c")


def test_nothing_changes() -> None:
    nothing = changes(running(A, B), running(B, A))
    assert nothing == ProcessChanges(unchanged=("a", "b"))
    assert not nothing
    assert not changes((), ())


def test_agents_come_and_go() -> None:
    found = changes(running(A, B), running(C, B))
    assert found == ProcessChanges(started=("c",), stopped=("a",), unchanged=("b",))
    assert found


def test_a_process_whose_files_changed_restarts() -> None:
    assert changes(running(A, B), running(A, B), {"a", "gone"}) == ProcessChanges(
        restarted={"a": (FILE_CHANGED,)}, unchanged=("b",)
    )


def test_the_number_of_replicas_alone_restarts_nothing() -> None:
    more = replace(A, replicas=3)
    assert changes(running(A, B), running(more, B)) == ProcessChanges(
        rescaled=("a",), unchanged=("b",)
    )
    assert changes(running(A), running(replace(more, version="2.0.0"))) == ProcessChanges(
        restarted={"a": ("`a`: version changed",)}
    )
    assert changes(running(A), running(more), ["a"]) == ProcessChanges(
        restarted={"a": (FILE_CHANGED,)}
    )


OTHER: dict[str, tuple[object, str]] = {
    "labels": ({"team": "x"}, "labels"),
    "version": ("2.0.0", "version"),
    "description": ("Plans", "description"),
    "roots": (("/p/src",), "python.path"),
    "lifespan": ("a:b", "lifespan"),
    "objects": ((ObjectSpec(name="o", class_reference="a:B"),), "objects"),
    "host": ("::1", "http.host"),
    "port": (8001, "http.port"),
    "advertise": ("planner", "http.advertise"),
    "env": ({"KEY": SecretSpec(env="KEY")}, "env"),
    "heartbeat_seconds": (1.0, "heartbeat.interval"),
    "max_request_bytes": (1_000_000, "http.maxRequest"),
    "provider_tokens": ({"b.t": SecretSpec(env="KEY")}, "call.auth of a provider"),
    "tools": ((), "tools"),
    "resources": ((ResourceSpec(uri="a://b", callable="a:b", name="b"),), "resources"),
    "prompts": ((PromptSpec(name="p", callable="a:b"),), "prompts"),
}


@pytest.mark.parametrize("name", OTHER)
def test_any_other_difference_restarts(name: str) -> None:
    value, key = OTHER[name]
    changed = replace(A, **{name: value})
    assert changes(running(A), running(changed)) == ProcessChanges(
        restarted={"a": (f"`a`: {key} changed",)}
    )


def test_every_field_of_an_agent_counts() -> None:
    identity = {"name", "namespace", "process", "replicas", "origin", "origins"}
    assert {field.name for field in fields(AgentSpec)} - identity == OTHER.keys()


def test_agents_that_share_a_process_restart_together() -> None:
    def shared(agent: AgentSpec) -> AgentSpec:
        return replace(agent, process="trips")

    before = running(shared(A), shared(B))
    after = running(shared(replace(A, description="A", version="2.0.0")), shared(C), B)
    assert changes(before, after, {"process:trips"}) == ProcessChanges(
        started=("b",),
        restarted={
            "process:trips": (
                "`b` left the process",
                "`c` joined the process",
                "`a`: version, description changed",
                FILE_CHANGED,
            )
        },
    )
    assert changes(before, running(A, B)) == ProcessChanges(
        started=("a", "b"), stopped=("process:trips",)
    )


def test_where_a_document_stands_does_not_matter() -> None:
    origins = {"version": Span("a.yaml", 5, 1, 2)}
    moved = replace(A, origin=Span("b.yaml", 9, 1, 2), origins=origins)
    assert not changes(running(A), running(moved))


def test_changes_can_be_told() -> None:
    found = ProcessChanges(
        started=("a",), stopped=("b",), restarted={"c": ("x",)}, rescaled=("d",), unchanged=("e",)
    )
    assert found.as_values() == {
        "started": ["a"],
        "stopped": ["b"],
        "restarted": {"c": ["x"]},
        "rescaled": ["d"],
        "unchanged": ["e"],
    }
