"""A need at run time: its upstreams now, and one call to the best of them.

`Edge.call` is the one interception point on the consumer's side of a call: time, choice of the
upstream, and errors are handled here and nowhere else. The daemon replaces `upstreams` when the
wiring changes; a call that is under way keeps the upstream it has.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from meshd.clock import Clock
from meshd.domain.spec import JsonValue
from meshd.errors import ArgumentsRejected, CallTimedOut, ResultRejected, Unavailable
from meshd.plan.model import Binding
from meshd.runtime.context import current_call

ToJson = Callable[[Any, str], JsonValue]
"""Returns a value as JSON values, or raises `ResultRejected`; the text is the value's name."""


class Upstream(Protocol):
    """One instance that offers the needed tool."""

    @property
    def provider(self) -> str:
        """Who answers, as `agent.tool`."""
        ...

    async def call(self, arguments: dict[str, JsonValue]) -> JsonValue:
        """Call the tool with JSON arguments and return its JSON result; raise a `CallError`."""
        ...


class Expected(Protocol):
    """A type that results are converted to."""

    def validate_python(self, value: Any, /) -> Any:
        """Return the value as that type, or raise `ValueError`."""
        ...


class Edge:
    """One need of one tool, with the upstreams that can serve it now, best first."""

    def __init__(
        self, binding: Binding, expected: Expected | None, to_json: ToJson, clock: Clock
    ) -> None:
        self.binding = binding
        self.upstreams: tuple[Upstream, ...] = ()
        self._expected = expected
        self._to_json = to_json
        self._clock = clock
        self._timeout_seconds = binding.call.timeout_seconds

    def unavailable(self) -> Unavailable:
        """Return the error of a need that nothing serves."""
        need = self.binding.need
        misses = "; ".join(self.binding.misses)
        reason = f": {misses}" if misses else ", and nothing comes near"
        return Unavailable(
            f"`{self.binding.tool}` needs `{need.capability}`, which nothing provides{reason}",
            provider=need.capability,
            attempts=0,
        )

    async def call(self, arguments: Mapping[str, Any]) -> Any:
        """Call the best upstream and return its result, converted to the expected type."""
        if not self.upstreams:
            raise self.unavailable()
        upstream = self.upstreams[0]
        context = current_call.get()
        seconds = self._timeout_seconds
        if seconds is not None:
            context = context.until(self._clock.monotonic() + seconds)
        token = current_call.set(context)
        limit = asyncio.timeout(self._remaining(context.deadline))
        try:
            async with limit:
                value = await upstream.call(self._sendable(arguments, upstream.provider))
        except TimeoutError as error:
            if isinstance(error, CallTimedOut) or not limit.expired():
                raise
            raise CallTimedOut(
                f"`{upstream.provider}` did not answer within {seconds:g} s",
                provider=upstream.provider,
            ) from None
        finally:
            current_call.reset(token)
        return self._converted(value, upstream.provider)

    def _remaining(self, deadline: float | None) -> float | None:
        return None if deadline is None else max(0.0, deadline - self._clock.monotonic())

    def _converted(self, value: JsonValue, provider: str) -> Any:
        if self._expected is None:
            return value
        try:
            return self._expected.validate_python(value)
        except ValueError as error:
            message = f"`{provider}` answered what `{self.binding.tool}` does not expect: {error}"
            raise ResultRejected(message, provider=provider) from None

    def _sendable(self, arguments: Mapping[str, Any], provider: str) -> dict[str, JsonValue]:
        """Return the arguments as JSON values of their own, which the consumer cannot change."""
        try:
            return {name: self._to_json(value, name) for name, value in arguments.items()}
        except ResultRejected as error:
            message = f"arguments for `{provider}` cannot be sent: {error}"
            raise ArgumentsRejected(message, provider=provider) from None
