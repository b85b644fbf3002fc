"""A mesh counts as wired when each need has the best provider that the plan knows."""

from typing import Any

import pytest

from meshd.daemon.view import is_wired
from meshd.domain.spec import NeedSpec
from meshd.plan.model import Binding, Plan, ProviderRef


def provider(agent: str) -> ProviderRef:
    return ProviderRef(agent=agent, namespace="default", tool="t", capability="c", version="1.0.0")


def plan(*providers: str) -> Plan:
    binding = Binding(
        id="e",
        consumer="shop",
        tool="order",
        parameter="price",
        need=NeedSpec(parameter="price", capability="c"),
        providers=tuple(map(provider, providers)),
    )
    return Plan(bindings=(binding,))


def view(status: str, *providers: str) -> dict[str, Any]:
    need = {
        "tool": "order",
        "parameter": "price",
        "status": status,
        "providers": [{"agent": agent} for agent in providers],
    }
    return {"agents": [{"name": "shop", "namespace": "default", "needs": [need]}]}


@pytest.mark.parametrize(
    ("planned", "seen", "expected"),
    [
        (plan("best", "other"), view("resolved", "best"), True),
        (plan("best", "other"), view("resolved", "other"), False),
        (plan("best"), view("waiting"), False),
        (plan("best"), view("unresolved", "best"), False),
        (plan(), view("unresolved"), True),
        (plan("best"), {"agents": []}, False),
    ],
)
def test_what_counts_as_wired(planned: Plan, seen: dict[str, Any], expected: bool) -> None:
    assert is_wired(planned, seen) is expected
