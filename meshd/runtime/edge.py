"""A need at run time: its upstreams now, and calls to the best of them.

`Edge.call` and `Edge.stream` are the one interception point on the consumer's side of a call:
arguments become JSON, results what the consumer expects; a `Journey` does what lies between. `wire`
replaces the upstreams when the wiring changes; attempts that are under way keep theirs.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Protocol

from meshd.clock import Clock
from meshd.domain.spec import JsonValue
from meshd.errors import (
    ArgumentsRejected,
    Busy,
    CallError,
    ResultRejected,
    Unavailable,
)
from meshd.plan.model import Binding
from meshd.runtime.balance import Chance
from meshd.runtime.chunks import Chunks
from meshd.runtime.context import current_call
from meshd.runtime.counts import CANCELLED, OK
from meshd.runtime.journey import Journey
from meshd.runtime.routes import EdgeCounters, LineState, Routes, TokenFor, any_chance, no_token
from meshd.runtime.upstreams import Upstream

LARGE = 2**63
ToJson = Callable[[Any, str], JsonValue]
"""Returns a value as JSON values, or raises `ResultRejected`; the text is the value's name."""


class Expected(Protocol):
    """A type that results are converted to."""

    def validate_python(self, value: Any, /) -> Any:
        """Return the value as that type, or raise `ValueError`."""
        ...

    def validate_chunk(self, chunk: Any, /) -> Any:
        """Return one chunk of such a value as its type, or raise `ValueError`."""
        ...


class Edge:
    """One need of one tool, with the upstreams that can serve it now, best first.

    With `settle_seconds`, calls that come before the first wiring wait for it, each until its own
    deadline, and all until that time is over.
    """

    def __init__(  # noqa: PLR0913 - what an edge is made of
        self,
        binding: Binding,
        expected: Expected | None,
        to_json: ToJson,
        clock: Clock,
        *,
        settle_seconds: float = 0.0,
        token_for: TokenFor = no_token,
        chance: Chance = any_chance,
    ) -> None:
        self.binding = binding
        self.settled = settle_seconds <= 0
        """Whether nobody has to wait any more: it was wired, or the time for it is over."""
        self.wired = False
        self._expected = expected
        self._to_json = to_json
        self._clock = clock
        self._routes = Routes(binding.need.call, clock, token_for, chance)
        self._settle_seconds = settle_seconds
        self._settles_by: float | None = None
        self._wiring = asyncio.Event()
        self._streams: set[AsyncGenerator[Any, None]] = set()

    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        """The upstreams now, best first."""
        return self._routes.upstreams

    @property
    def counters(self) -> EdgeCounters:
        """What was counted so far."""
        return self._routes.counters

    @property
    def states(self) -> tuple[LineState, ...]:
        """What is known of each upstream now."""
        return self._routes.states()

    @property
    def is_usable(self) -> bool:
        """Whether a call may succeed: somebody serves the need, or did a moment ago.

        Who can do without it is told at once that there is nobody.
        """
        routes = self._routes
        if routes.lines.all:
            return True
        return self.binding.need.required and routes.lost_a_moment_ago()

    @property
    def is_streaming(self) -> bool:
        """Whether the tool is called for its chunks."""
        return bool(self._routes.settings.streaming)

    def wire(self, upstreams: tuple[Upstream, ...]) -> None:
        """Replace the upstreams, best first; none leaves the need unresolved."""
        self._routes.wire(upstreams)
        self.wired = True
        self.settled = True
        self._wiring.set()

    def begin_to_settle(self) -> None:
        """Let the time for the first wiring begin now; else it begins with the first call."""
        if self._settles_by is None:
            self._settles_by = self._clock.monotonic() + self._settle_seconds

    async def settle(self) -> None:
        """Wait for the first wiring, as long as there is time for it."""
        if self.settled:
            return
        self.begin_to_settle()
        limits = (self._settles_by, current_call.get().deadline)
        left = min(limit for limit in limits if limit is not None) - self._clock.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, left)):
                await self._wiring.wait()
        if self._settles_by is not None and self._clock.monotonic() >= self._settles_by:
            self.settled = True

    def unavailable(self) -> Unavailable:
        """Return the error of a need that nothing serves."""
        need = self.binding.need
        misses = "; ".join(self.binding.misses)
        reason = f": {misses}" if misses else ""
        where = "nothing in the mesh provides now"
        return Unavailable(
            f"`{self.binding.tool}` needs `{need.capability}`, which {where}{reason}",
            provider=need.capability,
            attempts=0,
        )

    async def call(self, arguments: Mapping[str, Any]) -> Any:
        """Call an upstream and return its result, converted to the expected type.

        Raises:
            CallError: see `Journey.call`; or the result is not of the expected type.

        """
        if not self.settled:
            await self.settle()
        journey = self._journey()
        counters = self._routes.counters
        began = counters.begin()
        try:
            value, provider = await journey.call(lambda name: self._sendable(arguments, name))
            if self._expected is not None:
                value = self._converted(self._expected.validate_python, value, provider)
        except BaseException as error:
            counters.end(began, error.code if isinstance(error, CallError) else CANCELLED)
            raise
        counters.end(began)
        return value

    def stream(self, arguments: Mapping[str, Any]) -> Chunks:
        """Return the chunks of an upstream as they are made, each of the expected type.

        Taking them raises what `call` raises; chunks that came before it were good.
        """
        return Chunks(self._stream(arguments), self._streams)

    async def _stream(self, arguments: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
        if not self.settled:
            await self.settle()
        journey = self._journey()
        counters = self._routes.counters
        began = counters.begin()
        outcome = CANCELLED
        chunks = journey.stream(lambda name: self._sendable(arguments, name))
        try:
            async for chunk, provider in chunks:
                if self._expected is None:
                    yield chunk
                else:
                    yield self._converted(self._expected.validate_chunk, chunk, provider)
            outcome = OK
        except CallError as error:
            outcome = error.code
            raise
        finally:
            counters.end(began, outcome)
            await chunks.aclose()

    def _journey(self) -> Journey:
        """Return what makes the call, in the context of the one that it belongs to."""
        routes, capability = self._routes, self.binding.need.capability
        if not routes.lines.all and not routes.lost_a_moment_ago():
            raise self.unavailable()
        most = routes.settings.concurrency
        if most is not None and routes.counters.in_flight >= most:
            raise Busy(
                f"`{self.binding.tool}` calls `{capability}` already as often at a time as "
                f"`concurrency` allows: {most}",
                provider=capability,
                attempts=0,
            )
        return Journey(routes, capability, self.unavailable, current_call.get())

    def _converted(self, convert: Callable[[Any], Any], value: JsonValue, provider: str) -> Any:
        try:
            return convert(value)
        except ValueError as error:
            message = f"`{provider}` answered what `{self.binding.tool}` does not expect: {error}"
            raise ResultRejected(message, provider=provider) from None

    def _sendable(self, arguments: Mapping[str, Any], provider: str) -> dict[str, JsonValue]:
        """Return the arguments as JSON values of their own, which the consumer cannot change."""
        try:
            return {
                name: value if is_plain(value) else self._to_json(value, name)
                for name, value in arguments.items()
            }
        except ResultRejected as error:
            message = f"arguments for `{provider}` cannot be sent: {error}"
            raise ArgumentsRejected(message, provider=provider) from None


def is_plain(value: object) -> bool:
    """Say whether a value is JSON beyond doubt, so that nothing has to be made of it."""
    if type(value) is str:
        return value.isascii()
    if type(value) is int:
        return -LARGE < value < LARGE
    return type(value) is bool or value is None
