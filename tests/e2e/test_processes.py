"""Which process an agent runs in, and what it finds there."""

from pathlib import Path

import pytest

from tests.e2e.mesh import Mesh, meshd, running_mesh, start
from tests.e2e.mesh import kill as end
from tests.e2e.project import call, instance, shop, until
from tests.e2e.test_supervision import resolved

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
SECRET = "e2e-only-for-prices"  # noqa: S105
ENVIRONMENT_MODULE = """\
import os


def variable(name: str) -> str:
    return os.environ.get(name, "unset")
"""


def with_spec(project: Path, agent: str, line: str) -> None:
    """Add a line to the spec of one agent."""
    manifest = project / f"{agent}.yaml"
    manifest.write_text(manifest.read_text().replace("  python:", f"  {line}\n  python:"))


def connections_to(endpoint: str) -> int:
    """Return how many connections to a local port are established."""
    port = f":{int(endpoint.rpartition(':')[2]):04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    fields = (line.split() for line in lines)
    return sum(entry[2].endswith(port) and entry[3] == "01" for entry in fields)


def test_agents_with_one_process_share_it_and_call_each_other_in_it(tmp_path: Path) -> None:
    project = shop(tmp_path)
    for agent in ("shop", "prices"):
        with_spec(project, agent, "process: all")
    with running_mesh(project, folder=tmp_path) as mesh:
        until(lambda: resolved(mesh))
        shop_1, prices_1 = instance(mesh, "shop-1"), instance(mesh, "prices-1")
        assert shop_1["pid"] == prices_1["pid"] != mesh.process.pid
        assert shop_1["endpoint"] != prices_1["endpoint"]
        assert call(shop_1["endpoint"], "order", item="tea") == "tea costs 3 EUR"
        assert connections_to(prices_1["endpoint"]) == 0


def test_agents_in_two_processes_call_each_other_over_one_kept_connection(tmp_path: Path) -> None:
    project = shop(tmp_path)
    with running_mesh(project, folder=tmp_path) as mesh:
        until(lambda: resolved(mesh))
        shop_1, prices_1 = instance(mesh, "shop-1"), instance(mesh, "prices-1")
        assert len({shop_1["pid"], prices_1["pid"], mesh.process.pid}) == 3
        for _ in range(5):
            assert call(shop_1["endpoint"], "order", item="tea") == "tea costs 3 EUR"
        assert connections_to(prices_1["endpoint"]) == 1


def test_in_one_process_there_is_no_other(tmp_path: Path) -> None:
    with running_mesh(shop(tmp_path), folder=tmp_path, options=("--in-process",)) as mesh:
        until(lambda: resolved(mesh))
        assert mesh.processes() == [mesh.process.pid]
        endpoint = instance(mesh, "shop-1")["endpoint"]
        assert call(endpoint, "order", item="tea") == "tea costs 3 EUR"
        refused = meshd("restart", "shop", "--state-dir", mesh.state)
        assert refused.returncode == 1
        assert "no process of its own" in refused.stderr


def test_a_secret_is_seen_by_its_agent_alone(tmp_path: Path) -> None:
    project = shop(tmp_path)
    with_spec(project, "prices", "env: {PRICES_KEY: {env: E2E_SECRET}, MODE: open}")
    for agent in ("shop", "prices"):
        (project / "src" / f"{agent}_env.py").write_text(ENVIRONMENT_MODULE)
        manifest = project / f"{agent}.yaml"
        manifest.write_text(manifest.read_text() + f"    - callable: {agent}_env:variable\n")
    given = {"E2E_SECRET": SECRET, "E2E_PUBLIC": "for all"}
    with running_mesh(project, folder=tmp_path, environment=given) as mesh:

        def seen(agent: str) -> list[str]:
            names = ("PRICES_KEY", "E2E_SECRET", "MODE", "E2E_PUBLIC")
            return [call(mesh.endpoint(agent), "variable", name=name) for name in names]

        assert seen("prices") == [SECRET, "unset", "open", "for all"]
        assert seen("shop") == ["unset", "unset", "unset", "for all"]
        others = set(mesh.processes()) - {mesh.process.pid}
        assert len(others) >= 4  # fork server, registry, two instances
        for process in others:
            assert SECRET.encode() not in Path(f"/proc/{process}/environ").read_bytes()
        for command in ("list", "status"):
            shown = meshd(command, "--state-dir", mesh.state, "--format", "json")
            assert SECRET not in shown.stdout
        assert SECRET not in mesh.output


def failing_start(project: Path, folder: Path, *options: str) -> Mesh:
    mesh = start((project,), folder, "--registry-port", "0", *options)
    try:
        assert mesh.ended(30) == 1, mesh.output
    finally:
        end(mesh)
    return mesh


def test_beyond_loopback_a_mesh_wants_to_be_told(tmp_path: Path) -> None:
    project = shop(tmp_path)
    with_spec(project, "prices", "http: {host: 0.0.0.0}")
    refused = failing_start(project, tmp_path)
    assert "M404" in refused.output
    assert "--insecure" in refused.output
    with running_mesh(project, folder=tmp_path, options=("--insecure",)) as mesh:
        until(lambda: resolved(mesh))
        endpoint = instance(mesh, "shop-1")["endpoint"]
        assert call(endpoint, "order", item="tea") == "tea costs 3 EUR"
        assert "://0.0.0.0" not in mesh.endpoint("prices")
