"""What follows on a failed attempt: another upstream, a further attempt, or the end of the call.

Pure: time and chance are arguments. What certainly was not executed may go on elsewhere; what may
have been executed is tried again only if the tool is idempotent and its settings say so, within a
budget that keeps retries from multiplying the load of a provider in trouble.
"""

from collections.abc import Collection
from enum import Enum

from meshd.domain.spec import RetryOn
from meshd.errors import Busy, CallError, Unavailable

FREE_PER_SECOND = 10.0
"""Retries that every edge may make, however few its calls are."""
SAVED_SECONDS = 10.0
"""Over how long a time the budget counts."""
LONGEST_PAUSE_SECONDS = 5.0


class Verdict(Enum):
    """What follows on a failed attempt."""

    ELSEWHERE = "elsewhere"
    """Nothing was executed: another upstream may take it, at once."""
    AGAIN = "again"
    """It counts as a retry."""
    END = "end"
    """The error is the call's."""


def verdict(error: CallError, kinds: Collection[RetryOn], *, is_idempotent: bool) -> Verdict:
    """Return what follows on an attempt that ended with an error."""
    if isinstance(error, Unavailable):
        return Verdict.ELSEWHERE
    if isinstance(error, Busy):
        return Verdict.AGAIN if "busy" in kinds else Verdict.END
    if not is_idempotent and error.executed:
        return Verdict.END
    return Verdict.AGAIN if error.code in kinds else Verdict.END


class Budget:
    """How many retries an edge may make: a share of its calls, and some every second."""

    __slots__ = ("_at", "_free", "_saved", "share")

    def __init__(self, share: float) -> None:
        self.share = share
        self._saved = 0.0
        self._free = FREE_PER_SECOND
        self._at: float | None = None

    def called(self) -> None:
        """Note a call, which earns its share of a retry."""
        self._saved += self.share

    def spend(self, now: float) -> bool:
        """Take one retry out of the budget; False if there is none."""
        passed = 0.0 if self._at is None else now - self._at
        self._at = now
        self._free = min(FREE_PER_SECOND, self._free + passed * FREE_PER_SECOND)
        # What was earned long ago does not pay for a storm now.
        self._saved *= max(0.0, 1.0 - passed / SAVED_SECONDS)
        if self._free >= 1.0:
            self._free -= 1.0
            return True
        # A sum of shares may lack the last bit.
        if self._saved >= 1.0 - 1e-6:
            self._saved -= 1.0
            return True
        return False


def pause_seconds(retry: int, base_seconds: float, chance: float) -> float:
    """Return how long to wait before a retry (from 1), with jitter: chance is from 0 up to 1."""
    longest = min(LONGEST_PAUSE_SECONDS, base_seconds * 2.0 ** min(retry - 1, 30))
    return longest * (0.5 + 0.5 * chance)
