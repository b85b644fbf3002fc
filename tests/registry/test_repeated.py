"""A full heartbeat that says what the last one said, as the registry hears it over HTTP."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import orjson
import pytest

from meshd.registry.app import registry_app
from meshd.registry.keeper import Keeper
from meshd.registry.store import StoredInstance
from meshd.registry.stores.memory import MemoryStore
from tests.registry.meshes import Json, VirtualClock, body, needs, tool


class CountingStore(MemoryStore):
    """A store that remembers which instances were put."""

    def __init__(self) -> None:
        super().__init__()
        self.puts: list[str] = []

    def put(self, stored: StoredInstance) -> None:
        self.puts.append(stored.instance.id)
        super().put(stored)


@dataclass
class Wire:
    """A registry behind its HTTP."""

    http: httpx2.AsyncClient
    store: CountingStore
    clock: VirtualClock
    keeper: Keeper
    read: list[bytes] = field(default_factory=list[bytes])

    async def post(self, fields: Json) -> Json:
        return (await self.http.post("/heartbeat", json=fields)).json()

    async def head(self, identity: str) -> int:
        return (await self.http.head(f"/heartbeat/{identity}")).status_code


@pytest.fixture
async def wire(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Wire]:
    clock, store = VirtualClock(), CountingStore()
    keeper = Keeper(store, clock)
    transport = httpx2.ASGITransport(app=registry_app(keeper))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        made = Wire(http, store, clock, keeper)
        from meshd.registry import heartbeats  # noqa: PLC0415

        read_registration = heartbeats.read_registration

        def noted(content: bytes, digest: bytes) -> Any:
            made.read.append(content)
            return read_registration(content, digest)

        monkeypatch.setattr(heartbeats, "read_registration", noted)
        yield made


async def test_it_is_answered_as_if_it_was_read_and_touches_no_store(wire: Wire) -> None:
    fields = body("a-1", tool("a", needs("b"), llm_filter={}), description="é" * 300, meshd={})
    await wire.post(fields)
    first = await wire.post({**fields, "ignored": 1})
    wire.clock.seconds += 5
    again = await wire.post({**fields, "ignored": 1})

    assert again == {**first, "timestamp": "2026-01-01T00:00:05Z"}
    assert (len(wire.read), wire.store.puts) == (2, ["a-1"])
    [record] = wire.keeper.registry.records()
    assert record.lease.expires_at == wire.clock.seconds + 16
    assert record.last_seen == wire.clock.now()


async def test_it_takes_the_news_with_it(wire: Wire) -> None:
    consumer = body("a-1", tool("a", needs("b")))
    await wire.post(consumer)
    await wire.post(body("b-1", tool("b")))
    assert await wire.head("a-1") == 202
    answer = await wire.post(consumer)

    assert answer["dependencies_resolved"]["do_a"][0]["agent_id"] == "b-1"
    assert await wire.head("a-1") == 200
    assert len(wire.read) == 2


async def test_only_the_last_words_of_an_instance_count(wire: Wire) -> None:
    old = body("a-1", tool("a"))
    await wire.post(old)
    await wire.post(body("a-1", tool("changed")))
    await wire.post(old)

    assert len(wire.read) == 3
    [record] = wire.keeper.registry.records()
    assert [tool.capability for tool in record.instance.tools] == ["a"]


async def test_who_was_given_up_is_read_again(wire: Wire) -> None:
    fields = body("a-1", tool("a"))
    await wire.post(fields)
    await wire.http.delete("/agents/a-1")
    await wire.post(fields)

    assert await wire.head("a-1") == 200
    assert len(wire.read) == 2
    wire.clock.seconds += 16
    wire.keeper.registry.expire(wire.keeper.now())
    wire.clock.seconds += 60
    wire.keeper.registry.expire(wire.keeper.now())
    assert (await wire.post(fields))["message"] == "Agent registered via heartbeat"
    assert len(wire.read) == 3


async def test_an_old_start_that_says_what_it_said_is_refused(wire: Wire) -> None:
    old = body("a-1", tool("a"), meshd={"incarnation": 1})
    await wire.post(old)
    await wire.post(body("a-1", tool("a"), meshd={"incarnation": 2}))

    answer = await wire.http.post("/heartbeat", content=orjson.dumps(old))
    assert answer.json()["status"] == "error"
    assert answer.json()["message"] == "incarnation 1 of `a-1` is stale: 2 is registered"
