"""The live view, drawn on a terminal that is none: a pseudo-terminal, read as it is written."""

import asyncio
import contextlib
import os
import pty
import re
import sys
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from meshd.cli.live import LiveAudience, Terminal, wants_live_view
from meshd.clock import SystemClock
from meshd.daemon.generations import Outcome
from meshd.daemon.log_lines import LogLine
from meshd.daemon.source import Source
from meshd.daemon.stages import Stages
from tests.cli.daemons import FakeDaemon, agent, instance, status

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
STARTING = status(
    agent("geo", instance("geo-1")),
    agent("planner", status="starting", replicas=1),
    phase="starting",
)
READY = status(agent("geo", instance("geo-1")), agent("planner", instance("planner-1")))
WAITING = status(
    agent("geo", instance("geo-1", "waiting", reason="was killed", restarts=2), status="starting"),
    agent("planner", instance("planner-1"), waiting_for=["geo.city"]),
    registry={"url": "http://127.0.0.1:8000", "status": "waiting", "reason": "it died"},
)


class Screen:
    """What has been written to the terminal."""

    def __init__(self, master: int) -> None:
        self._master = master
        self._data = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            while data := os.read(self._master, 65536):
                self._data += data
        except OSError:  # the other end was closed
            pass

    @property
    def raw(self) -> str:
        return self._data.decode("utf-8", "replace")

    @property
    def text(self) -> str:
        return re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", self.raw).replace("\r\n", "\n")

    async def shows(self, text: str, since: int = 0) -> int:
        """Wait until the text is there, and return where it ends."""
        deadline = SystemClock().monotonic() + 4
        while (at := self.text.find(text, since)) < 0:
            assert SystemClock().monotonic() < deadline, f"no {text!r} in {self.text[since:]!r}"
            await asyncio.sleep(0.01)
        return at + len(text)

    def finish(self) -> None:
        self._thread.join(5)


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch, rows: int = 40) -> Generator[Screen, None, None]:
    """Let standard error be a terminal of 100 columns while the block runs."""
    master, slave = pty.openpty()
    screen = Screen(master)
    monkeypatch.setenv("TERM", "xterm-256color")
    # rich asks for the size of the process's own streams first.
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", str(rows))
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    try:
        with os.fdopen(slave, "w", encoding="utf-8") as stderr:
            monkeypatch.setattr(sys, "stderr", stderr)
            yield screen
        screen.finish()
    finally:
        monkeypatch.undo()
        os.close(master)


Talk = Callable[[LiveAudience, FakeDaemon], Awaitable[None]]


def show(told: dict[str, Any], talk: Talk) -> None:
    """Let the audience hear of a mesh, and of what `talk` says."""
    source = Source((), (), {})
    audience = LiveAudience(
        source, Stages(SystemClock()), Path(".meshd"), Terminal(stderr=True, highlight=False)
    )
    daemon = FakeDaemon(told)

    async def run() -> None:
        audience.begins(daemon)
        try:
            await talk(audience, daemon)
        finally:
            audience.close()

    asyncio.run(run())


def test_the_view_from_start_to_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with terminal(monkeypatch) as screen:

        async def talk(audience: LiveAudience, daemon: FakeDaemon) -> None:
            at = await screen.shows("mesh starting   registry http://127.0.0.1:8000")
            first = screen.text[:at]
            assert re.search(r"● +geo-1 +ready", first)
            assert re.search(r"\S +planner +starting", first)
            daemon.told = READY
            audience.ready()
            at = await screen.shows("mesh ready", at)
            daemon.told = WAITING
            audience.changed()
            at = await screen.shows("mesh running, not ready", at)
            drawn = screen.text
            assert re.search(r"▲ +geo-1 +waiting +restarts 2 +was killed", drawn)
            assert re.search(r"● +planner-1 +ready +waits for geo\.city", drawn)
            assert "registry http://127.0.0.1:8000 is waiting (it died)" in drawn
            audience.note("geo-1 is back")
            audience.line(LogLine("geo-1", NOON, "hello [red]"))
            audience.applied(Outcome(result="applied", sources={}))
            await screen.shows("geo-1 | hello [red]", at)
            await screen.shows("meshd: geo-1 is back", at)
            await screen.shows("meshd: reload: applied", at)

        show(STARTING, talk)
    # The drawing is gone at the end: what was written last erases it.
    assert screen.raw.rstrip("\r\n").endswith("\x1b[2K") or "mesh" not in screen.text[-80:]
    assert "\x1b[?25l" not in screen.raw
    out = capsys.readouterr().out
    assert ["geo", "1.0.0", "ready", "http://127.0.0.1:4000/mcp"] in [
        line.split() for line in out.splitlines()
    ]
    assert "stop:         Ctrl-C, or `meshd stop`" in out


def test_what_rests_is_not_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as screen:

        async def talk(audience: LiveAudience, daemon: FakeDaemon) -> None:
            await screen.shows("mesh ready")
            await asyncio.sleep(0.3)
            before = screen.raw
            for _ in range(20):
                audience.changed()
                await asyncio.sleep(0.02)
            assert screen.raw == before

        show(READY, talk)


def test_many_lines_are_few_drawings(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as screen:

        async def talk(audience: LiveAudience, daemon: FakeDaemon) -> None:
            await screen.shows("mesh ready")
            for number in range(600):
                audience.line(LogLine("geo-1", NOON, f"line {number}."))
            await screen.shows("meshd: 100 lines are only in the logs")
            assert screen.text.count("mesh ready") <= 3
            assert "geo-1 | line 0." in screen.text
            assert "geo-1 | line 499." in screen.text

        show(READY, talk)


def test_a_mesh_that_is_larger_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    agents = [agent(f"a{n}", instance(f"a{n}-1")) for n in range(50)]
    agents[40] = agent("a40", instance("a40-1", "failed", reason="crash loop"), status="failed")
    with terminal(monkeypatch, rows=12) as screen:

        async def talk(audience: LiveAudience, daemon: FakeDaemon) -> None:
            await screen.shows("mesh running, not ready")
            assert re.search(r"✗ +a40-1 +failed +crash loop", screen.text)
            assert "and 45 ready" in screen.text
            assert "a49-1" not in screen.text

        show(status(*agents), talk)


def test_the_view_without_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as screen:
        monkeypatch.setenv("NO_COLOR", "1")

        async def talk(audience: LiveAudience, daemon: FakeDaemon) -> None:
            audience.line(LogLine("geo-1", NOON, "hello"))
            await screen.shows("geo-1 | hello")
            await screen.shows("mesh ready")

        show(READY, talk)
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", screen.raw)


def test_where_there_is_a_view(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch):
        assert wants_live_view(Terminal(stderr=True), plain=False)
        assert not wants_live_view(Terminal(stderr=True), plain=True)
        monkeypatch.setenv("TERM", "dumb")
        assert not wants_live_view(Terminal(stderr=True), plain=False)
    monkeypatch.setattr(sys, "stderr", StringIO())
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert not wants_live_view(Terminal(stderr=True), plain=False)


def test_the_mesh_goes_on_when_the_terminal_has_gone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    master, slave = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(slave, "w", encoding="utf-8") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)

        async def talk(audience: LiveAudience, daemon: FakeDaemon) -> None:
            os.close(master)
            audience.line(LogLine("geo-1", NOON, "hello"))
            audience.ready()
            await asyncio.sleep(0.3)
            audience.note("something happened")
            audience.applied(Outcome(result="applied", sources={}))

        show(READY, talk)
        monkeypatch.undo()
        with contextlib.suppress(OSError):
            stderr.close()
    assert "geo.echo" in capsys.readouterr().out
