"""Which upstream a call goes to: choices one by one, and a simulation of many calls."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from meshd.callables.dump import dump
from meshd.domain.spec import Balance
from meshd.runtime.balance import Line, Lines
from meshd.runtime.edge import Edge
from meshd.runtime.upstreams import Traits
from tests.runtime.fakes import FakeUpstream, LoopClock, binding, virtually


@dataclass(frozen=True)
class Named:
    """An upstream that is only a name."""

    key: str
    tier: int = 0


class Chances:
    """Gives the chances of a list, again and again."""

    def __init__(self, *chances: float) -> None:
        self._chances = chances
        self._given = 0

    def __call__(self) -> float:
        self._given += 1
        return self._chances[(self._given - 1) % len(self._chances)]


def lines_of(
    *named: Named, balance: Balance = "least", chance: Any = None
) -> tuple[Lines[Named], list[Line[Named]]]:
    made = [Line(one, failures_max=3, open_seconds=10.0) for one in named]
    lines: Lines[Named] = Lines(balance, chance or random.Random(1).random)  # noqa: S311
    lines.replace(made, balance)
    return lines, made


def picked(lines: Lines[Named], now: float = 0.0, tried: Any = ()) -> str | None:
    line = lines.pick(now, tried)
    return None if line is None else line.upstream.key


def test_without_upstreams_there_is_no_choice() -> None:
    lines, _ = lines_of()
    assert picked(lines) is None


def test_the_best_tier_is_used_while_it_can_be() -> None:
    lines, [low, high, _] = lines_of(Named("low", 0), Named("high", 10), Named("lower", -5))
    assert [line.upstream.key for line in lines.all] == ["high", "low", "lower"]
    assert {picked(lines) for _ in range(20)} == {"high"}
    high.breaker.refused(0.0)
    assert {picked(lines) for _ in range(20)} == {"low"}
    assert picked(lines, tried=[low]) == "lower"
    assert picked(lines, now=0.2) == "high"


@pytest.mark.parametrize(
    ("balance", "expected"),
    [("first", "aaaaaa"), ("round_robin", "abcabc"), ("random", "aabbcc")],
)
def test_simple_balances(balance: Balance, expected: str) -> None:
    chance = Chances(0.0, 0.2, 0.4, 0.6, 0.7, 0.99)
    lines, _ = lines_of(Named("a"), Named("b"), Named("c"), balance=balance, chance=chance)
    assert "".join(str(picked(lines)) for _ in range(6)) == expected


def test_round_robin_goes_past_what_cannot_be_used() -> None:
    lines, [_, b, _] = lines_of(Named("a"), Named("b"), Named("c"), balance="round_robin")
    b.breaker.refused(0.0)
    assert "".join(str(picked(lines)) for _ in range(4)) == "acac"


def test_least_takes_the_cheaper_of_two() -> None:
    lines, [a, b, c] = lines_of(Named("a"), Named("b"), Named("c"), chance=Chances(0.0, 0.0))
    for line, seconds in ((a, 0.03), (b, 0.02), (c, 0.01)):
        line.sample(seconds, 0.0)
    # The two are a and b, whatever c would cost.
    assert picked(lines) == "b"
    b.begin(0.0)
    assert picked(lines) == "a"


def test_calls_under_way_are_noticed_before_they_end() -> None:
    _, [line] = lines_of(Named("a"))
    line.sample(0.01, 0.0)
    line.begin(0.0)
    line.begin(2.0)
    assert line.seconds(4.0) == 3.0
    line.end(0.0)
    assert line.seconds(4.0) == 2.0
    line.end(2.0)
    assert line.seconds(0.5) == 0.01


def test_what_is_not_called_is_forgotten_slowly() -> None:
    _, [line] = lines_of(Named("a"))
    assert line.seconds(0.0, unknown=0.5) == 0.5
    line.sample(1.0, 0.0)
    assert line.seconds(1.0) == 1.0
    assert line.seconds(11.0) == pytest.approx(1 / 2.718, rel=1e-3)
    line.sample(0.5, 100.0)
    assert line.seconds(100.0) == 0.5


@pytest.mark.parametrize(
    ("slow", "expected"),
    [
        ((), ""),
        ((1.0,), "0"),
        # At most half of them.
        ((1.0, 2.0, 3.0), "12"),
        # By this much a machine is late at times.
        ((0.04,), ""),
    ],
)
def test_those_that_are_far_slower_are_left_out(slow: tuple[float, ...], expected: str) -> None:
    lines, made = lines_of(*(Named(str(n)) for n in range(4)), balance="round_robin")
    for number, line in enumerate(made):
        line.sample(slow[number] if number < len(slow) else 0.001, 0.0)
    median_is_slow = len(slow) > 2
    lines.pick(0.0)
    outliers = "".join(line.upstream.key for line in made if line.is_outlier)
    assert outliers == ("" if median_is_slow else expected)


def test_what_is_slow_is_better_than_nothing() -> None:
    lines, [slow, fast, other] = lines_of(Named("slow"), Named("fast"), Named("other"))
    for line, seconds in ((slow, 1.0), (fast, 0.001), (other, 0.001)):
        line.sample(seconds, 0.0)
    assert {picked(lines) for _ in range(20)} == {"fast", "other"}
    assert picked(lines, tried=[fast, other]) == "slow"


FAST, SLOW, CALLERS = 0.01, 1.0, 32


async def shares(balance: Balance, seed: int) -> tuple[float, float]:
    """Make one of ten slow; return its share of the calls in the next second, and in another."""
    upstreams = [FakeUpstream(seconds=FAST, provider=f"p{number}.thing") for number in range(10)]
    chance = random.Random(seed)  # noqa: S311
    edge = Edge(binding(balance=balance), None, dump, LoopClock(), chance=chance.random)
    edge.wire(tuple(upstreams))
    stop = asyncio.Event()

    async def caller() -> None:
        while not stop.is_set():
            # Callers have something to do besides.
            await LoopClock().sleep(chance.random() * FAST)
            await edge.call({})

    callers = [asyncio.ensure_future(caller()) for _ in range(CALLERS)]
    await LoopClock().sleep(0.5)
    slow = upstreams[3]
    slow.seconds = SLOW
    found: list[float] = []
    for seconds in (1.0, 1.0):
        before = Counter({one.provider: len(one.asked) for one in upstreams})
        await LoopClock().sleep(seconds)
        made = Counter({one.provider: len(one.asked) for one in upstreams}) - before
        found.append(made[slow.provider] / made.total())
    stop.set()
    await asyncio.gather(*callers)
    return found[0], found[1]


@pytest.mark.parametrize(
    ("balance", "seed", "most_at_first"),
    [("least", 1, 0.02), ("least", 2, 0.02), ("round_robin", 1, 0.1), ("random", 1, 0.1)],
)
def test_one_of_ten_that_is_100_times_slower_gets_hardly_any_calls(
    balance: Balance, seed: int, most_at_first: float
) -> None:
    at_first, later = virtually(shares(balance, seed))
    assert at_first < most_at_first
    assert later < 0.02


def test_all_of_those_that_are_equal_share_the_calls() -> None:
    async def made() -> list[int]:
        upstreams = [FakeUpstream(seconds=FAST, traits=Traits(tier=n // 5)) for n in range(10)]
        chance = random.Random(5)  # noqa: S311
        edge = Edge(binding(), None, dump, LoopClock(), chance=chance.random)
        edge.wire(tuple(upstreams))
        for _ in range(50):
            await asyncio.gather(*(edge.call({}) for _ in range(20)))
        return [len(one.asked) for one in upstreams]

    counts = virtually(made())
    assert counts[:5] == [0] * 5
    assert all(150 <= count <= 250 for count in counts[5:])
