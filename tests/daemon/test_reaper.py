"""How children ended, also before anybody asked."""

# pyright: reportPrivateUsage=false

import asyncio
import os
import signal
import sys

import pytest

from meshd.daemon.reaper import Reaper, in_words


def child(program: str) -> int:
    return os.posix_spawn(sys.executable, [sys.executable, "-S", "-c", program], {})


@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("", 0),
        ("raise SystemExit(7)", 7),
        ("import os; os.kill(os.getpid(), 9)", -9),
    ],
)
async def test_the_end_of_a_child(program: str, status: int) -> None:
    with Reaper() as reaper:
        process = child(program)
        ended = reaper.end_of(process)
        assert reaper.known() == {process}
        assert reaper.end_of(process) is ended
        assert await asyncio.wait_for(ended, 4) == status
        assert reaper.known() == set()


async def test_an_end_that_nobody_asked_for_is_remembered_for_a_while() -> None:
    with Reaper() as reaper:
        strangers = [child(""), child("raise SystemExit(3)")]
        last = child("import time; time.sleep(0.2)")
        await asyncio.wait_for(reaper.end_of(last), 4)
        while len(reaper._ended) < 2:
            await asyncio.wait_for(reaper.end_of(child("")), 4)
        assert await reaper.end_of(strangers[1]) == 3
        reaper.forget_strangers()
        asked = reaper.end_of(strangers[0])
        assert not asked.done()
        asked.cancel()


async def test_only_so_many_ends_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshd.daemon.reaper._REMEMBERED", 2)
    reaper = Reaper()
    for process in (1, 2, 3):
        reaper._resolve(process, process)
    assert list(reaper._ended) == [2, 3]
    given_up = reaper.end_of(4)
    given_up.cancel()
    reaper._resolve(4, 0)
    assert reaper.known() == set()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "ended with status 0"),
        (5, "ended with status 5"),
        (-signal.SIGKILL, "was killed by SIGKILL"),
        (-200, "was killed by signal 200"),
    ],
)
def test_in_words(status: int, words: str) -> None:
    assert in_words(status) == words
