"""What is known of a callable once it is loaded, as data that can be written to a plan.

`callables/` produces these values; `plan/` links with them and `runtime/` serves from them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from meshd.domain.spec import JsonValue


class Mode(StrEnum):
    """How a callable runs, which decides whether its proxies are awaited."""

    SYNC = "sync"
    ASYNC = "async"
    GENERATOR = "generator"
    ASYNC_GENERATOR = "async-generator"

    @property
    def is_async(self) -> bool:
        """Whether the callable runs on the event loop."""
        return self in (Mode.ASYNC, Mode.ASYNC_GENERATOR)

    @property
    def is_generator(self) -> bool:
        """Whether the callable yields its result in chunks."""
        return self in (Mode.GENERATOR, Mode.ASYNC_GENERATOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSignature:
    """The public face of a callable: its schemas, its description and what must be injected.

    `input_schema` is a JSON Schema object of the parameters that a caller may set (injected and
    hidden ones are not in it). `output_schema` always describes `{"result": …}`. It is `None`
    only for a callable that answers with MCP content of its own. `injected` are the Python names
    of the parameters that receive proxies, `context_parameters` those that receive the MCP context
    of the call; `accepts` are all Python parameter names. `mcp_content` says that results are MCP
    content and are sent as they are. `asks_server` says that its code asks the MCP server for what
    no parameter gives it, such as the request.
    """

    description: str
    input_schema: Mapping[str, JsonValue]
    output_schema: Mapping[str, JsonValue] | None
    mode: Mode
    injected: tuple[str, ...] = ()
    context_parameters: tuple[str, ...] = ()
    accepts: tuple[str, ...] = field(default=())
    mcp_content: bool = False
    asks_server: bool = False

    @property
    def needs_server(self) -> bool:
        """Whether the callable works only while the MCP server itself serves the call."""
        return bool(self.context_parameters) or self.mcp_content or self.asks_server
