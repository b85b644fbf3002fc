"""A need at run time: its upstreams now, and one call to the best of them.

`Edge.call` is the one interception point on the consumer's side of a call: time, choice of the
upstream, and errors are handled here and nowhere else. `wire` replaces the upstreams when the
wiring changes; a call that is under way keeps those it has.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from meshd.clock import Clock
from meshd.domain.call import BUILT_IN
from meshd.domain.spec import CallSettings, JsonValue
from meshd.errors import (
    ArgumentsRejected,
    CallError,
    CallTimedOut,
    ResultRejected,
    Unavailable,
)
from meshd.plan.model import Binding
from meshd.runtime.context import current_call

BUILT_IN_SECONDS = BUILT_IN.timeout_seconds or 30.0

ToJson = Callable[[Any, str], JsonValue]
"""Returns a value as JSON values, or raises `ResultRejected`; the text is the value's name."""


class Upstream(Protocol):
    """One instance that offers the needed tool."""

    @property
    def provider(self) -> str:
        """Who answers, as `agent.tool`."""
        ...

    @property
    def call_settings(self) -> CallSettings:
        """How the provider asks its consumers to call; a need's own settings are nearer."""
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
    """One need of one tool, with the upstreams that can serve it now, best first.

    With `settle_seconds`, calls that come before the first wiring wait for it, each until its own
    deadline, and all until that time is over.
    """

    def __init__(
        self,
        binding: Binding,
        expected: Expected | None,
        to_json: ToJson,
        clock: Clock,
        *,
        settle_seconds: float = 0.0,
    ) -> None:
        self.binding = binding
        self.upstreams: tuple[Upstream, ...] = ()
        self.settled = settle_seconds <= 0
        """Whether nobody has to wait any more: it was wired, or the time for it is over."""
        self.wired = False
        self._expected = expected
        self._to_json = to_json
        self._clock = clock
        self._own_timeout = binding.need.call.timeout_seconds
        self._settle_seconds = settle_seconds
        self._settles_by: float | None = None
        self._wiring = asyncio.Event()

    def wire(self, upstreams: tuple[Upstream, ...]) -> None:
        """Replace the upstreams, best first; none leaves the need unresolved."""
        self.upstreams = upstreams
        self.wired = True
        self.settled = True
        self._wiring.set()

    @property
    def is_usable(self) -> bool:
        """Whether a call may succeed: somebody serves the need."""
        return bool(self.upstreams)

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
        """Call the best upstream and return its result, converted to the expected type.

        Where it cannot be reached, so that nothing was executed, the next one is called; all of
        them share one deadline.
        """
        if not self.settled:
            await self.settle()
        upstreams = self.upstreams
        if not upstreams:
            raise self.unavailable()
        seconds = self._timeout_seconds(upstreams[0])
        deadline = self._clock.monotonic() + seconds
        context = current_call.get().until(deadline)
        token = current_call.set(context)
        limit = asyncio.timeout(self._remaining(context.deadline))
        attempt = 0
        try:
            async with limit:
                while True:
                    upstream = upstreams[attempt]
                    attempt += 1
                    try:
                        value = await upstream.call(self._sendable(arguments, upstream.provider))
                        break
                    except CallError as error:
                        error.attempts = attempt
                        if not isinstance(error, Unavailable) or attempt == len(upstreams):
                            raise
        except TimeoutError as error:
            if isinstance(error, CallTimedOut) or not limit.expired():
                raise
            provider = upstreams[attempt - 1].provider
            is_own = context.deadline == deadline
            within = f"{seconds:g} s" if is_own else "the time that its caller had left"
            message = f"`{provider}` did not answer within {within}"
            raise CallTimedOut(message, provider=provider, attempts=attempt) from None
        finally:
            current_call.reset(token)
        return self._converted(value, upstream.provider)

    def _timeout_seconds(self, upstream: Upstream) -> float:
        """Return the time that a call has: the need says it, else the provider, else meshd."""
        levels = (self._own_timeout, upstream.call_settings.timeout_seconds)
        return next((level for level in levels if level is not None), BUILT_IN_SECONDS)

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
