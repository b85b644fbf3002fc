"""The whole command line against a mesh that `meshd run` serves in this process."""

import gc
import json
import logging
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from meshd.cli.app import execute
from meshd.cli.standing import missing
from meshd.clock import SystemClock
from meshd.daemon.client import AdminClient
from meshd.errors import NotReachable

pytestmark = pytest.mark.timeout(30)

SOURCE = """
async def greet(name: str, polite: bool = False, words=None) -> str:
    if name == "nobody":
        raise LookupError("there is nobody")
    word = await words(polite=polite) if words else "Hi"
    return f"{word} {name}"

def word(polite: bool = False) -> str:
    return "Good day" if polite else "Hello"

def echo(value: str):
    return {"value": value}

async def wait() -> None:
    import asyncio
    await asyncio.sleep(60)

def count(to: int):
    yield from range(to)
"""
MANIFEST = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {name: greeter}
spec:
  python: {path: .}
  tools:
    - callable: sample_of_cli:greet
      needs: {words: {capability: words, required: true}}
    - {callable: "sample_of_cli:echo"}
    - {callable: "sample_of_cli:wait"}
    - {callable: "sample_of_cli:count"}
---
apiVersion: meshd.dev/v1
kind: Agent
metadata: {name: words, namespace: other}
spec:
  python: {path: .}
  tools:
    - {callable: "sample_of_cli:word", capability: words}
"""


@dataclass
class Session:
    """Commands to give while the mesh runs, and what came of them."""

    state: Path
    commands: list[list[str]]
    lacking: list[str] = field(default_factory=list[str])
    """What the mesh lacks when the commands are given."""
    statuses: list[int] = field(default_factory=list[int])
    errors: list[BaseException] = field(default_factory=list[BaseException])

    def drive(self) -> None:
        """Wait for the mesh, give the commands, stop the mesh."""
        admin = AdminClient(self.state)
        try:
            wait_until_ready(admin, self.lacking)
            self.statuses = [
                execute([*words, "--state-dir", str(self.state)]) for words in self.commands
            ]
        except BaseException as error:  # noqa: BLE001  (the test must hear of it, and the mesh end)
            self.errors.append(error)
        finally:
            admin.stop()


def wait_until_ready(admin: AdminClient, allowed: list[str]) -> None:
    waiting = threading.Event()
    deadline = SystemClock().monotonic() + 20
    while SystemClock().monotonic() < deadline:
        try:
            if missing(admin.status()) == allowed:
                return
        except NotReachable:
            pass
        waiting.wait(0.05)
    raise TimeoutError


@pytest.fixture(autouse=True)
def _forget_what_a_run_changes(monkeypatch: pytest.MonkeyPatch) -> Generator[None, None, None]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "sample_of_cli", raising=False)
    handlers, thresholds = list(logging.root.handlers), gc.get_threshold()
    yield
    logging.root.handlers[:] = handlers
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@contextmanager
def driven(session: Session) -> Generator[None, None, None]:
    thread = threading.Thread(target=session.drive)
    thread.start()
    yield
    thread.join()
    assert session.errors == []


def run(tmp_path: Path, commands: list[list[str]], *options: str) -> list[int]:
    (tmp_path / "sample_of_cli.py").write_text(SOURCE, encoding="utf-8")
    manifest = tmp_path / "mesh.yaml"
    if not manifest.exists():
        manifest.write_text(MANIFEST.replace(", namespace: other", ""), encoding="utf-8")
    lacking = ["`greeter` waits for `words`"] if "--allow-unresolved" in options else []
    session = Session(tmp_path / "state", commands, lacking)
    words = [
        "run",
        "--in-process",
        str(manifest),
        "--registry-port",
        "0",
        "--grace",
        "1s",
        *options,
    ]
    words += ["--state-dir", str(session.state)]
    with driven(session):
        assert execute(words) == 0
    return session.statuses


Output = pytest.CaptureFixture[str]


def test_run_prints_the_mesh_and_how_to_call_it(tmp_path: Path, capsys: Output) -> None:
    assert run(tmp_path, [["list"]]) == [0]
    out, err = capsys.readouterr()
    lines = [line.split() for line in out.splitlines()]
    assert ["greeter.greet", "-", "1.0.0"] in lines
    assert ["words.word", "words", "1.0.0"] in lines
    assert ["greeter.greet", "(words)", "words", "->", "words.word"] in lines
    assert f"call a tool:  meshd call greeter.greet name=NAME --state-dir {tmp_path}/state" in out
    assert all(f"{stage} " in out for stage in ("collect", "configure", "serve"))
    assert err.endswith("stopped\n")


def test_calls(tmp_path: Path, capsys: Output) -> None:
    commands = [
        ["call", "greeter.greet", "name=Ada"],
        ["call", "greeter.greet", "name=7", "polite=true"],
        ["call", "default/greeter.greet", "--json", '{"name": "Ada"}', "--format", "json"],
        ["call", "greeter.echo", 'value={"not": "json"}'],
        ["call", "greeter.echo", "--format", "json", "value=late"],
        ["call", "greeter.count", "to=2"],
    ]
    assert run(tmp_path, commands) == [0] * 6
    out, err = capsys.readouterr()
    answers = out[out.index("stop:") :].partition("\n")[2]
    assert answers == (
        "Hello Ada\n"
        "Good day 7\n"
        '"Hello Ada"\n'
        '{\n  "value": "{\\"not\\": \\"json\\"}"\n}\n'
        '{\n  "value": "late"\n}\n'
        "[\n  0,\n  1\n]\n"
    )
    assert err.startswith("0\n1\n")


def test_calls_that_fail(tmp_path: Path, capsys: Output) -> None:
    commands = [
        ["call", "greeter.greet", "name=nobody"],
        ["call", "greeter.greet", "nam=Ada"],
        ["call", "greter.greet"],
        ["call", "greeter.gret"],
        ["call", "greet"],
        ["call", "greeter.greet", "Ada"],
        ["call", "greeter.greet", "--json", "Ada"],
        ["call", "greeter.greet", "--json", "[1]"],
        ["call", "greeter.wait", "--timeout", "50ms"],
    ]
    assert run(tmp_path, commands) == [1, 1, 1, 1, 1, 1, 1, 1, 3]
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert errors == [
        "error: `greeter.greet` failed: LookupError: there is nobody",
        (
            "error: `greeter.greet` failed: arguments rejected: `nam` is not a parameter (did "
            "you mean `name`?); `name` is missing"
        ),
        "error: no agent `greter` runs here; did you mean `greeter`?",
        "error: agent `greeter` has no tool `gret`; did you mean `greet`?",
        "error: `greet` does not name a tool: write `agent.tool`",
        "error: `Ada` is not an argument: write `key=value`",
        "error: `--json` is not JSON: Expecting value: line 1 column 1 (char 0)",
        'error: `--json` must be an object, such as \'{"city": "Oslo"}\'',
        "error: `greeter.wait` did not answer within 50ms",
    ]


def test_list_as_json_is_the_documented_shape(tmp_path: Path, capsys: Output) -> None:
    assert run(tmp_path, [["list", "--format", "json"]]) == [0]
    out = capsys.readouterr().out
    listed = json.loads(out[out.index("\n{") :])
    assert [agent["name"] for agent in listed["agents"]] == ["greeter", "words"]
    assert listed["registry"]["status"] == "ready"
    (need,) = listed["agents"][0]["needs"]
    (provider,) = need["providers"]
    assert need["status"] == "resolved"
    assert provider["endpoint"] == listed["agents"][1]["instances"][0]["endpoint"]


def test_a_need_finds_no_provider_in_another_namespace(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "mesh.yaml").write_text(MANIFEST, encoding="utf-8")
    calls = [["call", "greeter.greet", "name=Ada"], ["call", "other/words.word"]]
    assert run(tmp_path, calls, "--allow-unresolved", "-v") == [1, 0]
    out, err = capsys.readouterr()
    assert "warning[M301]" in err
    assert "failed: `greet` needs `words`, which nothing in the mesh provides" in err
    assert out.endswith("Hello\n")


def test_two_meshes_cannot_have_one_state_directory(tmp_path: Path, capsys: Output) -> None:
    manifest = str(tmp_path / "mesh.yaml")
    assert run(tmp_path, [["run", manifest]]) == [1]
    assert "already runs with the state directory" in capsys.readouterr().err
