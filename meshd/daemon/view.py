"""What the daemon tells of a running mesh: the documented shapes of `list` and `status`."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from meshd.daemon.link import Signatures
from meshd.daemon.messages import EdgeView, Registered
from meshd.diagnostics.render import as_values
from meshd.domain.names import agent_key
from meshd.plan.model import AgentPlan, Binding, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceView:
    """One instance, as it is now."""

    id: str
    agent: str
    process: str = ""
    """The replica that serves it, which its log is named after; empty in a mesh of one process."""
    pid: int
    endpoint: str
    status: str
    reason: str = ""
    restarts: int = 0
    stages: Mapping[str, float] = field(default_factory=dict[str, float])
    registry: str = ""
    """Why the registry does not have it; empty if all is well."""
    edges: Sequence[EdgeView] = ()
    problems: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class RegistryView:
    """The registry of the mesh: `ready`, `starting`, `waiting`, `external`, or `none`."""

    url: str
    status: str
    reason: str = ""


def mesh_view(
    plan: Plan, instances: Iterable[InstanceView], registry: RegistryView
) -> dict[str, Any]:
    """Return what `meshd list --format json` prints; stable from the first release."""
    by_agent = _by_agent(instances)
    return {
        "agents": [_agent_view(plan, agent, by_agent[agent.key]) for agent in plan.agents],
        "registry": {"url": registry.url, "status": registry.status},
    }


def is_wired(plan: Plan, view: dict[str, Any]) -> bool:
    """Say whether every need has the best provider that the plan knows, in the mesh as viewed."""
    best = {
        (binding.consumer, binding.tool, binding.parameter): binding.providers[0].agent
        for binding in plan.bindings
        if binding.providers
    }
    wired = {
        (agent_key(agent["name"], agent["namespace"]), need["tool"], need["parameter"]): {
            provider["agent"] for provider in need["providers"] if need["status"] == "resolved"
        }
        for agent in view["agents"]
        for need in agent["needs"]
    }
    return all(provider in wired.get(slot, ()) for slot, provider in best.items())


def status_view(
    plan: Plan, instances: Iterable[InstanceView], registry: RegistryView
) -> dict[str, Any]:
    """Return the part of `meshd status --format json` that tells of agents and the registry."""
    by_agent = _by_agent(instances)
    return {
        "agents": [
            {
                "name": agent.name,
                "namespace": agent.namespace,
                "status": agent_status(agent, by_agent[agent.key]),
                "replicas": agent.replicas,
                "instances": [_instance_status(one) for one in by_agent[agent.key]],
                "waiting_for": waiting_for(plan, agent, by_agent[agent.key]),
            }
            for agent in plan.agents
        ],
        "registry": {"url": registry.url, "status": registry.status, "reason": registry.reason},
    }


def agent_status(agent: AgentPlan, instances: Sequence[InstanceView]) -> str:
    """Return how an agent fares as a whole."""
    if not instances:
        return "starting" if agent.replicas else "stopped"
    ready = [one for one in instances if one.status == "ready"]
    if len(ready) == len(instances):
        return "ready"
    if ready:
        return "degraded"
    return "failed" if all(one.status == "failed" for one in instances) else "starting"


def waiting_for(plan: Plan, agent: AgentPlan, instances: Sequence[InstanceView]) -> list[str]:
    """Return the capabilities that required needs of the agent wait for."""
    return [
        binding.need.capability
        for binding in plan.bindings
        if binding.consumer == agent.key
        and binding.need.required
        and _need_status(binding, instances) != "resolved"
    ]


def _by_agent(instances: Iterable[InstanceView]) -> Mapping[str, list[InstanceView]]:
    """Return the instances by the key of their agent; one without any has an empty list."""
    grouped: dict[str, list[InstanceView]] = defaultdict(list)
    for instance in instances:
        grouped[instance.agent].append(instance)
    return grouped


def _instance_status(one: InstanceView) -> dict[str, Any]:
    return {
        "id": one.id,
        "process": one.process,
        "pid": one.pid,
        "endpoint": one.endpoint,
        "status": one.status,
        "reason": one.reason,
        "restarts": one.restarts,
        "stages": dict(one.stages),
        "registry": one.registry,
        "diagnostics": as_values(one.problems),
    }


def _agent_view(plan: Plan, agent: AgentPlan, instances: Sequence[InstanceView]) -> dict[str, Any]:
    return {
        "name": agent.name,
        "namespace": agent.namespace,
        "version": agent.version,
        "status": agent_status(agent, instances),
        "instances": [
            {"id": one.id, "pid": one.pid, "endpoint": one.endpoint, "status": one.status}
            for one in instances
        ],
        "tools": [
            {
                "name": tool.spec.name,
                "capability": tool.spec.capability,
                "version": tool.spec.version,
                "tags": list(tool.spec.tags),
            }
            for tool in agent.tools
        ],
        "needs": [
            _need_view(binding, instances)
            for binding in plan.bindings
            if binding.consumer == agent.key
        ],
    }


def _edges(binding: Binding, instances: Sequence[InstanceView]) -> list[EdgeView]:
    """Return the edges of a binding, one for each instance that serves."""
    return [
        edge
        for one in instances
        for edge in one.edges
        if (edge.tool, edge.parameter) == (binding.tool, binding.parameter)
    ]


def _need_status(binding: Binding, instances: Sequence[InstanceView]) -> str:
    """Return the worst that the need's edges are in."""
    found = {edge.status for edge in _edges(binding, instances)}
    for status in ("unresolved", "waiting"):
        if status in found:
            return status
    return "resolved" if found else "waiting"


def _need_view(binding: Binding, instances: Sequence[InstanceView]) -> dict[str, Any]:
    edges = _edges(binding, instances)
    providers: Mapping[tuple[str, str], Any] = {
        (provider.instance, provider.tool): provider
        for edge in edges
        for provider in edge.providers
    }
    return {
        "tool": binding.tool,
        "parameter": binding.parameter,
        "capability": binding.need.capability,
        "status": _need_status(binding, instances),
        "providers": [
            {
                "agent": provider.agent,
                "instance": provider.instance,
                "endpoint": provider.endpoint,
                "tool": provider.tool,
            }
            for provider in providers.values()
        ],
    }


def tool_view(signatures: Signatures, agent: str, tool: str) -> dict[str, Any] | None:
    """Return the schemas and description of a tool, or None if there is none."""
    signature = signatures.get(agent, {}).get(tool)
    if signature is None:
        return None
    return {
        "description": signature.description,
        "inputSchema": dict(signature.input_schema),
        "outputSchema": signature.output_schema and dict(signature.output_schema),
    }


def standing(registered: Registered | None) -> str:
    """Say why the registry does not have an instance; nothing if it has."""
    if registered is None:
        return "not registered yet"
    return "" if registered.status == "connected" else registered.reason or registered.status
