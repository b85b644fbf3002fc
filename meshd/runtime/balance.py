"""Which upstream a call goes to. Pure: time and chance are arguments.

A `Line` is one upstream of an edge with what the edge knows of it: calls under way, how long they
take, and its breaker. `Lines` picks one: the best tier that has one to use, and in it, by
`balance`, the cheaper of two (calls under way times the time they take), the next, any, or the
first. Those that are far slower than the others are left out, at most half of them.
"""

import math
from bisect import insort
from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Generic, Protocol, TypeVar

from meshd.domain.spec import Balance
from meshd.runtime.breaker import Breaker

Chance = Callable[[], float]
"""Returns a number from 0 up to 1."""

WINDOW_SECONDS = 1.0
"""Over which time the latency of an upstream is averaged while it is called often."""
LEAST_WEIGHT = 0.05
"""Of a new sample, however soon it follows on the last."""
FADE_SECONDS = 10.0
"""How fast the latency of an upstream that is not called is forgotten."""
SMALLEST_SECONDS = 1e-6
SLOWER_FACTOR = 5.0
SLOWER_SECONDS = 0.05
"""By how much an upstream must be slower than the median of its tier to be left out: both."""
REVIEW_SECONDS = 0.1


class Ranked(Protocol):
    """What a line needs to know of its upstream."""

    @property
    def key(self) -> Hashable:
        """What makes it the same upstream after the wiring changed."""
        ...

    @property
    def tier(self) -> int:
        """How well it matches; those with a smaller number are used when no better one can be."""
        ...


U = TypeVar("U", bound=Ranked)


class Line(Generic[U]):
    """One upstream of an edge, and what the edge knows of it."""

    __slots__ = (
        "_began_sum",
        "_sampled_at",
        "_seconds",
        "breaker",
        "in_flight",
        "is_outlier",
        "upstream",
    )

    def __init__(self, upstream: U, failures_max: int, open_seconds: float) -> None:
        self.upstream = upstream
        self.breaker = Breaker(failures_max, open_seconds)
        self.in_flight = 0
        self.is_outlier = False
        # Of the calls under way, so that their mean age is known at any time.
        self._began_sum = 0.0
        self._sampled_at = -math.inf
        self._seconds = 0.0

    def begin(self, now: float) -> bool:
        """Note that a call begins; return whether the breaker is finding out by it."""
        self.in_flight += 1
        self._began_sum += now
        return False if self.breaker.is_closed else self.breaker.begin()

    def end(self, began: float) -> None:
        """Note that a call that began at some time is no more under way."""
        self.in_flight -= 1
        # Sums of floats drift: none is under way is exactly nothing.
        self._began_sum = self._began_sum - began if self.in_flight else 0.0

    def sample(self, seconds: float, now: float) -> None:
        """Take in how long a call took."""
        weight = 1.0 - math.exp((self._sampled_at - now) / WINDOW_SECONDS)
        weight = max(weight, LEAST_WEIGHT)
        self._seconds += weight * (seconds - self._seconds)
        self._sampled_at = now

    def seconds(self, now: float, unknown: float = 0.0) -> float:
        """Return how long a call takes, as well as it is known.

        Calls that are under way count as well: one that hangs is noticed before it ends.
        """
        known = unknown
        if self._sampled_at > -math.inf:
            known = self._seconds
            idle = now - self._sampled_at
            if idle > WINDOW_SECONDS:
                known *= math.exp((WINDOW_SECONDS - idle) / FADE_SECONDS)
        if self.in_flight:
            known = max(known, now - self._began_sum / self.in_flight)
        return max(known, SMALLEST_SECONDS)

    def cost(self, now: float, unknown: float) -> float:
        """Return by what `least` compares."""
        return (self.in_flight + 1) * self.seconds(now, unknown)

    def is_usable(self, now: float) -> bool:
        """Say whether a call may be made over it now."""
        return not self.is_outlier and (self.breaker.is_closed or self.breaker.admits(now))


class Lines(Generic[U]):
    """All lines of an edge; those that are better come first."""

    __slots__ = ("_balance", "_chance", "_reviewed_at", "_tiers", "_turn", "_typical", "all")

    def __init__(self, balance: Balance, chance: Chance) -> None:
        self.all: tuple[Line[U], ...] = ()
        self._balance: Balance = balance
        self._chance = chance
        self._tiers: tuple[tuple[Line[U], ...], ...] = ()
        self._turn = -1
        self._reviewed_at = -math.inf
        self._typical = 0.0

    def replace(self, lines: Sequence[Line[U]], balance: Balance) -> None:
        """Use other lines from now on; of those that match equally well the first come first."""
        self._balance = balance
        tiers: dict[int, list[Line[U]]] = {}
        for line in lines:
            tiers.setdefault(line.upstream.tier, []).append(line)
        self._tiers = tuple(tuple(tiers[tier]) for tier in sorted(tiers, reverse=True))
        self.all = tuple(line for tier in self._tiers for line in tier)
        self._reviewed_at = -math.inf

    def pick(self, now: float, tried: Collection[Line[U]] = ()) -> Line[U] | None:
        """Return the line for a call, none of those it tried; None if there is none to use."""
        if len(self.all) == 1:
            line = self.all[0]
            line.is_outlier = False
            return None if line in tried or not line.breaker.admits(now) else line
        if now - self._reviewed_at >= REVIEW_SECONDS:
            self._review(now)
        # Nearly always two of the best tier can be used, so that the others need no look.
        best = self._tiers[0] if self._tiers else ()
        if self._balance == "least" and not tried and len(best) > 1:
            left, right = self._two(best)
            if left.is_usable(now) and right.is_usable(now):
                return self._cheaper(left, right, now)
        for tier in self._tiers:
            usable = [line for line in tier if line.is_usable(now) and line not in tried]
            if usable:
                return self._best(tier, usable, now)
        # A slow one is better than none.
        rest = (line for line in self.all if line.breaker.admits(now) and line not in tried)
        return next(rest, None)

    def has_other(self, now: float, tried: Collection[Line[U]]) -> bool:
        """Say whether there is a line to use that was not tried."""
        return any(line.breaker.admits(now) and line not in tried for line in self.all)

    def _best(self, tier: tuple[Line[U], ...], usable: list[Line[U]], now: float) -> Line[U]:
        if len(usable) == 1:
            return usable[0]
        match self._balance:
            case "first":
                return usable[0]
            case "random":
                return usable[int(self._chance() * len(usable))]
            case "round_robin":
                return self._next(tier, usable)
            case "least":
                return self._cheaper(*self._two(usable), now)

    def _two(self, lines: Sequence[Line[U]]) -> tuple[Line[U], Line[U]]:
        """Return any two of at least two lines."""
        number = len(lines)
        one = int(self._chance() * number)
        other = (one + 1 + int(self._chance() * (number - 1))) % number
        return lines[one], lines[other]

    def _cheaper(self, left: Line[U], right: Line[U], now: float) -> Line[U]:
        is_left = left.cost(now, self._typical) <= right.cost(now, self._typical)
        return left if is_left else right

    def _next(self, tier: tuple[Line[U], ...], usable: list[Line[U]]) -> Line[U]:
        while True:
            self._turn = (self._turn + 1) % len(tier)
            if tier[self._turn] in usable:
                return tier[self._turn]

    def _review(self, now: float) -> None:
        """Leave out those that are far slower than the others of their tier."""
        self._reviewed_at = now
        for tier in self._tiers:
            open_lines: list[tuple[float, int, Line[U]]] = []
            for number, line in enumerate(tier):
                line.is_outlier = False
                if line.breaker.is_closed:
                    insort(open_lines, (line.seconds(now, self._typical), number, line))
            if not open_lines:
                continue
            # The lower one of two, since who is slower is in question.
            median = open_lines[(len(open_lines) - 1) // 2][0]
            if tier is self._tiers[0]:
                self._typical = median
            limit = max(SLOWER_FACTOR * median, median + SLOWER_SECONDS)
            most = len(open_lines) // 2
            for seconds, _, line in open_lines[len(open_lines) - most :] if most else ():
                line.is_outlier = seconds > limit
