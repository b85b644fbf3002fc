"""What happened in the registry, newest last: bounded in number, each with its reason."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from meshd.domain.spec import JsonValue

MAX_EVENTS = 10_000


class EventType(StrEnum):
    """What can happen to an instance, or to one of its needs."""

    REGISTER = "register"
    UPDATE = "update"
    UNREGISTER = "unregister"
    UNHEALTHY = "unhealthy"
    RECOVERED = "recovered"
    RESOLVED = "resolved"
    UNRESOLVED = "unresolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened; `revision` is that of the registry after it."""

    revision: int
    type: EventType
    instance: str
    agent: str
    at: datetime
    reason: str
    tool: str = ""
    details: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])


class EventLog:
    """The latest events."""

    def __init__(self, limit: int = MAX_EVENTS) -> None:
        self._events: deque[Event] = deque(maxlen=limit)

    def append(self, event: Event) -> None:
        """Add an event; the oldest goes when there are too many."""
        self._events.append(event)

    def extend(self, events: Iterable[Event]) -> None:
        """Add events in their order."""
        self._events.extend(events)

    def clear(self) -> None:
        """Forget all events."""
        self._events.clear()

    def newest_first(self) -> Iterator[Event]:
        """Yield the events from the newest on."""
        return reversed(self._events)
