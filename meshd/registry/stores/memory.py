"""A store that forgets everything when its owner ends."""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from meshd.registry.events import MAX_EVENTS, Event
from meshd.registry.store import Snapshot, StoredInstance


class MemoryStore:
    """Keeps everything in this object."""

    kind = "memory"
    is_open = True
    notice = ""

    def __init__(self, max_events: int = MAX_EVENTS) -> None:
        self._instances: dict[str, StoredInstance] = {}
        self._events: deque[Event] = deque(maxlen=max_events)

    async def load(self, *, set_aside: bool = False) -> Snapshot:
        """Return what was put before."""
        return Snapshot(tuple(self._instances.values()), tuple(self._events))

    async def rewrite(self, snapshot: Snapshot) -> None:
        """Hold this instead."""
        self._instances = {stored.instance.id: stored for stored in snapshot.instances}
        self._events.clear()
        self._events.extend(snapshot.events)

    def put(self, stored: StoredInstance) -> None:
        """Add or replace an instance."""
        self._instances[stored.instance.id] = stored

    def touch(self, instance: str, last_seen: datetime) -> None:
        """Note a heartbeat."""
        if stored := self._instances.get(instance):
            self._instances[instance] = replace(stored, last_seen=last_seen)

    def drop(self, instance: str) -> None:
        """Remove an instance."""
        self._instances.pop(instance, None)

    def append(self, events: Iterable[Event]) -> None:
        """Add events."""
        self._events.extend(events)

    async def write(self) -> None:
        """Do nothing: all is where it will be."""

    async def close(self) -> None:
        """Do nothing."""
