import os
import subprocess
import sys
import time
from typing import Any

import pytest

from meshd.cli.mesh import console, example_call, print_mesh
from meshd.daemon.linux import is_alive
from tests.cli.daemons import agent, instance

VIEW: dict[str, Any] = {
    "agents": [
        {
            "name": "shop",
            "namespace": "west",
            "version": "1.0.0",
            "instances": [{"endpoint": "http://127.0.0.1:1", "status": "ready"}],
            "tools": [{"name": "buy", "capability": None, "version": "1.0.0", "tags": ["[red]"]}],
            "needs": [
                {"tool": "buy", "parameter": "p", "capability": "pay", "status": "unresolved"}
                | {"providers": []}
            ],
        }
    ]
}


class FakeMesh:
    def view(self) -> dict[str, Any]:
        return VIEW

    def tool(self, agent: str, tool: str) -> dict[str, Any] | None:
        assert (agent, tool) == ("west/shop", "buy")
        return {"inputSchema": {"required": ["item", "number"]}}


def test_a_process_lives_until_it_has_ended() -> None:
    assert is_alive(os.getpid())
    process = subprocess.Popen([sys.executable, "-c", ""])
    while is_alive(process.pid):
        time.sleep(0.01)
    assert process.poll() == 0
    assert not is_alive(process.pid)


def test_the_tables_show_namespaces_and_do_not_read_markup(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_mesh(VIEW, console())
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["west/shop", "1.0.0", "ready", "http://127.0.0.1:1/mcp"] in lines
    assert ["west/shop.buy", "-", "1.0.0", "[red]"] in lines
    assert ["west/shop.buy", "(p)", "pay", "->", "unresolved"] in lines


def test_the_example_calls_a_tool_with_its_required_arguments() -> None:
    assert example_call(VIEW, FakeMesh().tool) == "meshd call west/shop.buy item=ITEM number=NUMBER"
    assert example_call({"agents": []}, FakeMesh().tool) == "meshd call AGENT.TOOL"


def test_the_tables_show_each_instance_and_agents_without_any(
    capsys: pytest.CaptureFixture[str],
) -> None:
    need = {"tool": "t", "parameter": "p", "capability": "pay", "status": "resolved"}
    providers = [{"agent": "shop", "tool": "buy", "instance": name} for name in ("s-1", "s-2")]
    mesh: dict[str, Any] = {
        "agents": [
            {**agent("geo", instance("geo-1"), instance("geo-2", "waiting")), "version": "1.0.0"}
            | {"tools": [], "needs": [{**need, "providers": providers}]},
            {**agent("idle", status="stopped"), "version": "2.0.0", "tools": [], "needs": []},
        ]
    }
    print_mesh(mesh, console())
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1:4] == [
        ["geo-1", "1.0.0", "ready", "http://127.0.0.1:4000/mcp"],
        ["geo-2", "1.0.0", "waiting", "http://127.0.0.1:4000/mcp"],
        ["idle", "2.0.0", "stopped", "-"],
    ]
    assert lines[6] == ["geo.t", "(p)", "pay", "->", "shop.buy"]
