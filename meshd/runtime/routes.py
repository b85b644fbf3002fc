"""The upstreams of an edge now, and what calls to them taught: all state that calls share.

`Routes` keeps a line for each upstream, with its breaker and its latency over every re-wiring; the
retry budget; the counters; and those calls that wait until somebody can be reached again.
"""

import asyncio
import random
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass

from meshd.clock import Clock
from meshd.domain.call import BUILT_IN, nearest
from meshd.domain.spec import CallSettings
from meshd.errors import BreakerOpen, CallError, Unavailable
from meshd.runtime.balance import Chance, Line, Lines
from meshd.runtime.breaker import RESTART_PATIENCE, TIMEOUT_THAT_COUNTS_SECONDS
from meshd.runtime.counts import ToolCounts
from meshd.runtime.outgoing import Outgoing
from meshd.runtime.retry import Budget
from meshd.runtime.upstreams import Upstream

TokenFor = Callable[[str, bool], str | None]
"""Returns the token for a provider (`agent.tool`), which demands one or not, if there is one."""


def no_token(_provider: str, _demands: bool) -> str | None:  # noqa: FBT001 (a callback)
    """Return that there is none."""
    return None


any_chance: Chance = random.Random().random  # noqa: S311  (no secret depends on it)


class EdgeCounters(ToolCounts):
    """What an edge counts: its calls as a tool counts them, and what they took to succeed.

    `attempts` are sent or refused ones; `retries` those after a call may have been executed or was
    refused as busy; `failovers` those that went on because nothing was executed; `hedges` second
    calls beside a slow one; `waits` those for somebody to come back.
    """

    __slots__ = ("attempts", "failovers", "hedges", "retries", "waits")

    def __init__(self) -> None:
        super().__init__()
        self.attempts = 0
        self.retries = 0
        self.failovers = 0
        self.hedges = 0
        self.waits = 0


@dataclass(frozen=True, slots=True)
class LineState:
    """What an edge knows of one upstream now; `breaker` is `closed`, `open` or `half-open`."""

    provider: str
    key: Hashable
    tier: int
    in_flight: int
    latency_seconds: float
    breaker: str
    breaker_opened: int
    is_outlier: bool


class Wired:
    """An upstream with the terms of an edge's calls to it, made once for all calls."""

    __slots__ = (
        "attempt_seconds",
        "hedge_seconds",
        "idempotent",
        "key",
        "outgoing",
        "provider",
        "settings",
        "tier",
        "upstream",
    )

    def __init__(self, upstream: Upstream, own: CallSettings, token_for: TokenFor) -> None:
        traits = upstream.traits
        self.upstream = upstream
        self.provider = upstream.provider
        self.key = upstream.key
        self.tier = traits.tier
        self.idempotent = traits.idempotent or traits.read_only
        self.settings = nearest(own, traits.call, BUILT_IN)
        # What may run twice at the same time must change nothing.
        self.hedge_seconds = self.settings.hedge_seconds if traits.read_only else None
        self.attempt_seconds = self.settings.retries_timeout_seconds if self.idempotent else None
        token = token_for(upstream.provider, traits.auth_required)
        self.outgoing = Outgoing(self.settings, token)


class Attempt:
    """One attempt of a call, over one line; `is_probe` says that the breaker finds out by it.

    `is_too_late` says that the time of the attempt is over, though that of its call is not.
    """

    __slots__ = ("began", "is_probe", "is_too_late", "line")

    def __init__(self, line: Line[Wired], now: float) -> None:
        self.line = line
        self.began = now
        self.is_probe = line.begin(now)
        self.is_too_late = False


class Routes:
    """The lines of one edge."""

    def __init__(
        self,
        own: CallSettings,
        clock: Clock,
        token_for: TokenFor = no_token,
        chance: Chance = any_chance,
    ) -> None:
        """Take the need's own settings, and the tokens of those providers that it may know."""
        self.counters = EdgeCounters()
        self.settings = nearest(own, BUILT_IN)
        """Those of the best upstream, or of the one that was the best."""
        self.now = clock.monotonic
        self.sleep = clock.sleep
        self.chance = chance
        self.budget = Budget(self.settings.retries_budget or 0.0)
        self.lines: Lines[Wired] = Lines(self.settings.balance or "least", chance)
        self._own = own
        self._token_for = token_for
        self._lost_at: float | None = None
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        """The upstreams, best first."""
        return tuple(line.upstream.upstream for line in self.lines.all)

    def wire(self, upstreams: tuple[Upstream, ...]) -> None:
        """Replace the upstreams; what is known of those that stay is kept."""
        now = self.now()
        known = {line.upstream.key: line for line in self.lines.all}
        lines: list[Line[Wired]] = []
        for upstream in upstreams:
            wired = Wired(upstream, self._own, self._token_for)
            failures, seconds = wired.settings.breaker_failures, wired.settings.breaker_open_seconds
            line = known.pop(wired.key, None)
            if line is None:
                line = Line(wired, failures or 1, seconds or 0.0)
            else:
                line.upstream = wired
                line.breaker.failures_max, line.breaker.open_seconds = failures or 1, seconds or 0.0
                line.breaker.hope(now)
            lines.append(line)
        if lines:
            best = max(lines, key=lambda line: line.upstream.tier)
            self.settings = best.upstream.settings
            self.budget.share = self.settings.retries_budget or 0.0
            self._lost_at = None
        elif self.lines.all:
            self._lost_at = now
        self.lines.replace(lines, self.settings.balance or "least")
        self.wake()

    def states(self) -> tuple[LineState, ...]:
        """Return what is known of each upstream now."""
        now = self.now()
        return tuple(
            LineState(
                provider=line.upstream.provider,
                key=line.upstream.key,
                tier=line.upstream.tier,
                in_flight=line.in_flight,
                latency_seconds=line.seconds(now),
                breaker=line.breaker.state(now),
                breaker_opened=line.breaker.opened,
                is_outlier=line.is_outlier,
            )
            for line in self.lines.all
        )

    def lost_a_moment_ago(self) -> bool:
        """Say whether the last upstream went so short a time ago that it may be restarting."""
        return self._lost_at is not None and self.now() - self._lost_at < RESTART_PATIENCE

    def begin(self, line: Line[Wired]) -> Attempt:
        """Note that an attempt begins."""
        self.counters.attempts += 1
        return Attempt(line, self.now())

    def answered(self, attempt: Attempt, *, well: bool) -> None:
        """Note that an upstream answered a call: with its value, or with an error of its own."""
        now, line = self.now(), attempt.line
        line.end(attempt.began)
        seconds = now - attempt.began
        # What fails fast must not look like what is fast.
        line.sample(seconds if well else max(seconds, line.seconds(now)), now)
        breaker = line.breaker
        if breaker.failures or not breaker.is_closed:
            breaker.succeeded()
            self.wake()

    def refused(self, attempt: Attempt) -> None:
        """Note that no connection could be made."""
        attempt.line.end(attempt.began)
        attempt.line.breaker.refused(self.now(), was_probe=attempt.is_probe)
        self.wake()

    def broke(self, attempt: Attempt) -> None:
        """Note that a connection broke after the call was sent."""
        attempt.line.end(attempt.began)
        breaker = attempt.line.breaker
        breaker.failed(self.now(), began=attempt.began, was_probe=attempt.is_probe)
        self.wake()

    def gave_up(self, attempt: Attempt, *, is_too_late: bool) -> None:
        """Note a call that nobody waits for any more: too late, or cancelled."""
        now, line = self.now(), attempt.line
        line.end(attempt.began)
        seconds = now - attempt.began
        if seconds > line.seconds(now):
            line.sample(seconds, now)
        own = line.upstream.settings.timeout_seconds or TIMEOUT_THAT_COUNTS_SECONDS
        # The clock of the loop may be a little early.
        if is_too_late and seconds >= min(own, TIMEOUT_THAT_COUNTS_SECONDS) * 0.99:
            line.breaker.failed(now, began=now, was_probe=attempt.is_probe)
        else:
            line.breaker.end(was_probe=attempt.is_probe)
        self.wake()

    def wake(self) -> None:
        """Let those look again who wait for an upstream."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def wait_for_chance(self, tried: Collection[Line[Wired]]) -> bool:
        """Wait until an upstream may be back; False, at once, if none is on its way."""
        now = self.now()
        until = self._patience(now, tried)
        if until is None:
            return False
        self.counters.waits += 1
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.add(future)
        timer = loop.call_later(max(0.0, until - now), _finish, future)
        try:
            await future
        finally:
            timer.cancel()
            self._waiting.discard(future)
        return True

    def _patience(self, now: float, tried: Collection[Line[Wired]]) -> float | None:
        """Return until when to wait before looking again; None if it is of no use."""
        lines = self.lines.all
        if not lines:
            if self._lost_at is None or not self.lost_a_moment_ago():
                return None
            return self._lost_at + RESTART_PATIENCE
        times: list[float] = []
        for line in lines:
            since = line.breaker.refused_since
            if since is not None and line not in tried and line.breaker.is_restarting(now):
                chance = line.breaker.next_chance()
                times.append(since + RESTART_PATIENCE if chance is None else chance)
        return min(times, default=None)

    def nothing(self) -> CallError | None:
        """Return the error of a call for which none of the upstreams can be used, if it has any."""
        lines = self.lines.all
        if not lines:
            return None
        failing = [line for line in lines if line.breaker.is_failing]
        names = " and ".join(sorted({f"`{line.upstream.provider}`" for line in failing or lines}))
        first = lines[0].upstream.provider
        if not failing:
            return Unavailable(f"{names} cannot be reached", provider=first)
        now = self.now()
        left = min(line.breaker.next_chance() or now for line in failing) - now
        message = f"{names} failed so often that calls pause for another {max(0.0, left):.1f} s"
        return BreakerOpen(message, provider=first)


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
