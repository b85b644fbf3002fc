"""Registrations, a clock that tests move, and a registry of its own for each test."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from meshd.domain.lease import Moment
from meshd.domain.spec import JsonValue
from meshd.registry import answers
from meshd.registry.registered import Limits, Record
from meshd.registry.registration import Registration, read_registration
from meshd.registry.registry import Registry
from meshd.registry.stores.memory import MemoryStore

Json = dict[str, Any]
START = datetime(2026, 1, 1, tzinfo=UTC)


class VirtualClock:
    """Time that stands still until it is moved; who sleeps waits for that."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds - 1000.0)

    async def sleep(self, seconds: float) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.seconds + seconds, turn))
        await turn

    async def advance(self, seconds: float) -> None:
        """Move the time in small steps, and let whoever is due run at each."""
        end = self.seconds + seconds
        while self.seconds < end:
            self.seconds = min(end, self.seconds + 0.1)
            due = [turn for at, turn in self._sleepers if at <= self.seconds + 1e-9]
            self._sleepers = [(at, turn) for at, turn in self._sleepers if turn not in due]
            for turn in due:
                if not turn.done():
                    turn.set_result(None)
            for _ in range(5):
                await asyncio.sleep(0)  # noqa: TID251  (the clock of the tests itself)


def needs(capability: str, *, required: bool = False, **more: JsonValue) -> Json:
    return {"capability": capability, **({"required": True} if required else {}), **more}


def tool(capability: str, *dependencies: Json, name: str = "", **more: JsonValue) -> Json:
    made: Json = {"function_name": name or f"do_{capability}", "capability": capability, **more}
    return made | ({"dependencies": list(dependencies)} if dependencies else {})


def body(identity: str, *tools: Json, **more: JsonValue) -> Json:
    return {
        "agent_id": identity,
        "http_host": "10.0.0.7",
        "http_port": 8080,
        "tools": list(tools),
        **more,
    }


def read(fields: Mapping[str, JsonValue]) -> Registration:
    return read_registration(orjson.dumps(fields))


@dataclass
class Mesh:
    """A registry with its time; every step says when it happens by moving the clock before."""

    limits: Limits = field(default_factory=Limits)
    clock: VirtualClock = field(default_factory=VirtualClock)

    def __post_init__(self) -> None:
        self.store = MemoryStore()
        self.registry = Registry(self.store, self.limits)

    @property
    def now(self) -> Moment:
        return Moment(self.clock.monotonic(), self.clock.now())

    def wait(self, seconds: float) -> None:
        self.clock.seconds += seconds

    def post(self, identity: str, *tools: Json, **more: JsonValue) -> Json:
        registration = read(body(identity, *tools, **more))
        answer = self.registry.register(registration, self.now)
        return answers.registered(answer, self.now.wall)

    def head(self, identity: str, incarnation: int | None = None) -> str:
        return self.registry.renew(identity, self.now, incarnation)

    def delete(self, identity: str, incarnation: int | None = None, **reason: str) -> None:
        self.registry.deregister(identity, self.now, incarnation, **reason)

    def die(self, identity: str) -> None:
        """Let one lease end while all others are renewed."""
        for _ in range(4):
            self.wait(5)
            for record in self.registry.records():
                if record.instance.id != identity:
                    self.head(record.instance.id)
        self.registry.expire(self.now)

    def record(self, identity: str) -> Record:
        [found] = [each for each in self.registry.records() if each.instance.id == identity]
        return found

    def listed(self, identity: str) -> Json:
        record = self.record(identity)
        wiring = self.registry.wiring(record, self.now)
        return answers.agent_entry(record, wiring, self.registry.offers)

    def availability(self, identity: str) -> dict[str, str]:
        """Return the reason why each capability is unavailable; an empty one says that it is."""
        return {
            each["name"]: each.get("unavailable_reason", "")
            for each in self.listed(identity)["capabilities"]
        }

    def events(self) -> list[tuple[str, str, str]]:
        """Return type, instance and reason of all events, oldest first."""
        found = [(each.type.value, each.instance, each.reason) for each in self.registry.events()]
        return found[::-1]
