"""What every store guarantees, run on every store.

`again` is the store as the next start of a registry finds it: the same object where nothing else
could survive, and a new one on the same file otherwise.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from meshd.domain.instance import Dependency, Instance, OfferedTool, Status
from meshd.domain.resolve import Want
from meshd.registry.events import Event, EventType
from meshd.registry.store import Snapshot, Store, StoredInstance
from meshd.registry.stores.memory import MemoryStore
from meshd.registry.stores.sqlite import SqliteStore

AT = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
MAX_EVENTS = 3

Again = Callable[[], Awaitable[Store]]


def stored(identity: str, **more: object) -> StoredInstance:
    instance = Instance(id=identity, agent="a", endpoint="http://h:1", **more)  # type: ignore[arg-type]
    return StoredInstance(instance=instance, created_at=AT, last_seen=AT, size=12)


def event(number: int) -> Event:
    return Event(
        revision=number,
        type=EventType.RESOLVED,
        instance="a-1",
        agent="a",
        at=AT,
        reason="provider_found",
        tool="f",
        details={"chosen": {"agent_id": "b-1"}, "tags": ["x", ["y"]]},
    )


@pytest.fixture(params=["memory", "sqlite"])
async def again(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Again]:
    open_stores: list[Store] = []

    async def next_start() -> Store:
        if request.param == "memory":
            store: Store = open_stores[-1] if open_stores else MemoryStore(MAX_EVENTS)
        else:
            for old in open_stores:
                await old.close()
            store = SqliteStore(tmp_path / "registry.sqlite", MAX_EVENTS)
        open_stores.append(store)
        return store

    yield next_start
    for store in open_stores:
        await store.close()


async def test_a_new_store_is_empty(again: Again) -> None:
    assert await (await again()).load() == Snapshot()


async def test_what_was_written_is_found_again_as_it_was(again: Again) -> None:
    rich = stored(
        "a-1",
        namespace="prod",
        incarnation=7,
        status=Status.DRAINING,
        lists_upstreams=True,
        interval_seconds=2.5,
        tools=(
            OfferedTool(
                name="f",
                capability="c",
                tags=("x",),
                kwargs={"a": [1, 2.5, None, "é"]},
                input_schema={"type": "object"},
                dependencies=(
                    Dependency(want=Want(capability="d", tags=("p", ("q", "+r"))), required=True),
                    Dependency(want=Want(capability="e", namespace=None, version=">=1")),
                ),
            ),
        ),
    )
    store = await again()
    await store.load()
    store.put(rich)
    store.put(stored("b-1"))
    store.append([event(1), event(2)])
    await store.write()

    assert await (await again()).load() == Snapshot((rich, stored("b-1")), (event(1), event(2)))


async def test_the_last_word_about_an_instance_counts(again: Again) -> None:
    later = AT + timedelta(seconds=5)
    store = await again()
    await store.load()
    store.put(stored("a-1"))
    store.put(stored("b-1"))
    store.put(stored("c-1"))
    await store.write()
    store.touch("a-1", later)
    store.touch("nobody", later)
    store.drop("b-1")
    store.drop("nobody")
    store.drop("c-1")
    store.put(stored("c-1", status=Status.UNHEALTHY))
    await store.write()
    await store.write()

    found = {each.instance.id: each for each in (await (await again()).load()).instances}
    assert {name: each.last_seen for name, each in found.items()} == {"a-1": later, "c-1": AT}
    assert found["c-1"].instance.status is Status.UNHEALTHY


async def test_what_is_touched_and_dropped_before_a_write_is_gone(again: Again) -> None:
    store = await again()
    await store.load()
    store.put(stored("a-1"))
    store.touch("a-1", AT)
    store.drop("a-1")
    await store.write()

    assert await (await again()).load() == Snapshot()


async def test_events_are_bounded_across_writes(again: Again) -> None:
    store = await again()
    await store.load()
    for number in range(1, 5):
        store.append([event(number)])
        await store.write()
    store.append([event(5), event(6), event(7), event(8)])
    await store.write()

    assert (await (await again()).load()).events == (event(6), event(7), event(8))


async def test_closing_writes_what_is_left_and_may_be_done_twice(again: Again) -> None:
    store = await again()
    await store.load()
    store.put(stored("a-1"))
    await store.close()
    await store.close()

    assert (await (await again()).load()).instances == (stored("a-1"),)


async def test_rewriting_leaves_nothing_of_before(again: Again) -> None:
    store = await again()
    await store.load()
    store.put(stored("a-1"))
    store.append([event(1)])
    await store.write()
    store.put(stored("b-1"))
    store.append([event(2)])
    await store.rewrite(Snapshot((stored("c-1"),), (event(3),)))
    store.drop("a-1")
    store.put(stored("d-1"))
    await store.write()

    assert store.is_open
    assert await (await again()).load() == Snapshot((stored("c-1"), stored("d-1")), (event(3),))
