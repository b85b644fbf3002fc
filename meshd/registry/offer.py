"""A tool of a registered instance, with its availability: what resolution sees, and what it gives.

Most tools are looked for by few, so both are made when they are asked for first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from meshd.domain.instance import Dependency, Instance, OfferedTool
from meshd.domain.resolve import Provider
from meshd.domain.spec import JsonValue


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where a consumer sends its calls; `agent` is the key of the instance's agent.

    `version` and `tags` are the tool's; how well it serves a need comes from them.
    """

    instance: str
    agent: str
    tool: str
    capability: str
    endpoint: str
    kwargs: Mapping[str, JsonValue] = field(hash=False)
    version: str = ""
    tags: tuple[str, ...] = ()


class Offer:
    """An offered tool; it is available unless there is a reason against it."""

    __slots__ = ("_provider", "_upstream", "agent", "instance", "reason", "required", "tool")

    def __init__(self, instance: Instance, tool: OfferedTool, agent: str, reason: str) -> None:
        self.instance = instance
        self.tool = tool
        self.agent = agent
        self.reason = reason
        dependencies = tool.dependencies
        self.required: tuple[Dependency, ...] = (
            tuple(each for each in dependencies if each.required) if dependencies else ()
        )
        """The dependencies without which it is not available."""
        self._provider: Provider | None = None
        self._upstream: Upstream | None = None

    @property
    def is_available(self) -> bool:
        """Whether it can be called."""
        return not self.reason

    @property
    def provider(self) -> Provider:
        """What is resolved over."""
        if self._provider is None:
            self._provider = self._as_provider(self.reason)
        return self._provider

    @property
    def upstream(self) -> Upstream:
        """What a consumer is given."""
        if self._upstream is None:
            self._upstream = Upstream(
                instance=self.instance.id,
                agent=self.agent,
                tool=self.tool.name,
                capability=self.tool.capability,
                endpoint=self.instance.endpoint,
                kwargs=self.tool.kwargs,
                version=self.tool.version,
                tags=self.tool.tags,
            )
        return self._upstream

    def judge(self, reason: str) -> None:
        """Note why it cannot be called, or by an empty text that it can."""
        if reason != self.reason:
            self.reason, self._provider = reason, None

    def as_available(self) -> Provider:
        """Return the provider that it would be if it was available."""
        return self.provider if self.is_available else self._as_provider("")

    def _as_provider(self, reason: str) -> Provider:
        instance, tool = self.instance, self.tool
        return Provider(
            # MCP Mesh orders equal providers by the instance's id alone.
            agent=instance.id,
            namespace=instance.namespace,
            instance=instance.id,
            tool=tool.name,
            capability=tool.capability,
            version=tool.version,
            tags=tool.tags,
            available=not reason,
            unavailable_reason=reason,
        )
