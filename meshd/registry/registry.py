"""The registry's working set: who is registered, whose lease holds, and who serves whom.

Nothing here waits: every method takes the moment as an argument. A quick heartbeat, and a full one
that says what the last did, touch nothing but their record; all else is handed to a journal that
only remembers what must survive.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from meshd.domain.instance import Instance, Status
from meshd.domain.lease import Lease, Moment, lease_seconds
from meshd.errors import RegistrationRefused
from meshd.registry.consumers import Consumers
from meshd.registry.cycles import required_cycle
from meshd.registry.events import Event, EventType
from meshd.registry.journal import Journal
from meshd.registry.offers import Offers
from meshd.registry.registered import Answer, Limits, Record, Registered
from meshd.registry.registration import Registration
from meshd.registry.roster import Roster
from meshd.registry.store import Snapshot, Store
from meshd.registry.wiring import Wiring, as_told, changes, wiring_of

GRACEFUL = "graceful_shutdown"
"""Why an instance leaves that does not say why."""


class Registry:
    """All registrations, in memory."""

    def __init__(self, store: Store, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.offers = Offers()
        self._journal = Journal(store, self.limits.events)
        self._roster = Roster(self.limits)
        self._consumers = Consumers()

    @property
    def revision(self) -> int:
        """The number of the latest event."""
        return self._journal.revision

    def restore(self, snapshot: Snapshot, now: Moment) -> None:
        """Take over what a store knew; leases that held get one interval and the slack of grace.

        Everybody's next heartbeat is answered with news, wired anew or not: what was said to them
        last, or by them, may be what was lost. Who has registered already is better known here.
        """
        self._journal.precede(snapshot.events)
        restored: list[Record] = []
        for stored in snapshot.instances:
            instance = stored.instance
            if self._roster.get(instance.id) or not self._roster.fits(None, stored.size):
                continue
            interval = self.interval_seconds(instance)
            lease = Lease(
                instance=instance.id,
                incarnation=instance.incarnation,
                seconds=lease_seconds(interval),
                expires_at=now.seconds + interval + 1,
            )
            gone = now.seconds if instance.status is Status.UNHEALTHY else None
            record = Record(instance, lease, stored.created_at, stored.last_seen, stored.size, gone)
            self._roster.add(record)
            self._put(instance)
            restored.append(record)
        for record in restored:
            # What was so before is no event now.
            record.wiring = wiring_of(record.instance, self.offers)
            self._consumers.unmark(record.instance.id)

    def snapshot(self) -> Snapshot:
        """Return all that must survive."""
        instances = (record.stored() for record in self.records())
        return Snapshot(tuple(instances), self._journal.oldest_first())

    def repeat(self, digest: bytes, now: Moment) -> Registered | None:
        """Renew by a full heartbeat that says what its sender's last one said, as the digest tells.

        None if it is not the last one of anybody whose lease holds: then it has to be read.
        """
        record = self._roster.heard(digest)
        if record is None or record.gone_since is not None:
            return None
        self._renew(record, now)
        return self._told(record, now, is_new=False)

    def register(self, registration: Registration, now: Moment) -> Registered:
        """Register an instance, or renew it with all that it offers and needs.

        Raises:
            RegistrationRefused: it is stale, would close a cycle of required dependencies, or
                there is no room for it.

        """
        record = self._roster.get(registration.instance.id)
        before = record.instance if record else None
        instance = self._as_known(registration.instance, record, registration)
        if cycle := required_cycle(instance, self.offers):
            raise RegistrationRefused(f"required dependency cycle: {' → '.join(cycle)}")
        size = registration.size if registration.has_tools or record is None else record.size
        for gone in self._roster.in_the_way(record, size):
            self._forget(gone)
        lease = Lease.granted(
            instance.id,
            now.seconds,
            seconds=lease_seconds(self.interval_seconds(instance)),
            incarnation=instance.incarnation,
        )
        if record is None:
            record = Record(instance, lease, now.wall, now.wall, 0)
            self._roster.add(record)
        record.instance, record.lease = instance, lease
        record.last_seen, record.gone_since = now.wall, None
        record.warnings = registration.warnings
        self._roster.remember_body(record, registration.digest, size)
        if instance != before:
            self._put(instance, before)
            self._journal.note_registration(before, instance, now)
            self._journal.save(record)
        return self._told(record, now, is_new=before is None)

    def renew(self, instance: str, now: Moment, incarnation: int | None = None) -> Answer:
        """Renew a lease; who is not known, or was given up, has to register again."""
        record = self._roster.get(instance)
        if record is None or record.gone_since is not None:
            return "unknown"
        if incarnation is not None and incarnation != record.lease.incarnation:
            # An earlier start has no lease, and of a later one nothing is known but its number.
            return "unknown"
        self._renew(record, now)
        return "unchanged" if _is_known(self.wiring(record, now), record) else "changed"

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
        record = self._roster.get(instance)
        if record is None:
            return
        if incarnation is not None:
            record.lease.require(incarnation)
        if record.instance.status is Status.UNHEALTHY:
            return
        self._give_up(record, now)
        self._journal.note(
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
        for record in self._roster.unsorted():
            if record.gone_since is not None:
                if now.seconds - record.gone_since >= self.limits.forget_after_seconds:
                    self._forget(record)
            elif record.lease.is_expired(now.seconds):
                old = record.instance.status
                self._give_up(record, now)
                self._journal.note(
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
        for record in self._roster.unsorted():
            record.lease = record.lease.extended(seconds)

    def settle(self, now: Moment) -> None:
        """Resolve again what may have changed, so that events tell of it soon."""
        for name in self._consumers.marked():
            if record := self._roster.get(name):
                self.wiring(record, now)

    def records(self, capabilities: Iterable[str] | None = None) -> Iterator[Record]:
        """Yield registrations in the order of their ids: all, or those that offer one of these."""
        if capabilities is None:
            return self._roster.sorted()
        offers = (offer for name in capabilities for offer in self.offers.of(name))
        return self._roster.sorted({offer.instance.id for offer in offers})

    def wiring(self, record: Record, now: Moment) -> Wiring:
        """Return the dependencies of an instance as they are resolved now."""
        if record.wiring is not None and not self._consumers.is_marked(record.instance.id):
            return record.wiring
        self._consumers.unmark(record.instance.id)
        before, record.wiring = record.wiring, wiring_of(record.instance, self.offers)
        if record.instance.status is not Status.UNHEALTHY:
            for change in changes(before, record.wiring, self.offers):
                self._journal.note_change(change, record.instance, now)
        return record.wiring

    def note_last_seen(self) -> None:
        """Let the times of the last heartbeats survive."""
        for record in self._roster.unsorted():
            if record.gone_since is None:
                self._journal.seen(record)

    def events(self) -> Iterator[Event]:
        """Yield the events from the newest on."""
        return self._journal.newest_first()

    def _as_known(
        self, instance: Instance, record: Record | None, registration: Registration
    ) -> Instance:
        """Return the instance with what only its record says: tools unsaid, and that it drains."""
        if record is None:
            return instance
        if record.gone_since is None:
            record.lease.require(instance.incarnation)
        if not registration.has_tools:
            instance = replace(instance, tools=record.instance.tools)
        if _is_draining(record, instance):
            instance = replace(instance, status=Status.DRAINING)
        return instance

    def _renew(self, record: Record, now: Moment) -> None:
        record.lease = record.lease.renewed(now.seconds)
        record.last_seen = now.wall

    def _told(self, record: Record, now: Moment, *, is_new: bool) -> Registered:
        record.told = self.wiring(record, now)
        return Registered(
            is_new=is_new,
            instance=record.instance,
            interval_seconds=self.interval_seconds(record.instance),
            wiring=record.told,
            revision=self.revision,
            warnings=record.warnings,
        )

    def _put(self, instance: Instance, before: Instance | None = None) -> None:
        self._consumers.put(instance, before)
        self._consumers.mark(self.offers.put(instance))

    def _give_up(self, record: Record, now: Moment) -> None:
        record.gone_since = now.seconds
        before, record.instance = record.instance, replace(record.instance, status=Status.UNHEALTHY)
        self._put(record.instance, before)
        self._journal.save(record)

    def _forget(self, record: Record) -> None:
        name = record.instance.id
        self._roster.remove(record)
        self._consumers.remove(record.instance)
        self._consumers.mark(self.offers.remove(name))
        self._journal.drop(name)


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
