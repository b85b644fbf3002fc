"""Commands in this process: what they print where, and their exit statuses."""

import json
from pathlib import Path

import pytest

from meshd import __version__
from meshd.cli import app
from meshd.cli.app import execute
from meshd.errors import CallTimedOut, MeshdError, NotReachable

AGENT = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {name: greeter}
spec:
  description: ${env:GREETING:-Says hello}
  tools:
    - callable: greeter.words:greet
      capability: greeting
      call: {timeout: 3s}
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "greeter.yaml"
    path.write_text(AGENT, encoding="utf-8")
    return path


Output = pytest.CaptureFixture[str]


def test_a_valid_manifest(manifest: Path, capsys: Output) -> None:
    assert execute(["validate", str(manifest)]) == 0
    assert capsys.readouterr() == ("", "valid: 1 agent, 1 tool\n")


def test_a_valid_manifest_as_json(manifest: Path, capsys: Output) -> None:
    assert execute(["validate", str(manifest), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"diagnostics": []}


def test_an_invalid_manifest(manifest: Path, capsys: Output) -> None:
    manifest.write_text(AGENT.replace("capability:", "capabilty:"), encoding="utf-8")
    assert execute(["validate", str(manifest)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert f"--> {manifest}:8:7" in err
    assert "did you mean `capability`?" in err


def test_an_invalid_manifest_as_json(manifest: Path, capsys: Output) -> None:
    manifest.write_text(AGENT.replace("capability:", "capabilty:"), encoding="utf-8")
    assert execute(["validate", str(manifest), "--format", "json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)["diagnostics"]
    assert found.keys() >= {"code", "severity", "message", "file", "line", "column", "hint"}
    assert (found["file"], found["line"], found["column"]) == (str(manifest), 8, 7)


def test_inputs(manifest: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GREETING", raising=False)
    assert execute(["inputs", str(manifest)]) == 0
    line = capsys.readouterr().out
    assert line.split() == ["env", "GREETING", "default", "('Says", "hello')", f"{manifest}:5:16"]
    monkeypatch.setenv("GREETING", "Hi")
    assert execute(["inputs", str(manifest), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "inputs": [
            {
                "kind": "env",
                "name": "GREETING",
                "default": "Says hello",
                "required": False,
                "set": True,
                "file": str(manifest),
                "line": 5,
                "column": 16,
            }
        ]
    }


def test_explain(manifest: Path, capsys: Output) -> None:
    assert execute(["explain", "greeter.greet", str(manifest)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["capability", '"greeting"', f"{manifest}:8"] in lines
    assert ["version", '"1.0.0"', "default"] in lines


def test_explain_as_json(manifest: Path, capsys: Output) -> None:
    assert execute(["explain", "greeter.greet", str(manifest), "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["tool"] == "greeter.greet"
    capability = {
        "name": "capability",
        "value": "greeting",
        "origin": {"file": str(manifest), "line": 8},
    }
    assert capability in told["settings"]


@pytest.mark.parametrize(
    ("tool", "message"),
    [
        ("greter.greet", "no agent `greter` in these manifests; did you mean `greeter`?"),
        ("greeter.greets", "agent `greeter` has no tool `greets`; did you mean `greet`?"),
        ("greeter", "`greeter` does not name a tool: write `agent.tool`"),
    ],
)
def test_explain_of_what_is_not_there(
    manifest: Path, capsys: Output, tool: str, message: str
) -> None:
    assert execute(["explain", tool, str(manifest)]) == 1
    assert capsys.readouterr().err == f"error: {message}\n"


def test_explain_of_broken_manifests(manifest: Path, capsys: Output) -> None:
    manifest.write_text("kind: Agent\n", encoding="utf-8")
    assert execute(["explain", "greeter.greet", str(manifest)]) == 1
    assert "error[M1" in capsys.readouterr().err


def test_schema(capsys: Output) -> None:
    assert execute(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["$schema"].startswith("https://json-schema.org/")


def test_version(capsys: Output) -> None:
    assert execute(["--version"]) == 0
    assert capsys.readouterr().out == f"meshd {__version__}\n"


def test_help_names_every_command(capsys: Output) -> None:
    assert execute(["--help"]) == 0
    out = capsys.readouterr().out
    talking = ("list", "status", "logs", "call", "wait", "reload", "restart", "stop")
    commands = ("run", "validate", "inputs", "explain", "schema", "agent", "registry", *talking)
    assert all(f"\n    {command} " in out for command in commands)
    assert execute(["run", "--help"]) == 0
    assert "--detached" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ([], "the following arguments are required: COMMAND", "see `meshd --help`"),
        (["validte", "x"], "`validte` is not a command", "did you mean `validate`?"),
        (["list", "--format", "jsn"], "`jsn` is not a value of `--format`", "did you mean `json`?"),
        (["list", "--format", "x"], "`x` is not a value of `--format`", "known: text, json"),
        (["list", "--stat-dir", "x"], "`--stat-dir` is not an option here", None),
        (["stop", "now"], "`now` is not an option here", None),
        (["call"], "the following arguments are required: TOOL, KEY=VALUE", None),
    ],
)
def test_a_command_line_that_cannot_be_understood(
    capsys: Output, words: list[str], message: str, hint: str | None
) -> None:
    assert execute(words) == 64
    told = capsys.readouterr().err.splitlines()
    assert told[0] == f"error: {message}"
    if hint is not None:
        assert told[1] == f"hint: {hint}"


@pytest.mark.parametrize(
    "words", [["list"], ["status"], ["stop"], ["reload"], ["restart", "a"], ["call", "a.b"]]
)
def test_without_a_daemon(tmp_path: Path, capsys: Output, words: list[str]) -> None:
    assert execute([*words, "--state-dir", str(tmp_path)]) == 4
    assert capsys.readouterr().err == (
        f"error: no daemon runs with the state directory `{tmp_path}`\n"
        "hint: start one with `meshd run`, or name its `--state-dir`\n"
    )


@pytest.mark.parametrize("words", [["call", "a.b", "--timeout", "3"], ["stop", "--timeout", "x"]])
def test_a_duration_without_unit(capsys: Output, words: list[str]) -> None:
    assert execute(words) == 1
    assert "`--timeout`: " in capsys.readouterr().err


def test_exit_statuses_of_errors() -> None:
    assert app.status_of(NotReachable("gone")) == 4
    assert app.status_of(CallTimedOut("late")) == 3
    assert app.status_of(MeshdError("wrong")) == 1


def test_a_defect_of_meshd_says_so(
    manifest: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise ZeroDivisionError("nobody foresaw this")

    monkeypatch.setattr("meshd.cli.validate.validate", broken)
    assert execute(["validate", str(manifest)]) == 70
    told = capsys.readouterr().err
    assert "ZeroDivisionError: nobody foresaw this" in told
    assert "error: this is a defect in meshd" in told


@pytest.mark.parametrize(
    ("raised", "status"), [(KeyboardInterrupt(), 130), (MeshdError("wrong"), 1)]
)
def test_other_ends(
    manifest: Path, monkeypatch: pytest.MonkeyPatch, raised: BaseException, status: int
) -> None:
    def broken(*_: object) -> int:
        raise raised

    monkeypatch.setattr("meshd.cli.validate.validate", broken)
    assert execute(["validate", str(manifest)]) == status


def test_run_reports_broken_manifests(tmp_path: Path, manifest: Path, capsys: Output) -> None:
    manifest.write_text(AGENT + "  colour: red\n", encoding="utf-8")
    assert execute(["run", str(manifest), "--state-dir", str(tmp_path / "state")]) == 1
    assert "unknown" in capsys.readouterr().err
    assert not (tmp_path / "state" / "admin.sock").exists()


def test_run_reports_callables_that_cannot_be_loaded(
    tmp_path: Path, manifest: Path, capsys: Output
) -> None:
    assert execute(["run", str(manifest), "--state-dir", str(tmp_path / "state")]) == 1
    told = capsys.readouterr().err
    assert "error[M211]: `greeter.words` is not allowed to be imported" in told
    assert f"--> {manifest}:7:17" in told


def test_run_with_a_grace_that_is_no_duration(manifest: Path, capsys: Output) -> None:
    assert execute(["run", str(manifest), "--grace", "soon"]) == 1
    assert "`--grace`" in capsys.readouterr().err


def test_output_has_no_colour_for_files_and_pipes(manifest: Path, capsys: Output) -> None:
    manifest.write_text("kind: Agent\n", encoding="utf-8")
    execute(["validate", str(manifest)])
    assert "\x1b" not in capsys.readouterr().err


def test_a_registry_that_cannot_be_served(capsys: Output) -> None:
    assert execute(["registry", "serve", "--store", "redis://x"]) == 1
    assert capsys.readouterr().err == (
        "error: `redis://x` names no store\nhint: use `sqlite:///PATH`, or `memory`\n"
    )


@pytest.mark.parametrize("words", [["registry"], ["registry", "serv"], ["registry", "serve", "x"]])
def test_a_registry_command_that_is_none(words: list[str], capsys: Output) -> None:
    assert execute(words) == 64
    assert "error: " in capsys.readouterr().err
