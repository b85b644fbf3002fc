"""`meshd wait`: until the mesh is ready, or the time is up."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from meshd.cli.output import fail, say
from meshd.cli.standing import few, missing
from meshd.cli.values import seconds
from meshd.clock import Clock, SystemClock
from meshd.daemon.client import AdminClient
from meshd.errors import NotReachable

TIMED_OUT = 3
POLL_SECONDS = 0.1
SHORTEST_SECONDS = 0.1
"""How long the daemon may take for an answer even if the time is up."""


def wait(state_directory: Path, timeout: str) -> int:
    """Wait until every agent serves and every required need is resolved; return the status."""
    timeout_seconds = seconds(timeout, "--timeout")
    admin = AdminClient(state_directory)

    def ask(rest_seconds: float) -> dict[str, Any]:
        return admin.status(within_seconds=max(rest_seconds, SHORTEST_SECONDS))

    lacking = asyncio.run(until_ready(ask, timeout_seconds, SystemClock()))
    if lacking:
        fail(f"the mesh is not ready after {timeout}: {few(lacking)}", "see `meshd status`")
        return TIMED_OUT
    say("ready")
    return 0


async def until_ready(
    ask: Callable[[float], dict[str, Any]], timeout_seconds: float, clock: Clock
) -> list[str]:
    """Return what is missing when the time is up, or nothing as soon as the mesh is ready.

    Raises:
        NotReachable: when the time is up no daemon answers.

    """
    start = clock.monotonic()
    has_spoken = False
    while True:
        passed = clock.monotonic() - start
        try:
            lacking, silence = missing(ask(timeout_seconds - passed)), None
        except NotReachable as error:
            lacking, silence = [str(error)], error
        if not lacking:
            return []
        passed = clock.monotonic() - start
        if passed >= timeout_seconds:
            if silence is not None:
                raise silence
            return lacking
        if passed >= 1 and not has_spoken:
            has_spoken = True
            say(f"waiting: {few(lacking)}")
        await clock.sleep(min(POLL_SECONDS, timeout_seconds - passed))
