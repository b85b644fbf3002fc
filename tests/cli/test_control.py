import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from meshd.cli.app import execute
from meshd.daemon.client import AdminClient
from meshd.errors import DaemonError
from tests.cli.daemons import FakeDaemon, agent, answering, instance, status

Output = pytest.CaptureFixture[str]

OUTCOME: dict[str, Any] = {
    "result": "applied",
    "diagnostics": [],
    "report": "",
    "changes": {"started": ["geo"], "restarted": {"shop": ["a Python file changed"]}},
}


@pytest.fixture
def daemon() -> FakeDaemon:
    return FakeDaemon(status(agent("planner", instance("planner-1"), namespace="west")))


def give(state: Path, daemon: FakeDaemon, *words: str) -> int:
    with answering(state, daemon):
        return execute([*words, "--state-dir", str(state)])


def test_reload_says_what_it_changed(tmp_path: Path, daemon: FakeDaemon, capsys: Output) -> None:
    daemon.outcome = OUTCOME
    assert give(tmp_path, daemon, "reload") == 0
    assert capsys.readouterr() == (
        "",
        "started geo\nrestarted shop (a Python file changed)\nreload: applied\n",
    )


def test_reload_as_json(tmp_path: Path, daemon: FakeDaemon, capsys: Output) -> None:
    daemon.outcome = OUTCOME
    assert give(tmp_path, daemon, "reload", "--format", "json") == 0
    assert json.loads(capsys.readouterr().out) == OUTCOME


@pytest.mark.parametrize(
    ("result", "expected"),
    [("unchanged", 0), ("invalid", 1), ("partly applied", 1)],
)
def test_reload_prints_the_report(
    tmp_path: Path, daemon: FakeDaemon, capsys: Output, result: str, expected: int
) -> None:
    daemon.outcome = {"result": result, "diagnostics": [], "report": "a\nb", "changes": {}}
    assert give(tmp_path, daemon, "reload") == expected
    assert capsys.readouterr().err == f"a\nb\n\nreload: {result}\n"


def test_a_reload_that_is_refused(tmp_path: Path, daemon: FakeDaemon, capsys: Output) -> None:
    daemon.outcome = DaemonError("not in one process", "start it again")
    assert give(tmp_path, daemon, "reload") == 1
    assert capsys.readouterr().err == "error: not in one process\nhint: start it again\n"


def test_a_reload_that_comes_too_early(tmp_path: Path, daemon: FakeDaemon, capsys: Output) -> None:
    daemon.outcome = {"result": "starting", "diagnostics": [], "report": "", "changes": {}}
    assert give(tmp_path, daemon, "reload") == 1
    assert capsys.readouterr().err == (
        "error: the mesh is still starting\nhint: wait for it with `meshd wait`\n"
    )


def test_a_reload_that_takes_long_says_so(
    tmp_path: Path, daemon: FakeDaemon, capsys: Output
) -> None:
    daemon.outcome = {**OUTCOME, "changes": {}}
    daemon.delay_seconds = 1.2
    assert give(tmp_path, daemon, "reload") == 0
    assert capsys.readouterr().err == "reloading …\nreload: applied\n"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (["west--planner-1", "west--planner-2"], "restarted west--planner-1, west--planner-2\n"),
        ([], "agent `west/planner` has no instances\n"),
    ],
)
def test_restart(
    tmp_path: Path, daemon: FakeDaemon, capsys: Output, answer: list[str], told: str
) -> None:
    daemon.restarts["west/planner"] = answer
    assert give(tmp_path, daemon, "restart", "west/planner") == 0
    assert capsys.readouterr() == ("", told)


def test_restart_knows_the_default_namespace(
    tmp_path: Path, daemon: FakeDaemon, capsys: Output
) -> None:
    daemon.restarts["geo"] = ["geo-1"]
    assert give(tmp_path, daemon, "restart", "default/geo") == 0
    assert capsys.readouterr().err == "restarted geo-1\n"


def test_restart_of_an_agent_that_is_not_there(
    tmp_path: Path, daemon: FakeDaemon, capsys: Output
) -> None:
    assert give(tmp_path, daemon, "restart", "west/planer") == 1
    assert capsys.readouterr().err == (
        "error: no agent `west/planer` runs here; did you mean `west/planner`?\n"
    )


def test_a_restart_that_is_refused(tmp_path: Path, daemon: FakeDaemon, capsys: Output) -> None:
    daemon.restarts["west/planner"] = DaemonError("it died before it was ready", "see its log")
    assert give(tmp_path, daemon, "restart", "west/planner") == 1
    assert capsys.readouterr().err == "error: it died before it was ready\nhint: see its log\n"


def test_stop_waits_for_the_end(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.1)"])

    def stopped(_: AdminClient) -> int:
        return process.pid

    monkeypatch.setattr(AdminClient, "stop", stopped)
    assert execute(["stop", "--state-dir", str(tmp_path)]) == 0
    assert process.wait() == 0
    assert capsys.readouterr().err == f"stopped (process {process.pid})\n"


def test_stop_gives_up(tmp_path: Path, daemon: FakeDaemon, capsys: Output) -> None:
    assert give(tmp_path, daemon, "stop", "--timeout", "100ms") == 3
    assert daemon.is_stopped
    assert "has not ended within 100ms" in capsys.readouterr().err
