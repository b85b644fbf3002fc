"""A registered instance: one running copy of an agent, with what it offers and needs.

The registry makes these values from registrations and hands them to the resolver. They know no
wire format and no time.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from meshd.domain.names import DEFAULT_NAMESPACE
from meshd.domain.resolve import Want
from meshd.domain.spec import JsonValue


class Status(StrEnum):
    """Whether an instance can be found: only a healthy one is."""

    HEALTHY = "healthy"
    DRAINING = "draining"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """What a registered tool needs; it keeps its place among the tool's dependencies."""

    want: Want
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedTool:
    """A registered tool. One with an empty capability has needs, and cannot be found.

    `kwargs`, the schemas and `llm` are handed on as they came.
    """

    name: str
    capability: str
    version: str = "1.0.0"
    tags: tuple[str, ...] = ()
    description: str = ""
    dependencies: tuple[Dependency, ...] = ()
    kwargs: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    input_schema: Mapping[str, JsonValue] | None = None
    output_schema: Mapping[str, JsonValue] | None = None
    llm: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A registered instance; `endpoint` is its base URL.

    `lists_upstreams` says that it asks for all matching providers, not for the best alone;
    `interval_seconds` is how often it renews its lease, None for as often as is usual.
    """

    id: str
    agent: str
    namespace: str = DEFAULT_NAMESPACE
    endpoint: str
    tools: tuple[OfferedTool, ...] = ()
    incarnation: int = 0
    status: Status = Status.HEALTHY
    agent_type: str = "mcp_agent"
    runtime: str = "python"
    version: str = "1.0.0"
    description: str = ""
    a2a_producer: bool = False
    a2a_consumer: bool = False
    lists_upstreams: bool = False
    interval_seconds: float | None = None

    def dependencies(self) -> Iterator[tuple[OfferedTool, Dependency]]:
        """Yield every dependency with its tool, in order."""
        for tool in self.tools:
            for dependency in tool.dependencies:
                yield tool, dependency
