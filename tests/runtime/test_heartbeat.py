"""When an instance speaks to its registry, and when it does not."""

import asyncio
import itertools
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from meshd.errors import MalformedAnswer, RegistrationRefused, RegistryAway
from meshd.runtime.heartbeat import Callbacks, Heartbeat, RegistryState
from meshd.runtime.registration import Answer, Identity, Slot, UpstreamRef
from meshd.runtime.registry_client import Standing
from tests.runtime.fakes import FakeClock, settle

SLOT: Slot = ("tool", "need")
PROVIDER = UpstreamRef(instance="p-1", agent="p", endpoint="http://h:1", tool="t", kwargs={})
RESOLVED = Answer({SLOT: (PROVIDER,)}, "resolved", is_meshd=True)
UNRESOLVED = Answer({SLOT: ()}, "unresolved", is_meshd=True)
AWAY = RegistryAway("connection refused")


@dataclass
class FakeRegistry:
    """Answers what the test says; notes what was asked, and when."""

    clock: FakeClock
    standing: Standing | Exception = "unchanged"
    answer: Answer | Exception = RESOLVED
    asked: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    once: list[Standing] = field(default_factory=list[Standing])
    """What short heartbeats are answered first."""
    url: str = "http://registry"
    at_once: int = 0
    most_at_once: int = 0
    slow: float = 0.0
    fails_from: int = 99
    """Which full heartbeat fails, and all after it."""

    async def beat(self, instance: str, incarnation: int) -> Standing:
        assert (instance, incarnation) == ("a-1", 7)
        await self._note("HEAD")
        if isinstance(self.standing, Exception):
            raise self.standing
        return self.once.pop() if self.once else self.standing

    async def register(self, body: dict[str, Any]) -> Any:
        assert body == {"agent_id": "a-1"}
        await self._note("POST")
        if self.kinds().count("POST") >= self.fails_from:
            raise AWAY
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def leave(self, instance: str, incarnation: int, reason: str = "") -> None:
        await self._note(f"DELETE {reason}".strip())
        if isinstance(self.standing, Exception):
            raise self.standing

    async def _note(self, what: str) -> None:
        self.asked.append((what, self.clock.seconds))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        if self.slow:
            await self.clock.sleep(self.slow)
        self.at_once -= 1

    def kinds(self) -> list[str]:
        return [what for what, _ in self.asked]

    def forget(self) -> None:
        self.asked.clear()


@dataclass
class Beating:
    """A heartbeat under test."""

    registry: FakeRegistry
    clock: FakeClock
    heartbeat: Heartbeat
    states: list[RegistryState]
    applied: list[Answer]
    believes: list[bool]


@asynccontextmanager
async def beating(
    interval: float = 5.0, seed: int = 1, *, starts_with_others: bool = False, **more: Any
) -> AsyncGenerator[Beating, None]:
    clock = FakeClock()
    registry = FakeRegistry(clock, **more)
    states: list[RegistryState] = []
    applied: list[Answer] = []
    believes: list[bool] = []

    def apply(answer: Answer) -> bool:
        applied.append(answer)
        return believes.pop(0) if believes else True

    def read(answer: Any) -> Answer:
        return answer

    identity = Identity(
        instance="a-1", incarnation=7, endpoint="http://h:2", interval_seconds=interval
    )
    callbacks = Callbacks(lambda: {"agent_id": "a-1"}, read, apply, states.append)
    rng = random.Random(seed)  # noqa: S311
    heartbeat = Heartbeat(
        identity, registry, callbacks, clock, rng, starts_with_others=starts_with_others
    )
    task = asyncio.ensure_future(heartbeat.run())
    await settle()
    try:
        yield Beating(registry, clock, heartbeat, states, applied, believes)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_registers_once_and_then_beats() -> None:
    async with beating() as one:
        assert one.registry.kinds() == ["POST"]
        await one.clock.pass_by(60)
        beats = [at for what, at in one.registry.asked if what == "HEAD"]
        assert 11 <= len(beats) <= 13
        assert one.registry.kinds().count("POST") == 1
        pauses = {round(after - before, 3) for before, after in itertools.pairwise(beats)}
        assert all(4.5 <= pause <= 5.5 for pause in pauses)
        assert len(pauses) > 5
        assert one.states == [RegistryState("connected")]
        assert one.applied == [RESOLVED]


@pytest.mark.parametrize("standing", ["changed", "unknown"])
async def test_it_registers_again_when_told(standing: Standing) -> None:
    async with beating() as one:
        one.registry.forget()
        one.registry.standing = standing
        await one.clock.pass_by(5.6)
        assert one.registry.kinds() == ["HEAD", "POST"]
        assert one.applied[-1].was_forgotten is (standing == "unknown")
        one.registry.standing = "unchanged"
        one.registry.forget()
        await one.clock.pass_by(5.6)
        assert one.registry.kinds() == ["HEAD"]


async def test_it_asks_eagerly_while_needs_are_unresolved() -> None:
    async with beating(answer=UNRESOLVED) as one:
        await one.clock.pass_by(4)
        times = [round(at - 1000, 1) for what, at in one.registry.asked if what == "HEAD"]
        assert len(times) == 5
        assert times[0] <= 0.2
        assert one.registry.kinds().count("POST") == 1
        one.registry.forget()
        await one.clock.pass_by(60)
        assert len(one.registry.asked) <= 14


async def test_eagerness_ends_when_all_is_resolved() -> None:
    async with beating(answer=UNRESOLVED) as one:
        one.registry.answer, one.registry.standing = RESOLVED, "changed"
        await one.clock.pass_by(0.2)
        one.registry.standing = "unchanged"
        one.registry.forget()
        await one.clock.pass_by(4)
        assert one.registry.kinds() == []


async def test_who_starts_with_others_asks_eagerly_at_first() -> None:
    async with beating(starts_with_others=True) as one:
        await one.clock.pass_by(2)
        assert one.registry.kinds() == ["POST", *["HEAD"] * 4]
        await one.clock.pass_by(15)
        one.registry.forget()
        await one.clock.pass_by(20)
        assert 3 <= len(one.registry.asked) <= 5


async def test_who_needs_nothing_is_never_eager() -> None:
    nothing = Answer({}, "nothing", is_meshd=True)
    async with beating(answer=nothing, starts_with_others=True) as one:
        await one.clock.pass_by(4)
        assert one.registry.kinds() == ["POST"]


async def test_a_registry_that_is_away_is_asked_ever_more_rarely_and_found_again_soon() -> None:
    async with beating() as one:
        one.registry.standing = one.registry.answer = AWAY
        one.registry.forget()
        await one.clock.pass_by(120)
        times = [at for _, at in one.registry.asked]
        pauses = [after - before for before, after in itertools.pairwise(times)]
        assert max(pauses) <= 7.5
        assert len(times) <= 40
        assert all(first <= second * 2.1 for first, second in itertools.pairwise(pauses))
        assert one.states[-1] == RegistryState("away", "connection refused")
        assert len(one.states) == 2

        one.registry.standing, one.registry.answer = "unchanged", RESOLVED
        await one.clock.pass_by(7.5)
        assert one.states[-1] == RegistryState("connected")
        assert len(one.applied) == 1


async def test_a_503_causes_no_burst() -> None:
    async with beating() as one:
        one.registry.standing = RegistryAway("it answers a heartbeat with HTTP 503")
        one.registry.forget()
        await one.clock.pass_by(5.5)
        assert len(one.registry.asked) == 1
        await one.clock.pass_by(30)
        assert len(one.registry.asked) <= 12


async def test_there_is_never_more_than_one_request_under_way() -> None:
    async with beating(slow=30.0) as one:
        one.heartbeat.changed()
        await one.clock.pass_by(200)
        assert one.registry.most_at_once == 1
        assert len(one.registry.asked) >= 5


async def test_without_a_registry_at_first_it_joins_when_there_is_one() -> None:
    async with beating(answer=AWAY) as one:
        await one.clock.pass_by(20)
        assert one.applied == []
        one.registry.answer = RESOLVED
        await one.clock.pass_by(7.5)
        assert one.applied == [RESOLVED]
        assert "HEAD" not in one.registry.kinds()[:-1]


async def test_a_refused_registration_is_reported_and_tried_again() -> None:
    async with beating(answer=RegistrationRefused("required dependency cycle: a")) as one:
        assert one.states == [RegistryState("refused", "required dependency cycle: a")]
        await one.clock.pass_by(30)
        assert 3 < len(one.registry.asked) < 15
        one.registry.answer = RESOLVED
        await one.clock.pass_by(8)
        assert one.states[-1] == RegistryState("connected")


async def test_a_malformed_answer_keeps_the_wiring() -> None:
    async with beating() as one:
        one.registry.standing, one.registry.answer = "changed", MalformedAnswer("no object")
        await one.clock.pass_by(20)
        assert one.applied == [RESOLVED]
        assert one.states[-1].status == "away"


async def test_what_changed_is_said_at_once() -> None:
    async with beating() as one:
        one.registry.forget()
        one.heartbeat.changed()
        await settle()
        assert one.registry.kinds() == ["POST"]


async def test_after_a_long_pause_it_registers_once() -> None:
    async with beating() as one:
        one.registry.forget()
        one.clock.seconds += 30  # stopped: nothing ran
        one.registry.standing = "unknown"
        await one.clock.pass_by(0)
        assert one.registry.kinds() == ["HEAD", "POST"]
        one.registry.standing = "unchanged"
        await one.clock.pass_by(6)
        assert one.registry.kinds() == ["HEAD", "POST", "HEAD"]


async def test_an_answer_that_is_too_early_is_asked_for_again() -> None:
    async with beating() as one:
        one.registry.once.append("unknown")
        one.registry.answer = UNRESOLVED
        one.believes.extend([False, False])
        one.registry.forget()
        await one.clock.pass_by(7.6)
        assert one.registry.kinds().count("POST") == 3
        assert [answer.was_forgotten for answer in one.applied] == [False, True, False, False]


async def test_a_foreign_registry_hears_of_a_new_start_by_a_leave_once() -> None:
    foreign = Answer({SLOT: (PROVIDER,)}, "resolved", is_meshd=False)
    async with beating(answer=foreign) as one:
        assert one.registry.kinds() == ["POST", "DELETE", "POST"]
        one.registry.standing = "changed"
        await one.clock.pass_by(20)
        assert one.registry.kinds().count("DELETE") == 1


@pytest.mark.parametrize("standing", ["unchanged", AWAY])
async def test_it_leaves_with_a_reason_and_without_a_fuss(standing: Any) -> None:
    async with beating(standing=standing) as one:
        await one.heartbeat.leave("the mesh stops")
        assert one.registry.kinds()[-1] == "DELETE the mesh stops"


async def test_what_changes_while_it_is_being_said_is_said_again() -> None:
    async with beating(slow=1.0) as one:
        one.heartbeat.changed()
        await one.clock.pass_by(0.5)
        assert one.registry.kinds() == ["POST"]
        await one.clock.pass_by(1)
        assert one.registry.kinds() == ["POST", "POST"]
        await one.clock.pass_by(7)
        assert one.registry.kinds() == ["POST", "POST", "HEAD"]


async def test_a_registry_that_always_has_news_is_asked_no_more_often() -> None:
    async with beating(standing="changed") as one:
        one.registry.forget()
        await one.clock.pass_by(60)
        assert 10 <= one.registry.kinds().count("HEAD") <= 14
        assert one.registry.kinds().count("POST") == one.registry.kinds().count("HEAD")


async def test_a_foreign_registry_has_news_once_after_a_new_start() -> None:
    foreign = Answer({SLOT: (PROVIDER,)}, "resolved", is_meshd=False)
    async with beating(answer=foreign) as one:
        one.registry.once.append("changed")
        one.registry.forget()
        await one.clock.pass_by(20)
        assert one.registry.kinds()[:4] == ["HEAD", "POST", "HEAD", "HEAD"]
        assert set(one.registry.kinds()) == {"HEAD", "POST"}
        assert [answer.was_forgotten for answer in one.applied] == [False, False]


@pytest.mark.parametrize(
    ("interval", "is_meshd", "longest"), [(30.0, True, 33.0), (30.0, False, 5.5), (2.0, False, 2.2)]
)
async def test_a_foreign_registry_hears_from_it_before_it_gives_it_up(
    interval: float, is_meshd: bool, longest: float
) -> None:
    answer = Answer({SLOT: (PROVIDER,)}, "resolved", is_meshd=is_meshd)
    async with beating(interval=interval, answer=answer) as one:
        await one.clock.pass_by(200)
        times = [at for what, at in one.registry.asked if what == "HEAD"]
        pauses = [after - before for before, after in itertools.pairwise(times)]
        assert 0.8 * longest < max(pauses) <= longest


async def test_a_foreign_registry_that_fails_in_between_is_not_left_twice() -> None:
    foreign = Answer({SLOT: (PROVIDER,)}, "resolved", is_meshd=False)
    async with beating(answer=foreign, fails_from=2) as one:
        assert one.registry.kinds() == ["POST", "DELETE", "POST"]
        assert (one.applied, one.states[-1].status) == ([], "away")
        one.registry.fails_from = 99
        await one.clock.pass_by(1)
        assert one.registry.kinds() == ["POST", "DELETE", "POST", "POST"]
        assert one.applied == [foreign]


async def test_a_foreign_registry_that_cannot_be_left_is_left_later() -> None:
    foreign = Answer({SLOT: (PROVIDER,)}, "resolved", is_meshd=False)
    async with beating(answer=foreign, standing=AWAY) as one:
        assert one.registry.kinds() == ["POST", "DELETE"]
        one.registry.standing = "unchanged"
        await one.clock.pass_by(1)
        assert one.registry.kinds() == ["POST", "DELETE", "POST", "DELETE", "POST"]
        assert one.applied == [foreign]


async def test_whatever_goes_wrong_it_beats_on(caplog: pytest.LogCaptureFixture) -> None:
    async with beating(answer=ZeroDivisionError("in the depth")) as one:
        assert one.states == [RegistryState("away", "ZeroDivisionError: in the depth")]
        assert "a heartbeat of a-1 failed" in caplog.text
        one.registry.answer = RESOLVED
        await one.clock.pass_by(1)
        assert one.applied == [RESOLVED]
        assert one.states[-1] == RegistryState("connected")


async def test_a_refusal_later_on_keeps_the_wiring() -> None:
    async with beating() as one:
        one.registry.standing = "unknown"
        one.registry.answer = RegistrationRefused("the agent's name is taken")
        await one.clock.pass_by(20)
        assert one.applied == [RESOLVED]
        assert one.states[-1] == RegistryState("refused", "the agent's name is taken")
        one.registry.answer, one.registry.standing = RESOLVED, "unchanged"
        await one.clock.pass_by(8)
        assert one.applied[-1].was_forgotten


async def test_it_is_back_within_ten_seconds_whenever_the_registry_is() -> None:
    for minutes in range(1, 6):
        async with beating(seed=minutes) as one:
            one.registry.standing = one.registry.answer = AWAY
            await one.clock.pass_by(61.0 * minutes)
            back = one.clock.seconds
            one.registry.standing, one.registry.answer = "unknown", RESOLVED
            one.registry.forget()
            await one.clock.pass_by(10)
            assert one.registry.kinds()[:2] == ["HEAD", "POST"]
            assert one.registry.asked[1][1] - back < 7.6


async def test_a_hundred_that_start_together_spread_over_the_interval() -> None:
    phases: list[float] = []
    for seed in range(100):
        async with beating(seed=seed) as one:
            await one.clock.pass_by(300)
            phases.append(one.registry.asked[-1][1] % 5)
    crowd = max(sum(begin <= phase < begin + 0.5 for phase in phases) for begin in range(5))
    assert crowd <= 25


async def test_a_leave_waits_for_the_request_under_way() -> None:
    async with beating(slow=2.0) as one:
        leaving = asyncio.ensure_future(one.heartbeat.leave())
        await one.clock.pass_by(1)
        assert one.registry.kinds() == ["POST"]
        await one.clock.pass_by(4)
        assert one.registry.kinds() == ["POST", "DELETE"]
        assert one.registry.most_at_once == 1
        await leaving


@pytest.mark.parametrize(("interval", "longest"), [(1.0, 2.0), (30.0, 45.0)])
async def test_pauses_grow_with_the_interval_and_not_beyond(
    interval: float, longest: float
) -> None:
    async with beating(interval=interval, answer=AWAY) as one:
        await one.clock.pass_by(600)
        times = [at for _, at in one.registry.asked]
        pauses = [after - before for before, after in itertools.pairwise(times)]
        assert longest / 2 <= max(pauses) <= longest
        assert min(pauses[8:]) >= longest / 2


async def test_each_change_of_the_state_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async with beating(answer=AWAY) as one:
        await one.clock.pass_by(20)
        one.registry.answer = RegistrationRefused("a cycle")
        await one.clock.pass_by(20)
        one.registry.answer = RESOLVED
        await one.clock.pass_by(20)
    assert [record.getMessage() for record in caplog.records] == [
        "the registry http://registry cannot be reached: connection refused",
        "the registry http://registry refuses the registration: a cycle",
        "the registry http://registry is back",
    ]
