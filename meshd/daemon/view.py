"""What the daemon tells of a running mesh: the documented shape of `meshd list --format json`."""

from collections.abc import Mapping
from typing import Any

from meshd.plan.model import AgentPlan, Binding, Plan
from meshd.runtime.agent import RunningAgent


def mesh_view(plan: Plan, agents: Mapping[str, RunningAgent], pid: int) -> dict[str, Any]:
    """Return agents, their instances, tools and needs; stable from the first release.

    This release runs without a registry, which `registry.status` says.
    """
    return {
        "agents": [_agent_view(plan, agents, agent, pid) for agent in plan.agents],
        "registry": {"url": "", "status": "none"},
    }


def _agent_view(
    plan: Plan, agents: Mapping[str, RunningAgent], agent: AgentPlan, pid: int
) -> dict[str, Any]:
    running = agents[agent.key]
    status = "ready" if running.serving.ready else "starting"
    return {
        "name": agent.name,
        "namespace": agent.namespace,
        "version": agent.version,
        "status": status,
        "instances": [
            {
                "id": running.instance,
                "pid": pid,
                "endpoint": running.endpoint,
                "status": status,
            }
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
            _need_view(binding, agents)
            for binding in plan.bindings
            if binding.consumer == agent.key
        ],
    }


def _need_view(binding: Binding, agents: Mapping[str, RunningAgent]) -> dict[str, Any]:
    return {
        "tool": binding.tool,
        "parameter": binding.parameter,
        "capability": binding.need.capability,
        "status": "resolved" if binding.providers else "unresolved",
        "providers": [
            {
                "agent": provider.agent,
                "instance": agents[provider.agent].instance,
                "endpoint": agents[provider.agent].endpoint,
                "tool": provider.tool,
            }
            for provider in binding.providers
        ],
    }
