"""The registry's working set: who is registered, whose lease holds, and who serves whom.

Nothing here waits: every method takes the moment as an argument, and what must survive is handed to
a store that only remembers it. Consumers whose providers may have changed are marked, and resolved
again when they ask or at the next `settle`; so a burst of registrations costs each of them once.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from meshd.domain.instance import Instance, Status
from meshd.domain.lease import INTERVAL_SECONDS, Lease, Moment, lease_seconds
from meshd.domain.spec import JsonValue
from meshd.errors import RegistrationRefused, RegistryFull
from meshd.registry.cycles import required_cycle
from meshd.registry.events import MAX_EVENTS, Event, EventLog, EventType
from meshd.registry.offers import Offers
from meshd.registry.registration import Registration
from meshd.registry.store import Snapshot, Store, StoredInstance
from meshd.registry.wiring import Wiring, as_told, changes, wiring_of

GRACEFUL = "graceful_shutdown"
"""Why an instance leaves that does not say why."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """What a full heartbeat is answered with."""

    is_new: bool
    instance: Instance
    interval_seconds: float
    wiring: Wiring
    revision: int


class Registry:
    """All registrations, in memory."""

    def __init__(self, store: Store, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.revision = 0
        self.offers = Offers()
        self._store = store
        self._records: dict[str, Record] = {}
        self._log = EventLog(self.limits.events)
        self._consumers: dict[str, dict[str, None]] = {}
        self._unsettled: dict[str, None] = {}
        self._bytes = 0

    def restore(self, snapshot: Snapshot, now: Moment) -> None:
        """Take over what a store knew; leases that held get one interval and the slack of grace.

        Everybody's next heartbeat is answered with news, wired anew or not: what was said to them
        last, or by them, may be what was lost.
        """
        self._log.extend(snapshot.events)
        self.revision = max((event.revision for event in snapshot.events), default=0)
        for stored in snapshot.instances:
            instance = stored.instance
            lease = Lease(
                instance=instance.id,
                incarnation=instance.incarnation,
                seconds=lease_seconds(self.interval_seconds(instance)),
                expires_at=now.seconds + self.interval_seconds(instance) + 1,
            )
            gone = now.seconds if instance.status is Status.UNHEALTHY else None
            self._records[instance.id] = Record(
                instance, lease, stored.created_at, stored.last_seen, stored.size, gone
            )
            self._bytes += stored.size
            self._put(instance)
        for record in self._records.values():
            # What was so before is no event now.
            record.wiring = wiring_of(record.instance, self.offers)
        self._unsettled.clear()

    def register(self, registration: Registration, now: Moment) -> Registered:
        """Register an instance, or renew it with all that it offers and needs.

        Raises:
            RegistrationRefused: it is stale, would close a cycle of required dependencies, or
                there is no room for it.

        """
        instance = registration.instance
        record = self._records.get(instance.id)
        if record is not None:
            self._require_current(record, instance)
            if not registration.has_tools:
                instance = replace(instance, tools=record.instance.tools)
            if _is_draining(record, instance):
                instance = replace(instance, status=Status.DRAINING)
        if cycle := required_cycle(instance, self.offers):
            raise RegistrationRefused(f"required dependency cycle: {' → '.join(cycle)}")
        size = registration.size if registration.has_tools or record is None else record.size
        self._make_room(instance.id, size)
        lease = Lease.granted(
            instance.id,
            now.seconds,
            seconds=lease_seconds(self.interval_seconds(instance)),
            incarnation=instance.incarnation,
        )
        before = record.instance if record else None
        if record is None:
            record = Record(instance, lease, now.wall, now.wall, size)
            self._records[instance.id] = record
            self._bytes += size
        else:
            self._bytes += size - record.size
            record.instance, record.lease = instance, lease
            record.last_seen, record.size, record.gone_since = now.wall, size, None
        if instance != before:
            self._put(instance, before)
            self._note_registration(before, instance, now)
        self._save(record)
        wiring = self._settled(record, now)
        record.told = wiring
        return Registered(
            is_new=before is None,
            instance=instance,
            interval_seconds=self.interval_seconds(instance),
            wiring=wiring,
            revision=self.revision,
        )

    def renew(self, instance: str, now: Moment, incarnation: int | None = None) -> Answer:
        """Renew a lease; who is not known, or was given up, has to register again."""
        record = self._records.get(instance)
        if record is None or record.instance.status is Status.UNHEALTHY:
            return "unknown"
        if incarnation not in {None, record.lease.incarnation}:
            # An earlier start has no lease, and of a later one nothing is known but its number.
            return "unknown"
        record.lease = record.lease.renewed(now.seconds)
        record.last_seen = now.wall
        self._store.touch(instance, now.wall)
        wiring = self._settled(record, now)
        return "unchanged" if _is_known(wiring, record) else "changed"

    def deregister(
        self,
        instance: str,
        now: Moment,
        incarnation: int | None = None,
        reason: str = GRACEFUL,
    ) -> None:
        """End a registration because its owner says so; doing it twice is the same as once.

        Raises:
            StaleIncarnation: a later start of the instance is registered.

        """
        record = self._records.get(instance)
        if record is None:
            return
        if incarnation is not None:
            record.lease.require(incarnation)
        if record.instance.status is Status.UNHEALTHY:
            return
        self._give_up(record, now)
        self._note(
            EventType.UNREGISTER,
            record.instance,
            now,
            reason,
            {
                "agent_type": record.instance.agent_type,
                "name": record.instance.agent,
                "version": record.instance.version,
                "source": "delete_endpoint",
            },
        )

    def expire(self, now: Moment) -> None:
        """Give up the instances whose leases have ended, and forget those that are long gone."""
        for record in list(self._records.values()):
            if record.gone_since is not None:
                if now.seconds - record.gone_since >= self.limits.forget_after_seconds:
                    self._forget(record)
            elif record.lease.is_expired(now.seconds):
                old = record.instance.status
                self._give_up(record, now)
                self._note(
                    EventType.UNHEALTHY,
                    record.instance,
                    now,
                    "health_degradation",
                    {
                        "old_status": old,
                        "new_status": Status.UNHEALTHY,
                        "last_heartbeat": record.last_seen.isoformat(),
                        "threshold_seconds": record.lease.seconds,
                    },
                )

    def interval_seconds(self, instance: Instance) -> float:
        """Return how often an instance renews its lease."""
        return instance.interval_seconds or self.limits.interval_seconds

    def extend(self, seconds: float) -> None:
        """Let all leases end later: time in which the registry itself could hear nobody."""
        for record in self._records.values():
            record.lease = record.lease.extended(seconds)

    def settle(self, now: Moment) -> None:
        """Resolve again what may have changed, so that events tell of it soon."""
        for name in list(self._unsettled):
            if record := self._records.get(name):
                self._settled(record, now)
        self._unsettled.clear()

    def records(self) -> Iterator[Record]:
        """Yield all registrations in the order of their ids."""
        return (self._records[name] for name in sorted(self._records))

    def wiring(self, record: Record, now: Moment) -> Wiring:
        """Return the dependencies of an instance as they are resolved now."""
        return self._settled(record, now)

    def events(self) -> Iterator[Event]:
        """Yield the events from the newest on."""
        return self._log.newest_first()

    def _require_current(self, record: Record, instance: Instance) -> None:
        if record.instance.status is not Status.UNHEALTHY:
            record.lease.require(instance.incarnation)

    def _make_room(self, name: str, size: int) -> None:
        """Forget instances that are gone, longest first, until the new one fits."""
        held = self._records.get(name)
        fits = self._fits(held, size)
        if fits:
            return
        gone = [record for record in self._records.values() if record.gone_since is not None]
        for record in sorted(gone, key=lambda record: record.gone_since or 0):
            if record is not held:
                self._forget(record)
                if self._fits(held, size):
                    return
        raise RegistryFull("the registry is full: it has no room for this registration")

    def _fits(self, held: Record | None, size: int) -> bool:
        count = len(self._records) + (held is None)
        total = self._bytes + size - (held.size if held else 0)
        return count <= self.limits.instances and total <= self.limits.total_bytes

    def _put(self, instance: Instance, before: Instance | None = None) -> None:
        for _, dependency in before.dependencies() if before else ():
            self._consumers.get(dependency.want.capability, {}).pop(instance.id, None)
        for _, dependency in instance.dependencies():
            self._consumers.setdefault(dependency.want.capability, {})[instance.id] = None
        self._unsettled[instance.id] = None
        self._mark(self.offers.put(instance))

    def _mark(self, capabilities: Iterable[str]) -> None:
        for capability in capabilities:
            self._unsettled.update(self._consumers.get(capability, {}))

    def _give_up(self, record: Record, now: Moment) -> None:
        record.gone_since = now.seconds
        record.instance = replace(record.instance, status=Status.UNHEALTHY)
        self._put(record.instance, record.instance)
        self._save(record)

    def _forget(self, record: Record) -> None:
        name = record.instance.id
        del self._records[name]
        self._bytes -= record.size
        self._unsettled.pop(name, None)
        for _, dependency in record.instance.dependencies():
            consumers = self._consumers.get(dependency.want.capability, {})
            consumers.pop(name, None)
            if not consumers:
                self._consumers.pop(dependency.want.capability, None)
        self._mark(self.offers.remove(name))
        self._store.drop(name)

    def _settled(self, record: Record, now: Moment) -> Wiring:
        name = record.instance.id
        if record.wiring is None or name in self._unsettled:
            self._unsettled.pop(name, None)
            before = record.wiring
            record.wiring = wiring_of(record.instance, self.offers)
            if record.instance.status is not Status.UNHEALTHY:
                for change in changes(before, record.wiring, self.offers):
                    self._note(
                        change.type,
                        record.instance,
                        now,
                        change.reason,
                        change.details,
                        tool=change.tool,
                    )
        return record.wiring

    def _save(self, record: Record) -> None:
        self._store.put(
            StoredInstance(
                instance=record.instance,
                created_at=record.created_at,
                last_seen=record.last_seen,
                size=record.size,
            )
        )

    def _note_registration(self, before: Instance | None, after: Instance, now: Moment) -> None:
        about: dict[str, JsonValue] = {
            "agent_type": after.agent_type,
            "name": after.agent,
            "version": after.version,
        }
        if before is None:
            self._note(EventType.REGISTER, after, now, "first_heartbeat", about)
        elif before.status is Status.UNHEALTHY:
            about |= {"old_status": before.status, "new_status": after.status}
            about |= {"detected_at": now.wall.isoformat(), "source": "status_change_hook"}
            self._note(EventType.RECOVERED, after, now, "recovery", about)
        else:
            drains = after.status is not before.status and after.status is Status.DRAINING
            reason = "draining" if drains else "registration_changed"
            self._note(EventType.UPDATE, after, now, reason, about)

    def _note(
        self,
        kind: EventType,
        instance: Instance,
        now: Moment,
        reason: str,
        details: Mapping[str, JsonValue] | None = None,
        *,
        tool: str = "",
    ) -> None:
        self.revision += 1
        event = Event(
            revision=self.revision,
            type=kind,
            instance=instance.id,
            agent=instance.agent,
            at=now.wall,
            reason=reason,
            tool=tool,
            details=details or {},
        )
        self._log.append(event)
        self._store.append((event,))


def _is_known(wiring: Wiring, record: Record) -> bool:
    """Say whether the instance was told of this wiring."""
    told = record.told
    if told is None:
        return False
    return wiring is told or as_told(wiring, record.instance) == as_told(told, record.instance)


def _is_draining(record: Record, instance: Instance) -> bool:
    """Say whether an instance began to drain: it does so until its end."""
    draining = record.instance.status is Status.DRAINING
    return draining and record.instance.incarnation == instance.incarnation
