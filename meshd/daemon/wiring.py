"""Builds the objects of a running mesh: agents with their tools, and edges between them."""

from meshd.callables.agent import LoadedAgent
from meshd.callables.dump import dump
from meshd.clock import Clock
from meshd.daemon.prepare import Prepared
from meshd.domain.names import instance_id
from meshd.plan.model import AgentPlan, Plan
from meshd.runtime.agent import Parts, RunningAgent
from meshd.runtime.edge import Edge
from meshd.runtime.offer import Offer
from meshd.runtime.workers import Workers


def build_agents(prepared: Prepared, workers: Workers, clock: Clock) -> dict[str, RunningAgent]:
    """Return every agent of the plan, wired to the others as the plan says; nothing listens yet."""
    agents: dict[str, RunningAgent] = {}
    edges: list[Edge] = []
    for agent in prepared.plan.agents:
        loaded = prepared.agents[agent.key]
        own = edges_of(prepared.plan, agent, loaded, clock)
        instance = instance_id(agent.name, 1, agent.namespace)
        agents[agent.key] = RunningAgent(agent, instance, parts_of(loaded), own, workers)
        edges.extend(own.values())
    for edge in edges:
        edge.upstreams = tuple(
            agents[provider.agent].upstream(provider.tool) for provider in edge.binding.providers
        )
    return agents


def edges_of(
    plan: Plan, agent: AgentPlan, loaded: LoadedAgent, clock: Clock
) -> dict[tuple[str, str], Edge]:
    """Return the edges of an agent by tool and parameter, without upstreams yet."""
    return {
        (binding.tool, binding.parameter): Edge(
            binding, loaded.tools[binding.tool].expected.get(binding.parameter), dump, clock
        )
        for binding in plan.bindings
        if binding.consumer == agent.key
    }


def parts_of(loaded: LoadedAgent) -> Parts:
    """Return what the loader made, in the form that the runtime serves."""
    spec = loaded.spec
    return Parts(
        bodies=loaded.tools,
        resources=tuple(
            Offer(
                body=loaded.resources[resource.uri],
                name=resource.name,
                uri=resource.uri,
                mime_type=resource.mime_type,
            )
            for resource in spec.resources
        ),
        prompts=tuple(
            Offer(body=loaded.prompts[prompt.name], name=prompt.name) for prompt in spec.prompts
        ),
        lifespan=loaded.lifespan,
    )
