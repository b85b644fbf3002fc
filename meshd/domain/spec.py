"""What the manifests ask for, with defaults applied and no trace of YAML.

`manifest/` produces these values, `callables/` and `plan/` consume them. Every value that a user
can set carries, in `origins`, the place that set it (a default has none); origins never take part
in comparisons, so that two ways to write the same mesh are equal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from meshd.diagnostics.model import Span
from meshd.domain.names import agent_key

JsonValue = Any
"""A JSON value as Python's json module reads it."""

DEFAULT_MAX_REQUEST_BYTES = 4 * 1024 * 1024
"""As much as FastMCP takes."""

NO_ORIGINS: Mapping[str, Span] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A value from a manifest: `origin` is its own place, `origins` are those of its fields."""

    origin: Span | None = field(default=None, compare=False, repr=False)
    origins: Mapping[str, Span] = field(
        default_factory=lambda: NO_ORIGINS, compare=False, repr=False
    )

    def at(self, name: str) -> Span | None:
        """Return the place that set the field, or the place of the whole."""
        return self.origins.get(name, self.origin)


Balance = Literal["least", "round_robin", "random", "first"]
"""How a call's upstream is chosen among those that match equally well."""

RetryOn = Literal["lost", "timeout", "busy", "failed"]
"""After which failures a call is tried again; what could not be sent at all goes on elsewhere."""

Execution = Literal["inline", "thread", "process"]
"""Where a sync callable runs: on the event loop, in a thread, or in a process of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretSpec(Placed):
    """Where a secret is found: an environment variable, or a file (an absolute path)."""

    env: str | None = None
    file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSettings(Placed):
    """How calls are made; `None` leaves the choice to the next outer level: the nearest wins.

    Times are in seconds; `retries_budget` is a share of calls, from 0 to 1, and
    `retries_timeout_seconds` what one attempt may take where another may follow. `auth` is the
    bearer token: on a tool the one that it demands, on a need the one to send. `headers` are sent
    with each call; `propagate` names the headers of the request being served that are handed on, in
    lower case. `concurrency` limits the calls under way on an edge. `hedge_seconds` is the time
    after which a call without an answer is made a second time, elsewhere.
    """

    timeout_seconds: float | None = None
    retries_max: int | None = None
    retries_on: tuple[RetryOn, ...] | None = None
    retries_backoff_seconds: float | None = None
    retries_timeout_seconds: float | None = None
    retries_budget: float | None = None
    breaker_failures: int | None = None
    breaker_open_seconds: float | None = None
    balance: Balance | None = None
    concurrency: int | None = None
    hedge_seconds: float | None = None
    streaming: bool | None = None
    auth: SecretSpec | None = None
    headers: Mapping[str, str] | None = None
    propagate: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterSpec(Placed):
    """What the manifest says about one parameter of a callable, under its Python name."""

    name: str
    schema: Mapping[str, JsonValue] | None = None
    type: str | None = None
    has_default: bool = False
    default: JsonValue = None
    description: str | None = None
    hide: bool = False
    rename: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultSpec(Placed):
    """What the manifest says about a callable's result.

    `select` is a dotted path into the result, or a map from output names to such paths.
    """

    type: str | None = None
    schema: Mapping[str, JsonValue] | None = None
    select: str | Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedSpec(Placed):
    """A capability that a tool asks for, and the parameter that receives its proxy.

    A tag that is a tuple is a group of alternatives. `namespace` is the one searched.
    """

    parameter: str
    capability: str
    namespace: str = "default"
    version: str = ""
    tags: tuple[str | tuple[str, ...], ...] = ()
    required: bool = False
    expects: str | None = None
    call: CallSettings = field(default_factory=CallSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints(Placed):
    """MCP tool annotations: what a client may assume about a tool; `None` is unsaid."""

    title: str | None = None
    read_only: bool | None = None
    destructive: bool | None = None
    idempotent: bool | None = None
    open_world: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec(Placed):
    """One callable that an agent offers over MCP.

    `callable` is `module:qualname`, or `object.method` for an entry of the agent's `objects`.
    `call` is effective: mesh, agent and tool level are already folded. `execution` is `None` where
    the callable decides: sync ones run in threads, all others on the event loop. At most
    `concurrency_max` calls run at a time, if it is set, and `concurrency_queue` more may wait.
    """

    callable: str
    name: str
    capability: str | None = None
    version: str = "1.0.0"
    tags: tuple[str, ...] = ()
    description: str | None = None
    hints: Hints = field(default_factory=Hints)
    parameters: tuple[ParameterSpec, ...] = ()
    result: ResultSpec = field(default_factory=ResultSpec)
    needs: tuple[NeedSpec, ...] = ()
    call: CallSettings = field(default_factory=CallSettings)
    execution: Execution | None = None
    concurrency_max: int | None = None
    concurrency_queue: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectSpec(Placed):
    """An object made once per instance from a class and keyword arguments."""

    name: str
    class_reference: str
    arguments: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceSpec(Placed):
    """A callable served as an MCP resource; a URI with `{name}` parts is a template."""

    uri: str
    callable: str
    name: str
    description: str | None = None
    mime_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSpec(Placed):
    """A callable served as an MCP prompt."""

    name: str
    callable: str
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpec(Placed):
    """One agent: the FastMCP server to build, where it listens, and how many instances run.

    `roots` are absolute folders from which the agent's own modules are imported. Agents with the
    same `process` share one. `advertise` is the host, or `host:port`, that others are told.
    `provider_tokens` are those that providers of the same mesh demand from it, by `agent.tool`.
    """

    name: str
    namespace: str = "default"
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    version: str = "1.0.0"
    description: str = ""
    roots: tuple[str, ...] = ()
    lifespan: str | None = None
    objects: tuple[ObjectSpec, ...] = ()
    host: str = "127.0.0.1"
    port: int = 0
    advertise: str = ""
    replicas: int = 1
    process: str | None = None
    env: Mapping[str, str | SecretSpec] = field(default_factory=dict[str, "str | SecretSpec"])
    heartbeat_seconds: float = 5.0
    max_request_bytes: int = DEFAULT_MAX_REQUEST_BYTES
    provider_tokens: Mapping[str, SecretSpec] = field(default_factory=dict[str, SecretSpec])
    tools: tuple[ToolSpec, ...] = ()
    resources: tuple[ResourceSpec, ...] = ()
    prompts: tuple[PromptSpec, ...] = ()

    @property
    def key(self) -> str:
        """The name that is unique in the mesh: `name`, or `namespace/name` outside `default`."""
        return agent_key(self.name, self.namespace)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshSpec(Placed):
    """A whole mesh as its manifests describe it; `project_root` is an absolute folder.

    `registry_url` is empty where the mesh has a registry of its own.
    """

    name: str = "mesh"
    project_root: str = ""
    registry_url: str = ""
    agents: tuple[AgentSpec, ...] = ()
