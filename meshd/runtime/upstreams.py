"""Upstreams: the ways to reach an instance that offers a tool.

An agent in the same process is called directly, with JSON values on both sides as over HTTP, so
that it makes no difference to either callable where the other one runs.
"""

from collections.abc import Awaitable, Callable

from meshd.domain.spec import CallSettings, JsonValue
from meshd.runtime.client import McpClient

NO_SETTINGS = CallSettings()


class InProcessUpstream:
    """A tool of an agent in this process."""

    def __init__(
        self,
        provider: str,
        call: Callable[[dict[str, JsonValue]], Awaitable[JsonValue]],
        settings: CallSettings = NO_SETTINGS,
    ) -> None:
        self.provider = provider
        self.call_settings = settings
        self._call = call

    async def call(self, arguments: dict[str, JsonValue]) -> JsonValue:
        """Call the tool; the arguments and the result are JSON values of their own."""
        return await self._call(arguments)


class HttpUpstream:
    """A tool of an agent in another process, reached over MCP at the agent's endpoint."""

    def __init__(
        self, provider: str, endpoint: str, tool: str, client: McpClient, call: CallSettings
    ) -> None:
        self.provider = provider
        self.call_settings = call
        self._endpoint = endpoint
        self._tool = tool
        self._client = client

    async def call(self, arguments: dict[str, JsonValue]) -> JsonValue:
        """Call the tool; who calls sets the time."""
        return await self._client.call(
            self._endpoint, self._tool, arguments, provider=self.provider
        )
