"""What the registry knows of a registered instance, and what it answers to heartbeats."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from meshd.domain.instance import Instance
from meshd.domain.lease import INTERVAL_SECONDS, Lease
from meshd.registry.events import MAX_EVENTS
from meshd.registry.store import StoredInstance
from meshd.registry.wiring import Wiring

Answer = Literal["unchanged", "changed", "unknown"]
"""What a heartbeat learns: nothing new, that its wiring changed, or that it has to register."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a registry holds, and how long; all times in seconds."""

    instances: int = 10_000
    total_bytes: int = 64 * 1024 * 1024
    events: int = MAX_EVENTS
    interval_seconds: float = INTERVAL_SECONDS
    """How often an instance that does not say it renews its lease."""
    forget_after_seconds: float = 60.0
    """How long an instance is listed after its lease has ended."""


@dataclass(slots=True)
class Record:
    """A registered instance and what the registry knows of it."""

    instance: Instance
    lease: Lease
    created_at: datetime
    last_seen: datetime
    size: int
    gone_since: float | None = None
    wiring: Wiring | None = None
    """Its dependencies as they are resolved now; None until it is asked for."""
    told: Wiring | None = None
    """The wiring that its last full heartbeat was answered with; None before the first."""
    digest: bytes = b""
    """That of the body of its last full heartbeat; empty after a restart."""
    warnings: tuple[str, ...] = ()
    """What that body was warned of."""

    def stored(self) -> StoredInstance:
        """Return what must survive."""
        return StoredInstance(
            instance=self.instance,
            created_at=self.created_at,
            last_seen=self.last_seen,
            size=self.size,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """What a full heartbeat is answered with."""

    is_new: bool
    instance: Instance
    interval_seconds: float
    wiring: Wiring
    revision: int
    warnings: tuple[str, ...] = ()
