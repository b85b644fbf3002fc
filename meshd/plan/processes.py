"""Which processes a mesh runs in: one for each agent, but for agents that share one by name."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from meshd.domain.spec import AgentSpec, MeshSpec, SecretSpec

SHARED = "process:"
"""Begins the name of a shared process; no agent's key has a colon, so the two never collide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """A process and its agents, by key; each of its replicas is one such process.

    `env` is what its agents ask for together: text, and references to secrets.
    """

    name: str
    agents: tuple[AgentSpec, ...]
    replicas: int = 1
    env: Mapping[str, str | SecretSpec] = field(default_factory=dict[str, "str | SecretSpec"])


def processes(mesh: MeshSpec) -> tuple[ProcessSpec, ...]:
    """Return the processes of a mesh, by name; its agents agree about what they share."""
    members: dict[str, list[AgentSpec]] = defaultdict(list)
    for agent in mesh.agents:
        members[process_name(agent)].append(agent)
    return tuple(_process(name, members[name]) for name in sorted(members))


def process_name(agent: AgentSpec) -> str:
    """Return the name of an agent's process: `process:NAME` if shared, else the agent's key."""
    return agent.key if agent.process is None else f"{SHARED}{agent.process}"


def _process(name: str, members: list[AgentSpec]) -> ProcessSpec:
    agents = tuple(sorted(members, key=lambda agent: agent.key))
    env = {name: value for agent in agents for name, value in agent.env.items()}
    return ProcessSpec(name=name, agents=agents, replicas=agents[0].replicas, env=env)
