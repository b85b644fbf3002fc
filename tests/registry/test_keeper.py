"""A registry over time: ticks, restarts, and stores that fail."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pytest

from meshd.domain.instance import Status
from meshd.registry.events import Event
from meshd.registry.keeper import Keeper
from meshd.registry.store import Snapshot, StoredInstance, StoreFailed
from meshd.registry.stores.memory import MemoryStore
from meshd.registry.stores.sqlite import SqliteStore
from tests.registry.meshes import VirtualClock, body, needs, read, tool


class BrokenStore:
    """A store that fails where it is told to."""

    kind = "broken"
    notice = ""

    def __init__(self, held: Snapshot | None = None, *, load: bool = False) -> None:
        self.fails_to_load = load
        self.failure: Exception | None = None
        self.is_open = False
        self.held = held or Snapshot()
        self.loads = 0
        self.writes = 0

    async def load(self, *, set_aside: bool = False) -> Snapshot:
        self.loads += 1
        self.sets_aside = set_aside
        if self.fails_to_load:
            raise StoreFailed("the disk is gone")
        self.is_open = True
        return self.held

    async def rewrite(self, snapshot: Snapshot) -> None:
        self.is_open = self.failure is None
        await self.write()
        self.held = snapshot

    def put(self, stored: StoredInstance) -> None: ...
    def touch(self, instance: str, last_seen: datetime) -> None: ...
    def drop(self, instance: str) -> None: ...
    def append(self, events: Iterable[Event]) -> None: ...

    async def write(self) -> None:
        if self.failure is not None:
            raise self.failure
        assert self.is_open
        self.writes += 1

    async def close(self) -> None: ...


def register(keeper: Keeper, *names: str) -> None:
    for name in names:
        keeper.registry.register(read(body(name, tool("c", needs("d")))), keeper.now())


def statuses(keeper: Keeper) -> dict[str, Status]:
    return {each.instance.id: each.instance.status for each in keeper.registry.records()}


async def test_leases_end_by_themselves() -> None:
    clock = VirtualClock()
    keeper = Keeper(MemoryStore(), clock)
    async with keeper.running():
        register(keeper, "a-1", "b-1")
        await clock.advance(10)
        keeper.registry.renew("b-1", keeper.now())
        await clock.advance(5.9)
        assert statuses(keeper) == {"a-1": Status.HEALTHY, "b-1": Status.HEALTHY}
        await clock.advance(1.2)
        assert statuses(keeper) == {"a-1": Status.UNHEALTHY, "b-1": Status.HEALTHY}
        await clock.advance(65)
        assert statuses(keeper) == {"b-1": Status.UNHEALTHY}


async def test_a_restart_knows_what_was_and_gives_leases_an_interval_of_grace(
    tmp_path: Path,
) -> None:
    clock = VirtualClock()
    before = Keeper(SqliteStore(tmp_path / "registry.sqlite"), clock)
    async with before.running():
        register(before, "a-1", "b-1", "gone-1")
        before.registry.deregister("gone-1", before.now())
    clock.seconds += 1000
    keeper = Keeper(SqliteStore(tmp_path / "registry.sqlite"), clock)
    async with keeper.running():
        assert [each.reason for each in keeper.registry.events()] == [
            each.reason for each in before.registry.events()
        ]
        assert keeper.registry.revision == before.registry.revision
        assert statuses(keeper) == {
            "a-1": Status.HEALTHY,
            "b-1": Status.HEALTHY,
            "gone-1": Status.UNHEALTHY,
        }
        assert keeper.registry.renew("a-1", keeper.now()) == "changed"
        await clock.advance(5.5)
        assert statuses(keeper)["b-1"] is Status.HEALTHY
        await clock.advance(1.6)
        assert statuses(keeper)["b-1"] is Status.UNHEALTHY
        assert statuses(keeper)["a-1"] is Status.HEALTHY


async def test_a_restart_unwires_nobody_and_knows_each_interval(tmp_path: Path) -> None:
    clock = VirtualClock()
    provider = read(body("b-1", tool("b"), meshd={"incarnation": 3, "interval_seconds": 20}))
    drained = read(body("d-1", tool("b"), meshd={"incarnation": 1, "draining": True}))
    consumer = read(body("a-1", tool("a", needs("b")), meshd={"incarnation": 2}))

    def upstreams(keeper: Keeper) -> list[str]:
        answer = keeper.registry.register(consumer, keeper.now())
        return [each.instance for each in answer.wiring["do_a"][0].upstreams]

    before = Keeper(SqliteStore(tmp_path / "registry.sqlite"), clock)
    async with before.running():
        before.registry.register(provider, before.now())
        before.registry.register(drained, before.now())
        assert upstreams(before) == ["b-1"]
    clock.seconds += 30
    keeper = Keeper(SqliteStore(tmp_path / "registry.sqlite"), clock)
    async with keeper.running():
        count = len(list(keeper.registry.events()))
        # Its next heartbeat asks for a full one, which tells it what it knew.
        assert keeper.registry.renew("a-1", keeper.now(), 2) == "changed"
        assert upstreams(keeper) == ["b-1"]
        assert keeper.registry.renew("a-1", keeper.now(), 2) == "unchanged"
        assert keeper.registry.renew("b-1", keeper.now(), 2) == "unknown"
        await clock.advance(5)
        assert keeper.registry.renew("a-1", keeper.now(), 2) == "unchanged"
        assert len(list(keeper.registry.events())) == count
        await clock.advance(15.5)
        assert statuses(keeper) == {
            "a-1": Status.HEALTHY,
            "b-1": Status.HEALTHY,
            "d-1": Status.UNHEALTHY,
        }
        assert keeper.registry.renew("b-1", keeper.now(), 3) == "changed"
        await clock.advance(60.5)
        assert statuses(keeper)["b-1"] is Status.HEALTHY
        await clock.advance(1.5)
        assert statuses(keeper)["b-1"] is Status.UNHEALTHY


async def test_a_store_that_cannot_be_read_leaves_a_registry_in_memory_until_it_can() -> None:
    clock = VirtualClock()
    elsewhere = Keeper(MemoryStore(), clock)
    register(elsewhere, "a-1", "old-1")
    store = BrokenStore(elsewhere.registry.snapshot(), load=True)
    keeper = Keeper(store, clock)
    async with keeper.running():
        register(keeper, "new-1", "a-1")
        # What could be set aside is not, before somebody could see that it cannot be read.
        assert (store.loads, store.sets_aside) == (1, False)
        await clock.advance(12)
        assert keeper.problem == "the disk is gone"
        assert statuses(keeper) == {"a-1": Status.HEALTHY, "new-1": Status.HEALTHY}
        assert (store.loads, store.sets_aside) == (3, True)
        known = keeper.registry.revision

        store.fails_to_load = False
        await clock.advance(3.5)
        assert keeper.problem == ""
        assert store.held == keeper.registry.snapshot()
        # Who has registered meanwhile is better known, and what happened meanwhile came later.
        assert statuses(keeper) == dict.fromkeys(("a-1", "new-1", "old-1"), Status.HEALTHY)
        assert keeper.registry.renew("a-1", keeper.now()) == "unchanged"
        assert keeper.registry.renew("old-1", keeper.now()) == "changed"
        assert keeper.registry.revision == elsewhere.registry.revision + known
        numbers = [each.revision for each in keeper.registry.events()]
        assert numbers == list(range(keeper.registry.revision, 0, -1))


async def test_a_store_that_closes_is_opened_again_and_given_all() -> None:
    clock = VirtualClock()
    store = BrokenStore()
    keeper = Keeper(store, clock)
    async with keeper.running():
        register(keeper, "a-1")
        store.is_open = False
        store.fails_to_load = True
        await clock.advance(1)
        assert keeper.problem == "the disk is gone"
        store.fails_to_load = False
        store.failure = StoreFailed("the disk is full")
        await clock.advance(5)
        assert keeper.problem == "the disk is full"
        store.failure = None
        await clock.advance(5)
        assert keeper.problem == ""
        assert store.held == keeper.registry.snapshot()


async def test_heartbeats_touch_no_store_and_the_last_is_known_after_a_restart(
    tmp_path: Path,
) -> None:
    clock = VirtualClock()
    before = Keeper(SqliteStore(tmp_path / "registry.sqlite"), clock)
    async with before.running():
        register(before, "a-1")
        await clock.advance(4)
        before.registry.renew("a-1", before.now())
        beaten = clock.now()
    keeper = Keeper(SqliteStore(tmp_path / "registry.sqlite"), clock)
    async with keeper.running():
        [record] = keeper.registry.records()
        assert record.last_seen == beaten


async def test_a_store_that_cannot_be_written_is_tried_again() -> None:
    clock = VirtualClock()
    store = BrokenStore()
    keeper = Keeper(store, clock)
    async with keeper.running():
        store.failure = StoreFailed("the disk is full")
        await clock.advance(1)
        assert keeper.problem == "the disk is full"
        store.failure = None
        await clock.advance(1)
        assert keeper.problem == ""


async def test_a_defect_ends_neither_loop(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = VirtualClock()
    store = BrokenStore()
    keeper = Keeper(store, clock)

    def defect(_: object) -> None:
        raise ZeroDivisionError

    async with keeper.running():
        register(keeper, "a-1")
        with monkeypatch.context() as patched:
            patched.setattr(keeper.registry, "expire", defect)
            store.failure = ZeroDivisionError()
            await clock.advance(2)
        assert {record.message for record in caplog.records} == {
            "the registry could not let leases end",
            "the registry could not write",
        }
        store.failure = None
        await clock.advance(20)
        assert statuses(keeper) == {"a-1": Status.UNHEALTHY}
        assert store.writes > 0


async def test_a_registry_that_was_held_up_blames_nobody() -> None:
    clock = VirtualClock()
    keeper = Keeper(MemoryStore(), clock)
    async with keeper.running():
        register(keeper, "a-1")
        await clock.advance(2)
        clock.seconds += 60
        await clock.advance(5)
        assert statuses(keeper) == {"a-1": Status.HEALTHY}
        await clock.advance(15)
        assert statuses(keeper) == {"a-1": Status.UNHEALTHY}
