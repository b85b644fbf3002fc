"""The Inspector's command line, an MCP client in another language, in both protocol eras."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.mesh import Mesh
from tests.e2e.wire import ERAS, LEGACY, MODERN, Era
from tests.tools.node import npm_program

pytestmark = pytest.mark.e2e
FAILED = 5
"""The Inspector's exit status for a tool that fails or does not exist."""


def inspector(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*npm_program("inspector"), "--cli", *arguments, "--format", "json"],
        check=False,
        capture_output=True,
        text=True,
        timeout=50,
        env={**os.environ, "MCP_INSPECTOR_SECRET_STORE": "memory"},
    )


class Inspector:
    """The Inspector with a configuration for one server and era."""

    def __init__(self, url: str, era: Era, folder: Path) -> None:
        entry = {"type": "streamable-http", "url": url, "protocolEra": era}
        self._config = folder / "mcp.json"
        self._config.write_text(json.dumps({"mcpServers": {"agent": entry}}))

    def run(self, method: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        config = ("--config", str(self._config), "--server", "agent")
        return inspector(*config, "--method", method, *arguments)

    def result(self, method: str, *arguments: str) -> dict[str, Any]:
        done = self.run(method, *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["result"]


@pytest.fixture(params=ERAS)
def probe(request: pytest.FixtureRequest, probe_mesh: Mesh, tmp_path: Path) -> Inspector:
    return Inspector(probe_mesh.mcp("probe"), request.param, tmp_path)


@pytest.mark.parametrize(("era", "version"), [("modern", MODERN), ("legacy", LEGACY)])
def test_the_era_is_what_was_asked_for(
    probe_mesh: Mesh, tmp_path: Path, era: Era, version: str
) -> None:
    told = Inspector(probe_mesh.mcp("probe"), era, tmp_path).result("initialize")

    assert told["protocolVersion"] == version
    assert told["serverInfo"]["version"] == "2.3.4"
    assert told["instructions"] == "Shows what reaches a client."


def test_the_inspector_lists_tools_without_complaint(probe: Inspector) -> None:
    done = probe.run("tools/list", "--strict")

    assert done.returncode == 0, done.stderr
    names = [tool["name"] for tool in json.loads(done.stdout)["result"]["tools"]]
    assert names[:3] == ["add", "value_of", "text_of"]


def test_the_inspector_calls_a_tool(probe: Inspector) -> None:
    answer = probe.result("tools/call", "--tool-name", "add", "--tool-arg", "a=2", "b=3")

    assert answer["structuredContent"] == {"result": 5}
    assert answer["content"] == [{"type": "text", "text": "5"}]
    assert not answer.get("isError", False)


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [("fail", ["reason=no luck"], "no luck"), ("no_such_tool", [], "no_such_tool")],
)
def test_the_inspector_sees_errors(
    probe: Inspector, tool: str, arguments: list[str], said: str
) -> None:
    given = ["--tool-arg", *arguments] if arguments else []
    done = probe.run("tools/call", "--tool-name", tool, *given)

    assert done.returncode == FAILED
    assert said in done.stdout + done.stderr


def test_the_inspector_reads_a_resource_and_a_prompt(probe: Inspector) -> None:
    read = probe.result("resources/read", "--uri", "probe://squares/7")
    made = probe.result("prompts/get", "--prompt-name", "ask_about", "--prompt-args", "topic=ebb")

    assert [entry["text"] for entry in read["contents"]] == ['{"square": 49}']
    assert [entry["content"]["text"] for entry in made["messages"]] == [
        "What do you know about ebb?"
    ]


def test_the_address_alone_is_enough(probe_mesh: Mesh) -> None:
    done = inspector(
        probe_mesh.mcp("caller"), "--transport", "http", "--method", "tools/call",
        "--tool-name", "add_three", "--tool-arg", "a=1", "b=2", "c=3",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["structuredContent"] == {"result": 6}
