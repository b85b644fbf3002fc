import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from meshd.cli.app import execute
from meshd.cli.wait import until_ready
from meshd.errors import NotReachable
from tests.cli.daemons import FakeDaemon, agent, answering, instance, status

Output = pytest.CaptureFixture[str]

READY = status(agent("a", instance("a-1")))
STARTING = status(agent("a", status="starting", replicas=1), phase="starting")
GONE = NotReachable("no daemon")


class SteppingClock:
    """A time that passes only by sleeping."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def waited(answers: list[dict[str, Any] | NotReachable], timeout: float) -> tuple[list[str], float]:
    clock = SteppingClock()
    following: Iterator[dict[str, Any] | NotReachable] = iter(answers)

    def ask(_: float) -> dict[str, Any]:
        answer = next(following, answers[-1])
        if isinstance(answer, NotReachable):
            raise answer
        return answer

    return asyncio.run(until_ready(ask, timeout, clock)), round(clock.seconds, 2)


def test_a_daemon_that_is_still_to_come_is_waited_for() -> None:
    assert waited([GONE, GONE, STARTING, READY], 30) == ([], 0.3)


def test_a_mesh_that_is_not_ready_in_time(capsys: Output) -> None:
    assert waited([STARTING], 2) == (["the mesh is starting", "`a` is starting"], 2)
    assert capsys.readouterr().err == "waiting: the mesh is starting; `a` is starting\n"


def test_a_daemon_that_goes_away_is_missed() -> None:
    with pytest.raises(NotReachable):
        waited([STARTING, GONE], 0.5)


def test_no_time_is_one_look() -> None:
    assert waited([READY], 0) == ([], 0)
    assert waited([STARTING, READY], 0) == (["the mesh is starting", "`a` is starting"], 0)


def test_wait(tmp_path: Path, capsys: Output) -> None:
    with answering(tmp_path, FakeDaemon(READY)):
        assert execute(["wait", "--for", "ready", "--state-dir", str(tmp_path)]) == 0
    assert capsys.readouterr() == ("", "ready\n")


def test_wait_in_vain(tmp_path: Path, capsys: Output) -> None:
    with answering(tmp_path, FakeDaemon(STARTING)):
        assert execute(["wait", "--timeout", "200ms", "--state-dir", str(tmp_path)]) == 3
    assert capsys.readouterr().err == (
        "error: the mesh is not ready after 200ms: the mesh is starting; `a` is starting\n"
        "hint: see `meshd status`\n"
    )


def test_wait_for_a_daemon_in_vain(tmp_path: Path, capsys: Output) -> None:
    assert execute(["wait", "--timeout", "200ms", "--state-dir", str(tmp_path)]) == 4
    assert "no daemon runs" in capsys.readouterr().err


def test_wait_for_something_unknown(capsys: Output) -> None:
    assert execute(["wait", "--for", "redy"]) == 64
    assert "did you mean `ready`?" in capsys.readouterr().err
