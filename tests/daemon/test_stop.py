"""Work that goes on until somebody wishes its end."""

import asyncio
import os
import signal

import pytest

from meshd.daemon.signals import signals
from meshd.daemon.stop import Stop


async def test_work_that_ends_by_itself() -> None:
    stop, done = Stop(), asyncio.Event()

    async def work() -> None:
        done.set()

    await stop.unless(work())
    assert done.is_set()
    assert not stop.wished.is_set()


async def test_work_that_fails() -> None:
    async def work() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await Stop().unless(work())


async def test_work_is_left_and_cleans_up() -> None:
    stop, left = Stop(), asyncio.Event()

    async def work() -> None:
        try:
            stop(15)
            stop(2)
            await asyncio.Event().wait()
        finally:
            left.set()

    await stop.unless(work())
    assert left.is_set()
    assert stop.number == 15


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_is_a_wish_and_a_second_one_would_end_at_once(
    number: signal.Signals,
) -> None:
    stop, before = Stop(), signal.getsignal(number)
    async with signals(stop):
        os.kill(os.getpid(), number)
        await asyncio.wait_for(stop.wished.wait(), 2)
        assert stop.number == number
        assert signal.getsignal(number) is signal.SIG_DFL
    signal.signal(number, before)


async def test_a_hang_up_is_passed_on() -> None:
    stop, hung_up = Stop(), asyncio.Event()
    before = signal.getsignal(signal.SIGHUP)
    async with signals(stop, hung_up.set):
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.wait_for(hung_up.wait(), 2)
    signal.signal(signal.SIGHUP, before)
    assert not stop.wished.is_set()


async def test_a_terminal_that_has_gone_is_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([True, False])
    monkeypatch.setattr("meshd.daemon.signals._has_terminal", lambda: next(answers))
    stop, hung_up = Stop(), asyncio.Event()
    before = signal.getsignal(signal.SIGHUP)
    async with signals(stop, hung_up.set):
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.wait_for(stop.wished.wait(), 2)
    signal.signal(signal.SIGHUP, before)
    assert (stop.number, hung_up.is_set()) == (signal.SIGHUP, False)
