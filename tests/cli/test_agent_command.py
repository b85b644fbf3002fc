from pathlib import Path

import pytest

from meshd.cli.app import execute
from meshd.clock import Clock
from meshd.daemon import foreground
from meshd.daemon.foreground import OnReady
from meshd.daemon.options import RunOptions
from meshd.daemon.source import Source
from meshd.diagnostics.model import Diagnostic, Severity

Output = pytest.CaptureFixture[str]

MANIFEST = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {name: quoter}
spec: {tools: [{callable: "shlex:quote"}]}
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "quoter.yaml"
    path.write_text(MANIFEST, encoding="utf-8")
    return path


def test_an_agent_in_the_foreground(
    manifest: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[list[Path], str, RunOptions]] = []

    async def run_agent(
        source: Source, name: str, options: RunOptions, on_ready: OnReady, clock: Clock
    ) -> int | None:
        assert clock.monotonic() > 0
        heard.append((list(source.paths), name, options))
        warning = Diagnostic(code="M301", severity=Severity.WARNING, message="it is odd")
        view = {"id": "quoter-1", "endpoint": "http://127.0.0.1:4000", "status": "ready"}
        on_ready([view], (warning,))
        return 2

    monkeypatch.setattr(foreground, "run_agent", run_agent)
    monkeypatch.setenv("MCP_MESH_REGISTRY_URL", "http://elsewhere:8000/")
    monkeypatch.delenv("MESHD_NODE", raising=False)
    words = ["agent", "run", "quoter", "-f", str(manifest), "other", "-f", "third"]
    words += ["--join", "http://here:8000/", "--grace", "3s", "--insecure"]
    assert execute(words) == 130
    options = RunOptions(
        grace_seconds=3,
        registry="http://here:8000",
        registry_url="http://elsewhere:8000",
        insecure=True,
    )
    assert heard == [([manifest, Path("other"), Path("third")], "quoter", options)]
    assert capsys.readouterr() == (
        "",
        (
            "warning[M301]: it is odd\n\n1 warning\n"
            "quoter-1:  ready  http://127.0.0.1:4000/mcp\nstop:      Ctrl-C\nstopped\n"
        ),
    )


def test_an_agent_that_no_manifest_describes(manifest: Path, capsys: Output) -> None:
    assert execute(["agent", "run", "quotr", "-f", str(manifest)]) == 1
    assert capsys.readouterr().err == (
        "error: no manifest describes an agent `quotr`\nhint: did you mean `quoter`?\n"
    )


def test_an_agent_of_broken_manifests(manifest: Path, capsys: Output) -> None:
    manifest.write_text(MANIFEST.replace("tools", "tols"), encoding="utf-8")
    assert execute(["agent", "run", "quoter", "-f", str(manifest)]) == 1
    assert "did you mean `tools`?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["agent"], "the following arguments are required: COMMAND"),
        (["agent", "rn"], "`rn` is not a command"),
        (["agent", "run", "x"], "the following arguments are required: -f/--file"),
        (["agent", "run", "-f", "x"], "the following arguments are required: NAME"),
        (["restart"], "the following arguments are required: AGENT"),
        (["logs", "-n", "x"], "argument -n/--lines: invalid int value: 'x'"),
        (["staus"], "`staus` is not a command"),
        (["reload", "now"], "`now` is not an option here"),
    ],
)
def test_command_lines_that_cannot_be_understood(
    words: list[str], message: str, capsys: Output
) -> None:
    assert execute(words) == 64
    assert capsys.readouterr().err.splitlines()[0] == f"error: {message}"
