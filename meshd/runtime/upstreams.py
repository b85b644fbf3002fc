"""Upstreams: the ways to reach an instance that offers a tool.

An agent in the same process is called directly, with JSON values on both sides as over HTTP, so
that it makes no difference to either callable where the other one runs.
"""

from collections.abc import Awaitable, Callable

from meshd.domain.spec import JsonValue


class InProcessUpstream:
    """A tool of an agent in this process."""

    def __init__(
        self, provider: str, call: Callable[[dict[str, JsonValue]], Awaitable[JsonValue]]
    ) -> None:
        self._provider = provider
        self._call = call

    @property
    def provider(self) -> str:
        """Who answers, as `agent.tool`."""
        return self._provider

    async def call(self, arguments: dict[str, JsonValue]) -> JsonValue:
        """Call the tool; the arguments and the result are JSON values of their own."""
        return await self._call(arguments)
