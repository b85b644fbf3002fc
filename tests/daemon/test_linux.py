"""Processes below a dead one are found and ended, whatever group or session they are in."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from meshd.clock import SystemClock
from meshd.daemon.linux import (
    children,
    descendants,
    die_with,
    is_alive,
    kill_orphans,
    kill_trees,
)

pytestmark = pytest.mark.timeout(20)
TREE = """
import subprocess, sys, time
sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
plain = subprocess.Popen(sleep)
own_session = subprocess.Popen(sleep, start_new_session=True)
print(plain.pid, own_session.pid, flush=True)
time.sleep(60)
"""


@contextlib.contextmanager
def grown() -> Generator[tuple["subprocess.Popen[str]", set[int]]]:
    """Start a process with two below it."""
    with subprocess.Popen(
        [sys.executable, "-c", TREE], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        yield parent, {int(word) for word in parent.stdout.readline().split()}


async def gone(processes: set[int]) -> None:
    async with asyncio.timeout(5):
        while any(is_alive(process) for process in processes):
            await SystemClock().sleep(0.01)


async def test_a_tree_is_killed_with_its_sessions() -> None:
    with grown() as (parent, below):
        assert parent.pid in children(os.getpid())
        assert descendants([parent.pid]) == below
        kill_trees([parent.pid])
        assert parent.wait(5) == -9
        await gone(below)


async def test_orphans_are_killed_with_what_is_below_them_but_for_those_to_spare() -> None:
    with grown() as (spared, kept):
        others = children(os.getpid())
        with grown() as (orphan, below):
            kill_orphans(others)
            assert orphan.wait(5) == -9
            await gone(below)
        assert all(is_alive(process) for process in {spared.pid, *kept})
        kill_trees([spared.pid])


def test_a_process_that_is_gone_is_no_error() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    kill_trees([process.pid])
    assert not is_alive(process.pid)
    assert descendants([process.pid]) == set()


def test_a_stranger_is_no_parent(tmp_path: Path) -> None:
    done = tmp_path / "done"
    process = os.fork()
    if process == 0:
        try:
            mine, other = die_with(os.getppid()), die_with(1 if os.getppid() != 1 else 2)
            done.write_text(f"{mine} {other}")
        finally:
            os._exit(0)
    os.waitpid(process, 0)
    assert done.read_text() == "True False"
