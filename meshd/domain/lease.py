"""A lease: an instance's right to be found until a deadline. The time is always an argument.

Goes in: a moment, from whoever has a clock. Comes out: a new lease, or a refusal. Deadlines are
seconds on a clock that only grows; the wall clock is for people to read and never decides.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from meshd.errors import StaleIncarnation

INTERVAL_SECONDS = 5.0
"""How often an instance renews its lease, if it says nothing else."""
SHORTEST_INTERVAL_SECONDS = 1.0
LONGEST_INTERVAL_SECONDS = 3600.0

_INTERVALS = 3
_SLACK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Moment:
    """A time twice: `seconds` on a clock that only grows, and `wall` in UTC."""

    seconds: float
    wall: datetime


def lease_seconds(interval_seconds: float = INTERVAL_SECONDS) -> float:
    """Return how long a lease lasts: two heartbeats may be lost, and the third be a little late."""
    return _INTERVALS * interval_seconds + _SLACK_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right of one incarnation of an instance to be found until `expires_at`.

    Incarnation 0 is that of an instance which does not count its starts.
    """

    instance: str
    incarnation: int = 0
    seconds: float
    expires_at: float

    @classmethod
    def granted(cls, instance: str, now: float, *, seconds: float, incarnation: int = 0) -> "Lease":
        """Return a lease that begins now."""
        return cls(
            instance=instance,
            incarnation=incarnation,
            seconds=seconds,
            expires_at=now + seconds,
        )

    def is_expired(self, now: float) -> bool:
        """Say whether the deadline has come."""
        return now >= self.expires_at

    def renewed(self, now: float) -> "Lease":
        """Return the lease with a deadline counted from now; it never comes nearer."""
        # With every heartbeat, and several times as fast as `replace`.
        return Lease(
            instance=self.instance,
            incarnation=self.incarnation,
            seconds=self.seconds,
            expires_at=max(self.expires_at, now + self.seconds),
        )

    def extended(self, seconds: float) -> "Lease":
        """Return the lease with a later deadline."""
        return replace(self, expires_at=self.expires_at + seconds)

    def require(self, incarnation: int) -> None:
        """Refuse an incarnation that is older than the one that holds the lease."""
        if incarnation < self.incarnation:
            raise StaleIncarnation(self.instance, incarnation, self.incarnation)
