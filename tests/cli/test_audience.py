import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from meshd.cli import audience as module
from meshd.cli.audience import PlainAudience
from meshd.cli.output import say
from meshd.clock import SystemClock
from meshd.daemon.generations import Outcome
from meshd.daemon.log_lines import LogLine
from meshd.daemon.source import Source
from meshd.daemon.stages import Stages
from meshd.diagnostics.model import Diagnostic, Severity
from meshd.plan.diff import ProcessChanges
from tests.cli.daemons import FakeDaemon, agent, instance, status

Output = pytest.CaptureFixture[str]

LINE = LogLine("geo-1", datetime(2026, 1, 1, tzinfo=UTC), "hello")
READY = status(agent("geo", instance("geo-1")))
STARTING = status(
    agent("geo", instance("geo-1")), agent("text", status="starting", replicas=1), phase="starting"
)


def audience(*, detached: bool = False) -> PlainAudience:
    stages = Stages(SystemClock())
    return PlainAudience(Source((), (), {}), stages, Path(".meshd"), detached=detached)


async def begun(told: PlainAudience, daemon: FakeDaemon, seconds: float = 0) -> None:
    told.begins(daemon)
    await asyncio.sleep(seconds)
    told.ready()
    told.line(LINE)
    told.close()


def test_lines_notes_and_the_mesh(capsys: Output) -> None:
    told = audience()
    told.line(LINE)
    told.note("something happened")
    told.changed()
    asyncio.run(begun(told, FakeDaemon(READY)))
    out, err = capsys.readouterr()
    assert err == "geo-1 | hello\nmeshd: something happened\ngeo-1 | hello\n"
    assert "call a tool:  meshd call geo.echo word=WORD\n" in out
    assert "stop:         Ctrl-C, or `meshd stop`\n" in out


def test_detached_lines_end_when_the_mesh_is_ready(capsys: Output) -> None:
    told = audience(detached=True)
    assert told.before_begin == ""
    told.line(LINE)
    asyncio.run(begun(told, FakeDaemon(READY)))
    assert capsys.readouterr().err == "geo-1 | hello\n"


def test_a_start_that_takes_long_says_what_is_missing(
    capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENT_SECONDS", 0.02)
    monkeypatch.setattr(module, "REMIND_SECONDS", 0.05)
    told = audience()
    assert told.before_begin == "checking the manifests …"
    asyncio.run(begun(told, FakeDaemon(STARTING), 0.1))
    assert told.before_begin == ""
    assert capsys.readouterr().err == (
        "starting 2 agents …\nstill starting: `text` is starting\ngeo-1 | hello\n"
    )


def test_what_came_of_a_reload(capsys: Output) -> None:
    warning = Diagnostic(code="M301", severity=Severity.WARNING, message="it is odd")
    outcome = Outcome(
        result="applied",
        diagnostics=(warning,),
        sources={},
        changes=ProcessChanges(started=("geo",)),
    )
    audience().applied(outcome)
    assert capsys.readouterr().err == (
        "warning[M301]: it is odd\n\n1 warning\nmeshd: started geo\nmeshd: reload: applied\n"
    )


class Gone:
    """A standard error that nobody reads any more."""

    def isatty(self) -> bool:
        return False

    def write(self, _: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


def test_the_mesh_goes_on_when_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    told = audience()
    monkeypatch.setattr(sys, "stderr", Gone())
    told.note("something happened")
    told.line(LINE)
    told.applied(Outcome(result="applied", sources={}))
    with pytest.raises(BrokenPipeError):
        say("this is what would happen")
