"""Calls that fail, in virtual time: what is tried again, where, when, and what is not."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from meshd.callables.dump import dump
from meshd.domain.spec import CallSettings
from meshd.errors import (
    BreakerOpen,
    Busy,
    CallError,
    CallTimedOut,
    ConnectionLost,
    ToolFailed,
    Unauthorised,
    Unavailable,
    Unreachable,
)
from meshd.runtime.context import CallContext, current_call
from meshd.runtime.edge import Edge
from meshd.runtime.upstreams import Traits
from tests.runtime.fakes import FakeUpstream, LoopClock, binding, virtually

IDEMPOTENT = Traits(idempotent=True)
READ_ONLY = Traits(read_only=True)


def first() -> float:
    return 0.0


def edge_over(*upstreams: FakeUpstream, **settings: Any) -> Edge:
    edge = Edge(binding(**settings), None, dump, LoopClock(), chance=first)
    edge.wire(upstreams)
    return edge


def now() -> float:
    return asyncio.get_running_loop().time()


async def later(seconds: float, action: Callable[[], object]) -> None:
    await LoopClock().sleep(seconds)
    action()


async def outcome(call: Awaitable[Any]) -> Any:
    """Return what came of a call, and when."""
    try:
        value = await call
    except CallError as error:
        return type(error), error.attempts, round(now(), 3)
    return value, round(now(), 3)


def unreachable(provider: str = "there.thing") -> Unreachable:
    return Unreachable("nothing answers", provider=provider)


def lost() -> ConnectionLost:
    return ConnectionLost("it broke", provider="there.thing")


def asked(*upstreams: FakeUpstream) -> list[int]:
    return [len(one.asked) for one in upstreams]


# How often, with which outcome, a tool is run that fails once.
@pytest.mark.parametrize(
    ("error", "traits", "settings", "expected", "runs"),
    [
        (lost(), Traits(), {}, (ConnectionLost, 1, 0.0), 1),
        (lost(), IDEMPOTENT, {}, ("ok", 0.05), 2),
        (lost(), READ_ONLY, {}, ("ok", 0.05), 2),
        (lost(), IDEMPOTENT, {"retries_max": 0}, (ConnectionLost, 1, 0.0), 1),
        (lost(), IDEMPOTENT, {"retries_on": ("busy",)}, (ConnectionLost, 1, 0.0), 1),
        (lost(), IDEMPOTENT, {"retries_backoff_seconds": 2.0}, ("ok", 1.0), 2),
        # There is no time for it.
        (
            lost(),
            IDEMPOTENT,
            {"retries_backoff_seconds": 2.0, "timeout_seconds": 1.0},
            (ConnectionLost, 1, 0.0),
            1,
        ),
        (ToolFailed("x"), IDEMPOTENT, {}, (ToolFailed, 1, 0.0), 1),
        (ToolFailed("x"), IDEMPOTENT, {"retries_on": ("failed",)}, ("ok", 0.05), 2),
        (ToolFailed("x"), Traits(), {"retries_on": ("failed",)}, (ToolFailed, 1, 0.0), 1),
        (CallTimedOut("x"), Traits(), {}, (CallTimedOut, 1, 0.0), 1),
        (CallTimedOut("x"), IDEMPOTENT, {}, ("ok", 0.05), 2),
        (Busy("x"), Traits(), {}, ("ok", 0.05), 2),
        (Busy("x"), Traits(), {"retries_on": ("lost",)}, (Busy, 1, 0.0), 1),
        (Unavailable("x"), Traits(), {}, (Unavailable, 1, 0.0), 1),
        (unreachable(), Traits(), {}, ("ok", 0.1), 2),
    ],
)
def test_what_is_tried_again(
    error: CallError, traits: Traits, settings: dict[str, Any], expected: Any, runs: int
) -> None:
    async def main() -> Any:
        upstream = FakeUpstream("ok", traits=traits, errors=[error])
        return await outcome(edge_over(upstream, **settings).call({})), asked(upstream)

    assert virtually(main()) == (expected, [runs])


def test_another_upstream_is_tried_at_once() -> None:
    async def main() -> Any:
        broken = FakeUpstream(traits=IDEMPOTENT, error=lost())
        good = FakeUpstream("ok", traits=IDEMPOTENT)
        edge = edge_over(broken, good)
        found = await outcome(edge.call({}))
        return found, asked(broken, good), edge.counters.retries

    assert virtually(main()) == (("ok", 0.0), [1, 1], 1)


def test_retries_end() -> None:
    async def main() -> Any:
        upstream = FakeUpstream(traits=IDEMPOTENT, error=lost())
        return await outcome(edge_over(upstream, retries_max=3).call({})), upstream.times

    # The pauses are half as long as they may be, for chance is 0.
    expected = pytest.approx([0.0, 0.05, 0.15, 0.35])
    assert virtually(main()) == ((ConnectionLost, 4, 0.35), expected)


def test_retries_are_a_share_of_the_calls() -> None:
    async def main() -> int:
        settings = {"retries_budget": 0.1, "breaker_failures": 10_000}
        upstream = FakeUpstream(traits=IDEMPOTENT, error=ToolFailed("x"))
        edge = edge_over(upstream, retries_on=("failed",), **settings)
        calls = (outcome(edge.call({})) for _ in range(1_000))
        await asyncio.gather(*calls)
        return len(upstream.asked) - 1_000

    # A tenth, ten more at once, and a few in the time that they take.
    assert 110 <= virtually(main()) <= 115


@pytest.mark.parametrize("traits", [Traits(), IDEMPOTENT])
def test_a_call_that_takes_too_long_ends_and_is_not_made_again(traits: Traits) -> None:
    async def main() -> Any:
        upstreams = [FakeUpstream(seconds=60.0, traits=traits) for _ in range(3)]
        edge = edge_over(*upstreams, timeout_seconds=0.3, retries_max=3)
        found = await outcome(edge.call({}))
        return found, sum(asked(*upstreams)), sum(one.cancelled for one in upstreams)

    assert virtually(main()) == ((CallTimedOut, 1, 0.3), 1, 1)


@pytest.mark.parametrize(
    ("traits", "settings", "expected", "runs"),
    [
        # The second one answers in time.
        (IDEMPOTENT, {}, ("ok", 0.25), [1, 1]),
        # The last attempt has all the time that is left.
        (IDEMPOTENT, {"retries_max": 0}, ("ok", 1.5), [1, 0]),
        # It may have run, and may not run twice.
        (Traits(), {}, ("ok", 1.5), [1, 0]),
        (IDEMPOTENT, {"retries_on": ("lost",)}, (CallTimedOut, 1, 0.2), [1, 0]),
    ],
)
def test_an_attempt_that_takes_too_long_is_made_again_elsewhere(
    traits: Traits, settings: dict[str, Any], expected: Any, runs: list[int]
) -> None:
    async def main() -> Any:
        slow = FakeUpstream("ok", seconds=1.5, traits=traits)
        quick = FakeUpstream("ok", seconds=0.05, traits=traits)
        edge = edge_over(slow, quick, balance="first", retries_timeout_seconds=0.2, **settings)
        found = await outcome(edge.call({}))
        return found, asked(slow, quick)

    assert virtually(main()) == (expected, runs)


def test_a_cancelled_call_is_cancelled_there_and_proves_nothing() -> None:
    async def main() -> Any:
        upstreams = [FakeUpstream(seconds=60.0, traits=IDEMPOTENT) for _ in range(2)]
        edge = edge_over(*upstreams, breaker_failures=1)
        task = asyncio.ensure_future(edge.call({}))
        await LoopClock().sleep(2.0)
        task.cancel()
        await asyncio.wait({task})
        states = [(state.breaker, state.in_flight) for state in edge.states]
        outcomes = edge.counters.outcomes
        return task.cancelled(), [one.cancelled for one in upstreams], states, outcomes

    expected = (True, [1, 0], [("closed", 0)] * 2, {"ok": 0, "cancelled": 1})
    assert virtually(main()) == expected


def test_without_time_left_nothing_is_sent() -> None:
    async def main() -> Any:
        upstream = FakeUpstream("ok")
        current_call.set(CallContext(deadline=now()))
        with pytest.raises(CallTimedOut) as caught:
            await edge_over(upstream).call({})
        return caught.value.attempts, caught.value.executed, asked(upstream)

    assert virtually(main()) == (0, False, [0])


def test_calls_wait_for_the_only_upstream_and_one_of_them_asks_for_it() -> None:
    async def main() -> Any:
        upstream = FakeUpstream("ok", error=unreachable())
        edge = edge_over(upstream)

        def back() -> None:
            upstream.error = None

        _, *found = await asyncio.gather(
            later(1.2, back), *(outcome(edge.call({})) for _ in range(8))
        )
        return found, upstream.times[8:]

    found, probes = virtually(main())
    # All eight are refused at first; then one of them tries, and when it succeeds, all.
    assert found == [("ok", 1.5)] * 8
    assert probes[:4] == pytest.approx([0.1, 0.3, 0.7, 1.5])


def test_a_new_wiring_lets_them_look_at_once() -> None:
    async def main() -> Any:
        upstream = FakeUpstream("ok", error=unreachable(), key="it")
        edge = edge_over(upstream)
        again = FakeUpstream("ok", key="it")
        _, found = await asyncio.gather(
            later(1.2, lambda: edge.wire((again,))), outcome(edge.call({}))
        )
        return found

    assert virtually(main()) == ("ok", 1.2)


@pytest.mark.parametrize(
    ("timeout", "expected"),
    [(30.0, (Unreachable, 14, 10.0)), (3.0, (CallTimedOut, 6, 3.0))],
)
def test_they_wait_no_longer_than_a_restart_takes_and_they_have_time(
    timeout: float, expected: Any
) -> None:
    async def main() -> Any:
        upstream = FakeUpstream(error=unreachable())
        edge = edge_over(upstream, timeout_seconds=timeout)
        found = await outcome(edge.call({}))
        at_once = await outcome(edge.call({}))
        return found, at_once

    found, at_once = virtually(main())
    assert (found[0], found[2]) == (expected[0], pytest.approx(expected[2], abs=1.0))
    if timeout == 30.0:
        assert at_once == (Unavailable, 0, found[2])


def test_calls_wait_when_the_last_upstream_was_unwired_a_moment_ago() -> None:
    async def main() -> Any:
        edge = edge_over(FakeUpstream("old"), required=True)
        edge.wire(())
        usable = edge.is_usable
        new = FakeUpstream("new")
        _, found = await asyncio.gather(
            later(2.0, lambda: edge.wire((new,))), outcome(edge.call({}))
        )
        edge.wire(())
        lost_again = await outcome(edge.call({}))
        await LoopClock().sleep(5.0)
        return usable, found, lost_again, edge.is_usable, await outcome(edge.call({}))

    at_once = (Unavailable, 0, 12.0)
    assert virtually(main()) == (True, ("new", 2.0), (CallTimedOut, 0, 7.0), False, at_once)


def test_who_can_do_without_is_told_at_once_that_there_is_nobody() -> None:
    async def main() -> bool:
        edge = edge_over(FakeUpstream("old"))
        edge.wire(())
        return edge.is_usable

    assert virtually(main()) is False


def test_an_idempotent_call_survives_the_death_of_its_only_upstream() -> None:
    async def main() -> Any:
        upstream = FakeUpstream("ok", seconds=0.2, traits=IDEMPOTENT)
        edge = edge_over(upstream)

        def die() -> None:
            upstream.errors = [lost() for _ in range(8)]
            upstream.error = unreachable()

        def back() -> None:
            upstream.error = None

        calls = [asyncio.ensure_future(outcome(edge.call({}))) for _ in range(8)]
        await later(0.1, die)
        await later(0.6, back)
        return [value for value, *_ in await asyncio.gather(*calls)]

    assert virtually(main()) == ["ok"] * 8


def test_failures_in_a_row_open_the_breaker_and_calls_fail_at_once() -> None:
    async def main() -> Any:
        upstream = FakeUpstream(error=lost())
        edge = edge_over(upstream, breaker_failures=3, breaker_open_seconds=4.0)
        for _ in range(3):
            await outcome(edge.call({}))
        refused = await outcome(edge.call({}))
        [state] = edge.states
        await LoopClock().sleep(4.0)
        upstream.error = None
        upstream.value = "ok"
        upstream.seconds = 1.0
        probe, other = await asyncio.gather(outcome(edge.call({})), outcome(edge.call({})))
        return refused, state.breaker, probe, other, edge.states[0].breaker

    refused, then, probe, other, now_ = virtually(main())
    assert (refused, then) == ((BreakerOpen, 0, 0.0), "open")
    assert (probe, other, now_) == (("ok", 5.0), (BreakerOpen, 0, 4.0), "closed")


def test_errors_of_tools_do_not_open_it() -> None:
    async def main() -> Any:
        upstream = FakeUpstream(error=ToolFailed("no"))
        edge = edge_over(upstream, breaker_failures=2)
        for _ in range(5):
            await outcome(edge.call({}))
        return edge.states[0].breaker, edge.counters.outcomes

    assert virtually(main()) == ("closed", {"ok": 0, "failed": 5})


def test_timeouts_open_it_and_another_upstream_serves_on() -> None:
    async def main() -> Any:
        better = Traits(tier=1)
        hangs, good = FakeUpstream(seconds=99.0, key="a", traits=better), FakeUpstream("ok")
        edge = edge_over(hangs, good, timeout_seconds=1.5, breaker_failures=2)
        first_calls = [await outcome(edge.call({})) for _ in range(3)]
        # It is the same one after the wiring changed.
        edge.wire((FakeUpstream("better", key="a", traits=better), good))
        return [found[0] for found in first_calls], (await outcome(edge.call({})))[0]

    assert virtually(main()) == ([CallTimedOut, CallTimedOut, "ok"], "ok")


def test_an_impatient_caller_proves_nothing_against_an_upstream() -> None:
    async def main() -> Any:
        edge = edge_over(FakeUpstream(seconds=99.0), breaker_failures=1)
        current_call.set(CallContext(deadline=now() + 0.01))
        await outcome(edge.call({}))
        return edge.states[0].breaker

    assert virtually(main()) == "closed"


def test_a_slow_call_is_made_a_second_time_elsewhere() -> None:
    async def main() -> Any:
        slow = FakeUpstream("slow", seconds=3.0, traits=READ_ONLY)
        fast = FakeUpstream("fast", seconds=0.1, traits=READ_ONLY)
        edge = edge_over(slow, fast, hedge_seconds=0.5, balance="first")
        return await outcome(edge.call({})), slow.cancelled, edge.counters.hedges

    assert virtually(main()) == (("fast", 0.6), 1, 1)


@pytest.mark.parametrize(
    ("traits", "seconds", "expected"),
    [
        # It must change nothing.
        (IDEMPOTENT, 3.0, (("slow", 3.0), [1, 0])),
        # It is not slow.
        (READ_ONLY, 0.2, (("slow", 0.2), [1, 0])),
    ],
)
def test_but_not_every_call(traits: Traits, seconds: float, expected: Any) -> None:
    async def main() -> Any:
        slow = FakeUpstream("slow", seconds=seconds, traits=traits)
        other = FakeUpstream("fast", traits=traits)
        edge = edge_over(slow, other, hedge_seconds=0.5, balance="first")
        return await outcome(edge.call({})), asked(slow, other)

    assert virtually(main()) == expected


@pytest.mark.parametrize("cancel", [False, True])
def test_a_hedged_call_ends_both_when_it_ends(cancel: bool) -> None:
    async def main() -> Any:
        both = [FakeUpstream(seconds=60.0, traits=READ_ONLY) for _ in range(2)]
        edge = edge_over(*both, hedge_seconds=0.5, timeout_seconds=2.0)
        task = asyncio.ensure_future(outcome(edge.call({})))
        if cancel:
            await later(1.0, task.cancel)
        await asyncio.wait({task})
        found = "cancelled" if task.cancelled() else task.result()
        return found, [one.cancelled for one in both], [one.in_flight for one in edge.states]

    expected = "cancelled" if cancel else (CallTimedOut, 2, 2.0)
    assert virtually(main()) == (expected, [1, 1], [0, 0])


@pytest.mark.parametrize(
    ("error", "expected"),
    [(None, ("slow", 1.0)), (ToolFailed("neither"), (ToolFailed, 2, 1.0))],
)
def test_of_two_attempts_the_one_that_succeeds_counts(
    error: CallError | None, expected: Any
) -> None:
    async def main() -> Any:
        slow = FakeUpstream("slow", seconds=1.0, traits=READ_ONLY, error=error)
        broken = FakeUpstream(seconds=0.1, traits=READ_ONLY, error=ToolFailed("no"))
        edge = edge_over(slow, broken, hedge_seconds=0.5, balance="first")
        return await outcome(edge.call({}))

    assert virtually(main()) == expected


def test_an_edge_has_as_many_calls_as_it_may() -> None:
    async def main() -> Any:
        upstream = FakeUpstream("ok", seconds=1.0)
        edge = edge_over(upstream, concurrency=2)
        return await asyncio.gather(*(outcome(edge.call({})) for _ in range(3)))

    assert virtually(main()) == [("ok", 1.0), ("ok", 1.0), (Busy, 0, 0.0)]


def test_a_missing_token_is_explained() -> None:
    async def main() -> str:
        refusing = FakeUpstream(error=Unauthorised("no token", provider="there.thing"))
        with pytest.raises(Unauthorised) as caught:
            await edge_over(refusing).call({})
        return str(caught.value)

    assert virtually(main()) == (
        "no token; no token is known for it: set `call.auth` on the need of `there.thing`, "
        "or MCP_MESH_AUTH_TOKEN"
    )


def test_tokens_go_to_those_who_may_know_them() -> None:
    async def main() -> Any:
        def token_for(provider: str, demands: bool) -> str | None:
            return "secret" if (provider, demands) == ("there.thing", True) else None

        edge = Edge(binding(), None, dump, LoopClock(), token_for=token_for, chance=first)
        found: list[str | None] = []
        for provider, demands in (("there.thing", True), ("there.thing", False), ("x.y", True)):
            upstream = FakeUpstream(provider=provider, traits=Traits(auth_required=demands))
            edge.wire((upstream,))
            await edge.call({})
            assert upstream.outgoing is not None
            headers, _ = upstream.outgoing.of(CallContext(), 0.0)
            found.append(headers.get("Authorization"))
        return found

    assert virtually(main()) == ["Bearer secret", None, None]


def test_settings_of_the_need_are_nearer_than_the_providers() -> None:
    async def main() -> Any:
        call = CallSettings(retries_max=0, retries_backoff_seconds=0.4, headers={"X": "1"})
        upstream = FakeUpstream("ok", traits=Traits(idempotent=True, call=call), errors=[lost()])
        edge = edge_over(upstream, retries_max=1)
        found = await outcome(edge.call({}))
        assert upstream.outgoing is not None
        return found, upstream.outgoing.settings.headers

    assert virtually(main()) == (("ok", 0.2), {"X": "1"})
