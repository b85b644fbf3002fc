"""What happened, numbered and kept in memory, and handed to the store with what must survive."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from meshd.domain.instance import Instance, Status
from meshd.domain.lease import Moment
from meshd.domain.spec import JsonValue
from meshd.registry.events import Event, EventLog, EventType
from meshd.registry.registered import Record
from meshd.registry.store import Store
from meshd.registry.wiring import Change


class Journal:
    """The events of a registry; its revision is the number of the latest."""

    def __init__(self, store: Store, max_events: int) -> None:
        self.revision = 0
        self._store = store
        self._log = EventLog(max_events)

    def newest_first(self) -> Iterator[Event]:
        """Yield the events from the newest on."""
        return self._log.newest_first()

    def oldest_first(self) -> tuple[Event, ...]:
        """Return all events in their order."""
        return tuple(self._log.newest_first())[::-1]

    def precede(self, earlier: Sequence[Event]) -> None:
        """Put events before those that are here, which get the numbers after them."""
        shift = max((event.revision for event in earlier), default=0)
        here = self.oldest_first()
        self._log.clear()
        self._log.extend(earlier)
        self._log.extend(replace(event, revision=event.revision + shift) for event in here)
        self.revision += shift

    def save(self, record: Record) -> None:
        """Let an instance survive as it is now."""
        self._store.put(record.stored())

    def seen(self, record: Record) -> None:
        """Let the time of the last heartbeat survive."""
        self._store.touch(record.instance.id, record.last_seen)

    def drop(self, instance: str) -> None:
        """Let nothing survive of an instance."""
        self._store.drop(instance)

    def note(
        self,
        kind: EventType,
        instance: Instance,
        now: Moment,
        reason: str,
        details: Mapping[str, JsonValue],
    ) -> None:
        """Note what happened to an instance, and why."""
        self._append(kind, instance, now, Change(kind, "", reason, details))

    def note_registration(self, before: Instance | None, after: Instance, now: Moment) -> None:
        """Note that an instance came, came back, or says something else than before."""
        about: dict[str, JsonValue] = {
            "agent_type": after.agent_type,
            "name": after.agent,
            "version": after.version,
        }
        if before is None:
            self.note(EventType.REGISTER, after, now, "first_heartbeat", about)
        elif before.status is Status.UNHEALTHY:
            about |= {"old_status": before.status, "new_status": after.status}
            about |= {"detected_at": now.wall.isoformat(), "source": "status_change_hook"}
            self.note(EventType.RECOVERED, after, now, "recovery", about)
        else:
            drains = after.status is not before.status and after.status is Status.DRAINING
            reason = "draining" if drains else "registration_changed"
            self.note(EventType.UPDATE, after, now, reason, about)

    def note_change(self, change: Change, instance: Instance, now: Moment) -> None:
        """Note that a dependency of an instance is served by another, or by none."""
        self._append(change.type, instance, now, change)

    def _append(self, kind: EventType, instance: Instance, now: Moment, change: Change) -> None:
        self.revision += 1
        event = Event(
            revision=self.revision,
            type=kind,
            instance=instance.id,
            agent=instance.agent,
            at=now.wall,
            reason=change.reason,
            tool=change.tool,
            details=change.details,
        )
        self._log.append(event)
        self._store.append((event,))
