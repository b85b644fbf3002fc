"""What a running tool counts of its calls: plain numbers, so that counting costs little."""

from bisect import bisect_left
from time import perf_counter

BOUNDS_SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
"""Upper bounds of the buckets; one more holds what took longer."""
OK = "ok"
CANCELLED = "cancelled"


class ToolCounts:
    """The calls of one tool so far: how they ended, how long they took, how many are under way.

    `outcomes` counts by `ok`, `cancelled` and the codes of `CallError`.
    """

    __slots__ = ("buckets", "in_flight", "outcomes", "seconds")

    def __init__(self) -> None:
        self.in_flight = 0
        self.seconds = 0.0
        self.buckets = [0] * (len(BOUNDS_SECONDS) + 1)
        self.outcomes: dict[str, int] = {OK: 0}

    def begin(self) -> float:
        """Note that a call begins; return what `end` wants to be given."""
        self.in_flight += 1
        return perf_counter()

    def end(self, began: float, outcome: str = OK) -> None:
        """Note how a call ended, and that it did now."""
        seconds = perf_counter() - began
        self.in_flight -= 1
        self.seconds += seconds
        self.buckets[bisect_left(BOUNDS_SECONDS, seconds)] += 1
        outcomes = self.outcomes
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
