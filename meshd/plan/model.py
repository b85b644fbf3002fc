"""The Plan: what the mesh will be, as one value that can be written down, compared and run.

It holds no places in files and no YAML: two ways to write the same mesh give equal plans. Agents
are sorted by key, bindings by id. `codec.py` turns it into JSON and back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from meshd.domain.names import DEFAULT_NAMESPACE, agent_key
from meshd.domain.resolve import Reason, StageName
from meshd.domain.signature import ToolSignature
from meshd.domain.spec import (
    DEFAULT_MAX_REQUEST_BYTES,
    CallSettings,
    NeedSpec,
    ObjectSpec,
    PromptSpec,
    ResourceSpec,
    SecretSpec,
    ToolSpec,
)

FORMAT_VERSION = 1
"""Grows when a reader of the older format could misread a plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolPlan:
    """One tool to serve: what the manifest asks for and what its callable is."""

    spec: ToolSpec
    signature: ToolSignature


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentPlan:
    """One agent to start: all that the runtime needs to know of it; secrets by reference."""

    name: str
    namespace: str = DEFAULT_NAMESPACE
    version: str = "1.0.0"
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    host: str = "127.0.0.1"
    port: int = 0
    advertise: str = ""
    replicas: int = 1
    process: str | None = None
    env: Mapping[str, str | SecretSpec] = field(default_factory=dict[str, "str | SecretSpec"])
    heartbeat_seconds: float = 5.0
    max_request_bytes: int = DEFAULT_MAX_REQUEST_BYTES
    roots: tuple[str, ...] = ()
    lifespan: str | None = None
    objects: tuple[ObjectSpec, ...] = ()
    tools: tuple[ToolPlan, ...] = ()
    resources: tuple[ResourceSpec, ...] = ()
    prompts: tuple[PromptSpec, ...] = ()

    @property
    def key(self) -> str:
        """The name that is unique in the mesh: `name`, or `namespace/name` outside `default`."""
        return agent_key(self.name, self.namespace)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRef:
    """A tool that can serve a need; `agent` is the key of its agent, `score` comes from tags."""

    agent: str
    namespace: str
    tool: str
    capability: str
    version: str
    tags: tuple[str, ...] = ()
    score: int = 0

    @property
    def id(self) -> str:
        """The tool as `agent.tool`."""
        return f"{self.agent}.{self.tool}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Eviction:
    """A tool that offers the capability but does not serve the need: at which stage, and why."""

    id: str
    stage: StageName
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A need bound to the providers that serve it, best first.

    `consumer` is the key of the agent whose `tool` has the need. `call` is effective: the need's
    settings over those of the best provider. `misses` say in words what came near where nothing
    serves the need.
    """

    id: str
    consumer: str
    tool: str
    parameter: str
    need: NeedSpec
    providers: tuple[ProviderRef, ...] = ()
    call: CallSettings = field(default_factory=CallSettings)
    evicted: tuple[Eviction, ...] = ()
    misses: tuple[str, ...] = ()

    @property
    def status(self) -> Literal["resolved", "unresolved"]:
        """Whether anything serves the need."""
        return "resolved" if self.providers else "unresolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole mesh, ready to be applied; `project_root` is an absolute folder."""

    format_version: int = FORMAT_VERSION
    mesh: str = "mesh"
    project_root: str = ""
    agents: tuple[AgentPlan, ...] = ()
    bindings: tuple[Binding, ...] = ()

    def bindings_of(self, agent: str, tool: str) -> tuple[Binding, ...]:
        """Return the needs of one tool; `agent` is the key of its agent."""
        return tuple(b for b in self.bindings if (b.consumer, b.tool) == (agent, tool))


def binding_id(agent: str, tool: str, parameter: str) -> str:
    """Return the id of an edge, such as `planner.plan_trip#weather`; `agent` is an agent's key."""
    return f"{agent}.{tool}#{parameter}"
