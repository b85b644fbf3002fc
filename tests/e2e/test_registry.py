"""The registry as a process: what it says over HTTP, and what survives it."""

import signal
import socket
import time
from pathlib import Path

import httpx2
import pytest

from tests.e2e.mesh import meshd
from tests.e2e.project import until
from tests.e2e.registries import running_registry

pytestmark = pytest.mark.e2e
PROVIDER = {"function_name": "do_b", "capability": "b"}
CONSUMER = {"function_name": "do_a", "capability": "a", "dependencies": [{"capability": "b"}]}


def test_agents_find_each_other_through_a_real_registry(tmp_path: Path) -> None:
    with running_registry(tmp_path, "--store", "memory") as registry:
        assert registry.head("a-1") == 410
        answer = registry.post("a-1", CONSUMER)
        assert answer["dependencies_resolved"]["do_a"][0]["status"] == "unresolved"
        assert registry.head("a-1") == 200
        registry.post("b-1", PROVIDER)
        assert registry.head("a-1") == 202
        answer = registry.post("a-1", CONSUMER)
        assert answer["dependencies_resolved"]["do_a"] == [
            {
                "agent_id": "b-1",
                "capability": "b",
                "endpoint": "http://127.0.0.1:9",
                "function_name": "do_b",
                "status": "available",
            }
        ]
        assert httpx2.delete(f"{registry.url}/agents/b-1").status_code == 204
        assert registry.head("a-1") == 202
        assert httpx2.get(f"{registry.url}/agents", headers={"host": "evil"}).status_code == 421
        assert httpx2.post(f"{registry.url}/heartbeat", content=b"{").status_code == 400
        assert registry.get("/health")["store"] == {"kind": "memory", "status": "ok"}


def test_what_was_registered_survives_a_kill(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'registry.sqlite'}"
    with running_registry(tmp_path, "--store", store) as registry:
        port = registry.port
        registry.post("b-1", PROVIDER)
        registry.post("a-1", CONSUMER)
        time.sleep(0.6)
        before = registry.get("/agents")["agents"], registry.get("/events")["events"]
        registry.process.kill()
        registry.process.wait()

    with running_registry(tmp_path, "--store", store, port=port) as registry:
        assert (registry.get("/agents")["agents"], registry.get("/events")["events"]) == before
        assert registry.get("/health")["store"] == {"kind": "sqlite", "status": "ok"}
        assert registry.head("b-1") == 202
        # Whoever died with the old registry is given up after its grace.
        deadline = time.monotonic() + 12
        statuses: dict[str, str] = {}
        while time.monotonic() < deadline:
            assert registry.head("b-1") in {200, 202}
            statuses = {each["id"]: each["status"] for each in registry.get("/agents")["agents"]}
            if statuses.get("a-1") == "unhealthy":
                break
            time.sleep(0.5)
        assert statuses == {"a-1": "unhealthy", "b-1": "healthy"}


def test_a_file_that_is_no_store_leaves_a_registry_that_says_so(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    path.write_text("no database at all " * 500)
    with running_registry(tmp_path, "--store", f"sqlite:///{path}") as registry:
        assert registry.post("a-1", CONSUMER)["status"] == "success"
        health = registry.get("/health")

    assert (health["status"], health["store"]["status"]) == ("degraded", "failed")
    assert str(path) in health["store"]["reason"]
    assert path.read_text().startswith("no database")


def test_a_store_that_was_damaged_is_set_aside_and_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    store = ("--store", f"sqlite:///{path}")
    with running_registry(tmp_path, *store) as registry:
        registry.post("lost-1", PROVIDER)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * len(content[4096:])
    path.write_bytes(content)
    with running_registry(tmp_path, *store) as registry:
        assert registry.post("a-1", CONSUMER, meshd={"interval_seconds": 60})["status"] == "success"
        assert registry.get("/health")["status"] == "degraded"
        until(lambda: registry.get("/health")["status"] == "healthy")
        assert f"it is kept as `{path}.corrupt`" in registry.get("/health")["store"]["notice"]
        assert registry.head("a-1") == 200
    assert (tmp_path / "agents.db.corrupt").read_bytes() == content
    with running_registry(tmp_path, *store) as registry:
        assert [each["id"] for each in registry.get("/agents")["agents"]] == ["a-1"]


def test_a_store_that_vanishes_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    store = ("--store", f"sqlite:///{path}")
    with running_registry(tmp_path, *store) as registry:
        registry.post("a-1", PROVIDER)
        until(lambda: path.stat().st_size > 0)
        path.unlink()
        registry.post("b-1", CONSUMER)
        until(path.exists)
    with running_registry(tmp_path, *store) as registry:
        assert [each["id"] for each in registry.get("/agents")["agents"]] == ["a-1", "b-1"]


def test_the_default_store_is_in_the_state_directory(tmp_path: Path) -> None:
    with running_registry(tmp_path, "--state-dir", str(tmp_path / "state")) as registry:
        registry.post("a-1", PROVIDER)

    assert (tmp_path / "state" / "registry.sqlite").is_file()


def test_an_interrupt_ends_it_cleanly(tmp_path: Path) -> None:
    with running_registry(tmp_path, "--store", "memory") as registry:
        registry.process.send_signal(signal.SIGINT)

        assert registry.process.wait(10) == 130
        assert registry.log.read_text().endswith("stopped\n")


def test_what_cannot_be_served_is_said_in_two_lines(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        in_use = meshd("registry", "serve", "--port", port, "--store", "memory")
    open_to_all = meshd("registry", "serve", "--host", "0.0.0.0", "--store", "memory")  # noqa: S104
    no_store = meshd("registry", "serve", "--store", "postgres://x")

    assert [done.returncode for done in (in_use, open_to_all, no_store)] == [1, 1, 1]
    assert in_use.stderr.splitlines() == [
        f"error: the registry cannot listen on 127.0.0.1:{port}: it is in use",
        "hint: choose another `--port`, or 0 for any free one",
    ]
    assert "--insecure" in open_to_all.stderr
    assert no_store.stderr.splitlines() == [
        "error: `postgres://x` names no store",
        "hint: use `sqlite:///PATH`, or `memory`",
    ]


def test_beyond_loopback_any_host_will_do_but_no_web_page(tmp_path: Path) -> None:
    options = ("--host", "0.0.0.0", "--insecure", "--store", "memory")  # noqa: S104
    with running_registry(tmp_path, *options) as registry:
        url = f"http://127.0.0.1:{registry.port}/agents"
        assert httpx2.get(url, headers={"host": "registry:8000"}).status_code == 200
        assert httpx2.get(url, headers={"origin": "http://evil.example"}).status_code == 403
