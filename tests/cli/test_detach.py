"""`meshd run --detach`, with daemons that are small programs."""

import os
import signal
import sys
from pathlib import Path

import pytest

from meshd.cli import detach
from meshd.cli.app import execute
from meshd.daemon.linux import is_alive
from meshd.daemon.state import StateDirectory

Output = pytest.CaptureFixture[str]

pytestmark = pytest.mark.timeout(20)

DAEMON = """
import signal, sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.cli.daemons import FakeDaemon, agent, answering, instance, status
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
phase = {phase!r}
with answering(Path({state!r}), FakeDaemon(status(agent("geo", instance("geo-1")), phase=phase))):
    print("the daemon's own words", flush=True)
    while not ended:
        time.sleep(0.02)
"""


def daemon_is(monkeypatch: pytest.MonkeyPatch, program: str) -> list[list[str]]:
    """Let this program be the daemon; return the command lines that it was given."""
    given: list[list[str]] = []

    def command(words: tuple[str, ...]) -> list[str]:
        given.append(list(words))
        return [sys.executable, "-c", program]

    monkeypatch.setattr(detach, "daemon_command", command)
    return given


def served(state: Path, phase: str = "running") -> str:
    root = str(Path(__file__).parents[2])
    return DAEMON.format(root=root, state=str(state), phase=phase)


def test_a_mesh_is_left_running(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    given = daemon_is(monkeypatch, served(state))
    words = ["run", "x.yaml", "--detach", "--state-dir", str(state)]
    assert execute(words) == 0
    assert given == [words]
    out = capsys.readouterr().out
    pid = int(out.partition("running:      process ")[2].partition(",")[0])
    try:
        lines = [line.split() for line in out.splitlines()]
        assert ["geo", "1.0.0", "ready", "http://127.0.0.1:4000/mcp"] in lines
        assert f"call a tool:  meshd call geo.echo word=WORD --state-dir {state}" in out
        assert f"stop:         `meshd stop --state-dir {state}`" in out
        assert (state / "daemon.log").read_text() == "the daemon's own words\n"
        assert (state / "daemon.log").stat().st_mode & 0o777 == 0o600
        assert is_alive(pid)
        assert os.getsid(pid) == pid
        # A second one is refused as it would be without `--detach`, and writes over nothing.
        assert execute(words) == 1
        error = f"error: a daemon (process {pid}) already runs with the state directory `{state}`"
        assert capsys.readouterr().err.startswith(error)
        assert (state / "daemon.log").read_text() == "the daemon's own words\n"
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)


def test_a_daemon_that_cannot_start(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon_is(monkeypatch, "import sys; print('error: it is wrong'); sys.exit(1)")
    assert execute(["run", "x.yaml", "--detach", "--state-dir", str(tmp_path)]) == 1
    assert capsys.readouterr() == ("", "error: it is wrong\n")


def test_a_daemon_that_is_killed(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon_is(monkeypatch, "import os; os.kill(os.getpid(), 9)")
    assert execute(["run", "x.yaml", "--detach", "--state-dir", str(tmp_path)]) == 137
    assert capsys.readouterr() == ("", "the daemon was killed by signal 9\n")


def test_who_stops_waiting_stops_the_daemon(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon_is(monkeypatch, served(tmp_path, phase="starting"))

    def interrupt(text: str) -> None:
        if text == "starting 1 agent …":
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(detach, "say", interrupt)
    assert execute(["run", "x.yaml", "--detach", "--state-dir", str(tmp_path)]) == 130
    # Nobody holds the state directory any more.
    with StateDirectory(tmp_path).held():
        pass


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("run", "a", "--detach", "-v"), ["run", "a", "--detached", "-v"]),
        (
            ("run", "--state-dir", "s", "--detach", "a"),
            ["run", "--state-dir", "s", "--detached", "a"],
        ),
    ],
)
def test_the_command_of_the_daemon(words: tuple[str, ...], expected: list[str]) -> None:
    command = detach.daemon_command(words)
    assert command[:4] == [sys.executable, "-P", "-m", "meshd"]
    assert command[4:] == expected


def test_a_grace_that_is_none_starts_nothing(tmp_path: Path, capsys: Output) -> None:
    words = ["run", "x", "--detach", "--grace", "soon", "--state-dir", str(tmp_path / "s")]
    assert execute(words) == 1
    assert "`--grace`" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()
