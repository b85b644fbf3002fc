"""The heartbeat of one instance: it renews its lease, and learns who serves its needs.

A full heartbeat at the start, short ones from then on, and full ones again when the registry says
that something changed or that it does not know the instance. There is never more than one request
under way. When the registry is away nothing is torn down; it is asked again after pauses that
double, with jitter, so that many instances do not fall upon it together.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from meshd.clock import Clock
from meshd.domain.spec import JsonValue
from meshd.errors import RegistrationRefused, RegistryAway
from meshd.runtime.registration import Answer, Identity
from meshd.runtime.registry_client import Standing

FIRST_EAGER_SECONDS = 0.1
FIRST_BACK_OFF_SECONDS = 1.0
LONGEST_FOREIGN_SECONDS = 5.0
"""The interval at which MCP Mesh's registry, which knows no other, expects its agents."""
_LONGEST_BACK_OFF = 1.5
"""In intervals: so long may a registry that is back be without an instance."""
_JITTER = 0.1

logger = logging.getLogger("meshd.heartbeat")


@dataclass(frozen=True, slots=True)
class RegistryState:
    """How an instance stands with its registry, with the reason where it is not in it."""

    status: Literal["connected", "away", "refused"]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What a heartbeat asks of its instance, and tells it."""

    describe: Callable[[], dict[str, Any]]
    """Returns the body of a full heartbeat."""
    read: Callable[[Any], Answer]
    """Reads the answer to it, or raises `MalformedAnswer`."""
    apply: Callable[[Answer], bool]
    """Takes over the wiring.

    False means that the answer is too early to be believed, and has to be asked for again.
    """
    on_state: Callable[[RegistryState], None]
    """Hears of each change of the state."""


class Registry(Protocol):
    """What a heartbeat says to a registry; `RegistryClient` is the one over HTTP."""

    @property
    def url(self) -> str:
        """Where it is."""
        ...

    async def beat(self, instance: str, incarnation: int) -> Standing:
        """Send a short heartbeat; raise `RegistryAway`."""
        ...

    async def register(self, body: dict[str, Any]) -> JsonValue:
        """Send a full heartbeat; raise `RegistryAway` or `RegistrationRefused`."""
        ...

    async def leave(self, instance: str, incarnation: int, reason: str = "") -> None:
        """End a registration; raise `RegistryAway`."""
        ...


class Heartbeat:
    """Keeps one instance registered."""

    def __init__(
        self,
        identity: Identity,
        client: Registry,
        callbacks: Callbacks,
        clock: Clock,
        rng: random.Random,
        *,
        starts_with_others: bool = False,
    ) -> None:
        """Say with `starts_with_others` that better providers may come just after the first."""
        self.state: RegistryState | None = None
        self._identity = identity
        self._interval_seconds = identity.interval_seconds
        self._client = client
        self._callbacks = callbacks
        self._clock = clock
        self._random = rng
        self._must_register = True
        self._was_forgotten = False
        self._is_first = True
        self._failures = 0
        self._is_settling = starts_with_others
        self._eager_seconds: float | None = None
        """The pause before the next question while needs are unresolved, or yet settle."""
        self._wanted = asyncio.Event()
        self._speaking = asyncio.Lock()

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            async with self._speaking:
                pause = await self._beat()
            await self._pause(pause)

    def changed(self) -> None:
        """Send a full heartbeat at once, because what the instance offers or needs has changed."""
        self._must_register = True
        self._wanted.set()

    async def leave(self, reason: str = "") -> None:
        """Tell the registry that the instance ends, after `run` was cancelled.

        If the registry is away, the lease ends by itself.
        """
        async with self._speaking:
            with contextlib.suppress(RegistryAway):
                await self._leave(reason)

    async def _beat(self) -> float:
        """Do what is due, and return how long to wait after it, in seconds."""
        try:
            is_member = not self._must_register
            standing: Standing = "unknown"
            if is_member:
                standing = await self._client.beat(
                    self._identity.instance, self._identity.incarnation
                )
            if standing == "unchanged":
                self._is("connected")
                return self._next_pause()
            self._was_forgotten |= is_member and standing == "unknown"
            is_believed = False
            try:
                is_believed = await self._register()
            finally:
                self._must_register |= not is_believed
        except RegistryAway as error:
            return self._failed("away", str(error))
        except RegistrationRefused as error:
            return self._failed("refused", str(error))
        # One turn of the loop ends here: whoever ceased to beat would be withdrawn while it serves.
        except Exception as error:
            logger.exception("a heartbeat of %s failed", self._identity.instance)
            return self._failed("away", f"{type(error).__name__}: {error}")
        return self._next_pause()

    async def _register(self) -> bool:
        """Send a full heartbeat and take over the answer; False means that it is not believed."""
        answer = await self._full()
        if self._is_first and not answer.is_meshd:
            # MCP Mesh's registry tells consumers of a new endpoint only if the old one left.
            await self._leave()
            self._is_first = False
            answer = await self._full()
        self._is_first = False
        self._interval_seconds = self._interval_with(answer)
        self._is("connected")
        is_believed = self._callbacks.apply(replace(answer, was_forgotten=self._was_forgotten))
        self._was_forgotten = False
        self._is_settling &= bool(answer.wiring)
        if all(answer.wiring.values()) and not self._is_settling:
            self._eager_seconds = None
        elif self._eager_seconds is None:
            self._eager_seconds = FIRST_EAGER_SECONDS
        return is_believed

    def _interval_with(self, answer: Answer) -> float:
        """Return the interval that keeps the lease: only meshd's registry learns of another."""
        own = self._identity.interval_seconds
        return own if answer.is_meshd else min(own, LONGEST_FOREIGN_SECONDS)

    async def _full(self) -> Answer:
        body = self._callbacks.describe()
        # What changes from here on is not in the body, and has to be said again.
        self._must_register = False
        return self._callbacks.read(await self._client.register(body))

    async def _leave(self, reason: str = "") -> None:
        await self._client.leave(self._identity.instance, self._identity.incarnation, reason)

    def _next_pause(self) -> float:
        self._failures = 0
        interval = self._interval_seconds
        if self._is_settling and (self._eager_seconds or 0) >= interval:
            self._is_settling, self._eager_seconds = False, None
        if self._eager_seconds is None or self._eager_seconds >= interval:
            return self._jittered(interval, _JITTER)
        pause, self._eager_seconds = self._eager_seconds, 2 * self._eager_seconds
        return self._jittered(pause, _JITTER)

    def _failed(self, status: Literal["away", "refused"], reason: str) -> float:
        self._is(status, reason)
        longest = max(_LONGEST_BACK_OFF * self._interval_seconds, 2 * FIRST_BACK_OFF_SECONDS)
        pause = min(FIRST_BACK_OFF_SECONDS * 2**self._failures, longest)
        self._failures = min(self._failures + 1, 10)
        # From half of it on, so that those who failed together come back apart.
        return pause * self._random.uniform(0.5, 1.0)

    def _jittered(self, seconds: float, share: float) -> float:
        return seconds * self._random.uniform(1 - share, 1 + share)

    async def _pause(self, seconds: float) -> None:
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        wanted = asyncio.ensure_future(self._wanted.wait())
        try:
            await asyncio.wait({sleeping, wanted}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sleeping, wanted):
                task.cancel()
        self._wanted.clear()

    def _is(self, status: Literal["connected", "away", "refused"], reason: str = "") -> None:
        state = RegistryState(status, reason)
        if state == self.state:
            return
        before, self.state = self.state, state
        if status != "connected":
            logger.warning(
                "the registry %s %s: %s",
                self._client.url,
                "cannot be reached" if status == "away" else "refuses the registration",
                reason,
            )
        elif before is not None:
            logger.warning("the registry %s is back", self._client.url)
        self._callbacks.on_state(state)
