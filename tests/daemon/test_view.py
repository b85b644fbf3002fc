"""What the daemon tells of agents, from the state of their instances."""

import pytest

from meshd.daemon.messages import EdgeView, ProviderView, Registered
from meshd.daemon.view import InstanceView, agent_status, is_wired, mesh_view, standing, waiting_for
from meshd.daemon.view import RegistryView as Registry
from meshd.domain.spec import NeedSpec
from meshd.plan.model import AgentPlan, Binding, Plan, ProviderRef

AGENT = AgentPlan(name="shop", namespace="default", version="1.0.0", replicas=2)


def instance(status: str, *edges: EdgeView, number: int = 1) -> InstanceView:
    return InstanceView(
        id=f"shop-{number}", agent="shop", pid=1, endpoint="http://x", status=status, edges=edges
    )


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        ([], "starting"),
        (["ready", "ready"], "ready"),
        (["ready", "waiting"], "degraded"),
        (["ready", "failed"], "degraded"),
        (["failed", "failed"], "failed"),
        (["failed", "starting"], "starting"),
        (["waiting"], "starting"),
        (["draining"], "starting"),
    ],
)
def test_the_status_of_an_agent(statuses: list[str], status: str) -> None:
    assert agent_status(AGENT, [instance(one) for one in statuses]) == status


@pytest.mark.parametrize(
    ("registered", "words"),
    [
        (None, "not registered yet"),
        (Registered(instance="a", status="connected", reason="old"), ""),
        (Registered(instance="a", status="away", reason="refused"), "refused"),
        (Registered(instance="a", status="refused"), "refused"),
    ],
)
def test_how_an_instance_stands_with_the_registry(
    registered: Registered | None, words: str
) -> None:
    assert standing(registered) == words


def edge(status: str, *instances: str) -> EdgeView:
    providers = tuple(
        ProviderView(agent="prices", instance=one, endpoint=f"http://{one}", tool="price")
        for one in instances
    )
    return EdgeView(
        tool="order",
        parameter="price",
        capability="price",
        status=status,  # pyright: ignore[reportArgumentType]
        providers=providers,
    )


def plan(*, required: bool = True, provided: bool = True) -> Plan:
    provider = ProviderRef(
        agent="prices", namespace="default", tool="price", capability="price", version="1.0.0"
    )
    binding = Binding(
        id="shop.order#price",
        consumer="shop",
        tool="order",
        parameter="price",
        need=NeedSpec(parameter="price", capability="price", required=required),
        providers=(provider,) if provided else (),
    )
    return Plan(agents=(AGENT,), bindings=(binding,))


@pytest.mark.parametrize(
    ("instances", "status", "providers"),
    [
        ([], "waiting", []),
        ([instance("ready")], "waiting", []),
        ([instance("ready", edge("resolved", "p-1"))], "resolved", ["p-1"]),
        (
            [instance("ready", edge("resolved", "p-1")), instance("ready", edge("unresolved"))],
            "unresolved",
            ["p-1"],
        ),
        (
            [
                instance("ready", edge("resolved", "p-1", "p-2")),
                instance("ready", edge("resolved", "p-2"), number=2),
            ],
            "resolved",
            ["p-1", "p-2"],
        ),
        ([instance("ready", edge("waiting"))], "waiting", []),
    ],
)
def test_a_need_fares_as_the_worst_of_its_edges(
    instances: list[InstanceView], status: str, providers: list[str]
) -> None:
    view = mesh_view(plan(), instances, Registry("", "none"))
    [need] = view["agents"][0]["needs"]
    assert need["status"] == status
    assert [one["instance"] for one in need["providers"]] == providers
    assert is_wired(plan(), view) == (status == "resolved")
    assert is_wired(plan(provided=False), view)
    assert waiting_for(plan(), AGENT, instances) == ([] if status == "resolved" else ["price"])
    assert waiting_for(plan(required=False), AGENT, instances) == []
