"""A state directory on a disk that is full, or fills up while the mesh runs."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.mesh import meshd, running_mesh
from tests.e2e.project import call, instance, shop, until
from tests.e2e.registries import running_registry
from tests.e2e.test_supervision import resolved

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
TALKING = """\
import os


def price(item: str) -> str:
    print("x" * 1000)
    return f"{len(item)} EUR"


def pid() -> int:
    return os.getpid()
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small file system; its `state` is the state directory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> None:
    """Leave no room at all."""
    with (disk / "ballast").open("ab", buffering=0) as ballast:
        for size in (65_536, 1):
            try:
                while True:
                    ballast.write(b"\0" * size)
            except OSError:
                continue


def test_on_a_full_disk_it_says_why_it_does_not_start(tmp_path: Path, disk: Path) -> None:
    fill(disk)
    done = meshd("run", shop(tmp_path), "--state-dir", disk / "state")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert str(disk / "state") in done.stderr
    assert "No space left" in done.stderr


def test_a_disk_that_fills_up_stops_no_call_and_no_restart(tmp_path: Path, disk: Path) -> None:
    project = shop(tmp_path, interval="1s")
    (project / "src" / "prices.py").write_text(TALKING)
    with running_mesh(project, folder=disk) as mesh:
        until(lambda: resolved(mesh))
        endpoint = instance(mesh, "shop-1")["endpoint"]
        fill(disk)
        for _ in range(50):
            assert call(endpoint, "order", item="tea") == "tea costs 3 EUR"
        before = instance(mesh, "prices-1")
        os.kill(before["pid"], signal.SIGKILL)
        until(lambda: instance(mesh, "prices-1")["pid"] != before["pid"])
        until(lambda: resolved(mesh))
        assert call(endpoint, "order", item="tea") == "tea costs 3 EUR"
        assert mesh.view()["registry"]["status"] == "ready"
        (disk / "ballast").unlink()
        assert call(endpoint, "order", item="milk") == "milk costs 4 EUR"


def test_a_registry_goes_on_without_room_and_writes_when_there_is_some(disk: Path) -> None:
    store = ("--store", f"sqlite:///{disk / 'registry.sqlite'}")
    tool = {"function_name": "do_a", "capability": "a", "description": "x" * 5000}
    slow = {"interval_seconds": 60}
    with running_registry(disk.parent, *store) as registry:
        registry.post("before-1", tool, meshd=slow)
        fill(disk)
        for number in range(20):
            assert registry.post(f"during-{number}", tool, meshd=slow)["status"] == "success"
        until(lambda: registry.get("/health")["status"] == "degraded")
        assert "full" in registry.get("/health")["store"]["reason"]
        assert registry.head("before-1") == 200
        (disk / "ballast").unlink()
        until(lambda: registry.get("/health")["status"] == "healthy")
        registry.process.kill()
        registry.process.wait()
    with running_registry(disk.parent, *store) as registry:
        listed = {each["id"] for each in registry.get("/agents")["agents"]}
        assert listed == {"before-1", *(f"during-{number}" for number in range(20))}
