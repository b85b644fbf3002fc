"""Files change under a running mesh: only what changed is replaced, and nothing bad is applied."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.mesh import Mesh, meshd, running_mesh
from tests.e2e.project import PRICES, call, instance, shop, until
from tests.e2e.test_lifecycle import free_port
from tests.e2e.test_supervision import Caller, resolved

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
QUICK = {"MCP_MESH_DEBOUNCE_DELAY": "0.2"}
THIRD = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {name: third}
spec:
  python: {path: src}
  tools: [{callable: "shop:pid"}]
"""


def status(mesh: Mesh) -> str:
    return meshd("status", "--state-dir", mesh.state).stdout


def pids(mesh: Mesh) -> dict[str, int]:
    return {one["id"]: one["pid"] for agent in mesh.view()["agents"] for one in agent["instances"]}


def test_an_edited_function_restarts_its_agent_alone_without_a_failed_call(tmp_path: Path) -> None:
    project = shop(tmp_path)
    with running_mesh(project, folder=tmp_path, environment=QUICK) as mesh:
        until(lambda: resolved(mesh))
        before = pids(mesh)
        endpoint = instance(mesh, "shop-1")["endpoint"]
        module = project / "src" / "prices.py"
        with Caller(endpoint) as caller:
            module.write_text(module.read_text().replace("EUR", "NOK"))
            until(lambda: pids(mesh)["prices-1"] != before["prices-1"])
            until(lambda: call(endpoint, "order", item="tea") == "tea costs 3 NOK")
        assert pids(mesh)["shop-1"] == before["shop-1"]
        assert caller.failures == []

        assert "unchanged" in meshd("reload", "--state-dir", mesh.state).stderr
        assert pids(mesh)["shop-1"] == before["shop-1"]


def test_what_was_started_again_is_still_watched(tmp_path: Path) -> None:
    project = shop(tmp_path)
    with running_mesh(project, folder=tmp_path, environment=QUICK) as mesh:
        until(lambda: resolved(mesh))
        killed = pids(mesh)["prices-1"]
        os.kill(killed, signal.SIGKILL)
        until(lambda: pids(mesh)["prices-1"] != killed)
        endpoint = instance(mesh, "shop-1")["endpoint"]
        until(lambda: resolved(mesh))
        module = project / "src" / "prices.py"
        module.write_text(module.read_text().replace("EUR", "NOK"))
        until(lambda: call(endpoint, "order", item="tea") == "tea costs 3 NOK")


def test_a_syntax_error_keeps_the_old_one_and_is_shown_until_it_is_mended(tmp_path: Path) -> None:
    project = shop(tmp_path)
    with running_mesh(project, folder=tmp_path, environment=QUICK) as mesh:
        until(lambda: resolved(mesh))
        before = pids(mesh)
        endpoint = instance(mesh, "shop-1")["endpoint"]
        module = project / "src" / "prices.py"
        good = module.read_text()
        module.write_text(good.replace("CURRENCY}", "CURRENCY"))
        until(lambda: "prices.py" in status(mesh), 10, mesh.output)
        assert "line 7" in status(mesh)
        assert pids(mesh) == before
        assert call(endpoint, "order", item="tea") == "tea costs 3 EUR"

        module.write_text(good.replace("EUR", "SEK"))
        until(lambda: pids(mesh)["prices-1"] != before["prices-1"])
        assert call(endpoint, "order", item="tea") == "tea costs 3 SEK"
        until(lambda: "prices.py" not in status(mesh))


def test_a_bad_document_keeps_its_agent_while_others_apply(tmp_path: Path) -> None:
    project = shop(tmp_path)
    with running_mesh(project, folder=tmp_path, environment=QUICK) as mesh:
        until(lambda: resolved(mesh))
        before = pids(mesh)
        (project / "prices.yaml").write_text(PRICES.format(interval="5s").replace("tools", "tols"))
        (project / "third.yaml").write_text(THIRD)
        until(lambda: "third-1" in pids(mesh), 10, mesh.output)
        assert {name: pids(mesh)[name] for name in before} == before
        assert "did you mean `tools`?" in status(mesh)
        assert call(instance(mesh, "shop-1")["endpoint"], "order", item="tea") == "tea costs 3 EUR"

        (project / "third.yaml").unlink()
        (project / "prices.yaml").write_text(PRICES.format(interval="5s"))
        until(lambda: "third-1" not in pids(mesh))
        assert pids(mesh) == before
        until(lambda: "did you mean" not in status(mesh))


def test_an_invalid_mesh_changes_nothing(tmp_path: Path) -> None:
    project = shop(tmp_path)
    with running_mesh(project, folder=tmp_path, environment=QUICK) as mesh:
        until(lambda: resolved(mesh))
        before = pids(mesh)
        manifest = project / "shop.yaml"
        good = manifest.read_text()
        manifest.write_text(good.replace("capability: price", "capability: prise"))
        done = meshd("reload", "--state-dir", mesh.state)
        assert done.returncode == 1
        assert "nothing provides `prise`" in done.stderr + done.stdout
        assert "did you mean `price`?" in status(mesh)
        assert pids(mesh) == before
        manifest.write_text(good)
        assert meshd("reload", "--state-dir", mesh.state).returncode == 0
        assert "did you mean" not in status(mesh)
        assert pids(mesh) == before


def test_replicas_come_and_go_and_share_a_fixed_port(tmp_path: Path) -> None:
    project = shop(tmp_path)
    manifest = project / "prices.yaml"
    port = free_port()
    good = manifest.read_text().replace("  python:", f"  http: {{port: {port}}}\n  python:")
    manifest.write_text(good)
    with running_mesh(project, folder=tmp_path, environment=QUICK) as mesh:
        until(lambda: resolved(mesh))
        before = pids(mesh)
        manifest.write_text(good.replace("  python:", "  replicas: 3\n  python:"))
        until(lambda: len(pids(mesh)) == 4, 10, mesh.output)
        assert {name: pids(mesh)[name] for name in before} == before
        front = f"http://127.0.0.1:{port}"
        until(lambda: len({call(front, "pid") for _ in range(5)}) > 1)
        endpoints = {instance(mesh, f"prices-{n}")["endpoint"] for n in (1, 2, 3)}
        assert len(endpoints) == 3

        def providers() -> int:
            [need] = [need for agent in mesh.view()["agents"] for need in agent["needs"]]
            return len(need["providers"])

        until(lambda: providers() == 3)

        manifest.write_text(good)
        until(lambda: pids(mesh) == before)
        assert call(front, "pid") == before["prices-1"]


def test_a_link_that_is_swapped_is_a_change(tmp_path: Path) -> None:
    project = shop(tmp_path)
    first, second = project / "..2026_1", project / "..2026_2"
    text = PRICES.format(interval="5s")
    for folder, version in ((first, "1.0.0"), (second, "2.0.0")):
        folder.mkdir()
        (folder / "prices.yaml").write_text(text.replace("spec:", f"spec:\n  version: {version}"))
    (project / "..data").symlink_to(first.name)
    (project / "prices.yaml").unlink()
    (project / "prices.yaml").symlink_to("..data/prices.yaml")
    with running_mesh(project, folder=tmp_path, environment=QUICK) as mesh:
        until(lambda: resolved(mesh))
        (project / "..new").symlink_to(second.name)
        (project / "..new").replace(project / "..data")

        def running_version() -> str:
            return next(a["version"] for a in mesh.view()["agents"] if a["name"] == "prices")

        until(lambda: running_version() == "2.0.0", 15, mesh.output)


def test_sighup_reloads(tmp_path: Path) -> None:
    project = shop(tmp_path)
    slow = {"MCP_MESH_DEBOUNCE_DELAY": "60"}
    with running_mesh(project, folder=tmp_path, environment=slow) as mesh:
        until(lambda: resolved(mesh))
        (project / "third.yaml").write_text(THIRD)
        time.sleep(0.3)
        assert "third-1" not in pids(mesh)
        mesh.signal(signal.SIGHUP)
        until(lambda: "third-1" in pids(mesh))
