"""Agents run in processes of their own, or in one that they share by name."""

from dataclasses import replace

from meshd.domain.spec import AgentSpec, SecretSpec
from meshd.plan.processes import ProcessSpec, process_name, processes
from tests.plan.meshes import agent, mesh


def shared(name: str, process: str, **more: object) -> AgentSpec:
    return AgentSpec(name=name, process=process, **more)  # type: ignore[arg-type]


def test_an_agent_has_a_process_of_its_own() -> None:
    secret = SecretSpec(env="KEY")
    scaled = replace(agent("b"), replicas=3, env={"KEY": secret})
    prod = agent("a", namespace="prod")
    assert processes(mesh(scaled, prod, agent("a"))) == (
        ProcessSpec(name="a", agents=(agent("a"),)),
        ProcessSpec(name="b", agents=(scaled,), replicas=3, env={"KEY": secret}),
        ProcessSpec(name="prod/a", agents=(prod,)),
    )
    assert processes(mesh()) == ()


def test_agents_share_a_process_across_namespaces() -> None:
    first = shared("b", "trips", replicas=2, env={"A": "1"})
    second = shared("a", "trips", replicas=2, namespace="prod", env={"A": "1", "B": "2"})
    expected = ProcessSpec(
        name="process:trips", agents=(first, second), replicas=2, env={"A": "1", "B": "2"}
    )
    assert processes(mesh(first, second)) == (expected,)
    assert processes(mesh(second, first)) == (expected,)


def test_a_shared_process_is_not_that_of_an_agent_of_the_name() -> None:
    agents = [agent("trips"), shared("a", "trips"), agent("trips", namespace="process")]
    assert [one.name for one in processes(mesh(*agents))] == [
        "process/trips",
        "process:trips",
        "trips",
    ]
    assert [process_name(one) for one in agents] == ["trips", "process:trips", "process/trips"]
