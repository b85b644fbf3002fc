"""What every store guarantees to the registry.

Writing never waits: `put`, `touch`, `drop` and `append` only remember what is to be written, and
what they remember is bounded. `write` makes all of it durable in one go, in order. What `write` has
returned from is found by `load`, in this process or the next; what it has not may be lost, all of
it or a part, but never leaves a registration half written. `load` comes first.

A store that cannot keep its promise raises `StoreFailed`. While it is open, a later `write` tries
again. When it is not, `load` opens it anew, and `rewrite` follows with all that there is. Times are
wall-clock, since no other survives a restart.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from meshd.domain.instance import Instance
from meshd.errors import MeshdError
from meshd.registry.events import Event


class StoreFailed(MeshdError):
    """The store cannot be read or written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredInstance:
    """An instance as it was when it was last written; `size` counts its registration's bytes."""

    instance: Instance
    created_at: datetime
    last_seen: datetime
    size: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a store holds; events are oldest first."""

    instances: tuple[StoredInstance, ...] = ()
    events: tuple[Event, ...] = ()


class Store(Protocol):
    """Keeps instances and the latest events."""

    @property
    def kind(self) -> str:
        """What /health calls it."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether it can be written; if not, `load` and `rewrite` come first."""
        ...

    @property
    def notice(self) -> str:
        """What somebody should know of it though it works, for /health; else empty."""
        ...

    async def load(self, *, set_aside: bool = False) -> Snapshot:
        """Open the store and return what it holds.

        What cannot be read, and was the registry's own, is set aside for good if that is said.
        """
        ...

    async def rewrite(self, snapshot: Snapshot) -> None:
        """Hold this instead of what it holds, with what was noted before; failing closes it."""
        ...

    def put(self, stored: StoredInstance) -> None:
        """Add or replace an instance."""
        ...

    def touch(self, instance: str, last_seen: datetime) -> None:
        """Note when an instance was heard last; nothing happens if it is not there."""
        ...

    def drop(self, instance: str) -> None:
        """Remove an instance; nothing happens if it is not there."""
        ...

    def append(self, events: Iterable[Event]) -> None:
        """Add events; the oldest go when there are too many."""
        ...

    async def write(self) -> None:
        """Make durable what was put, touched, dropped and appended."""
        ...

    async def close(self) -> None:
        """Write what is left, and let go; never raises."""
        ...
