"""MCP Mesh's own registry, and what our agents count on when they register there.

Where these facts change with a version of it, our agents have to change what they do.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.registries import RegistryProcess, running_go_registry
from tests.tools import go_registry

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        not go_registry.IS_MADE_FOR_THIS_MACHINE, reason="it is made for Linux on x86-64"
    ),
]
KWARGS = {"timeout": 5, "nested": {"list": [1]}}
PROVIDER: dict[str, Any] = {"function_name": "do_b", "capability": "b", "kwargs": KWARGS}
CONSUMER = {"function_name": "do_a", "capability": "a", "dependencies": [{"capability": "b"}]}
UNRESOLVED = {
    "agent_id": "",
    "capability": "b",
    "endpoint": "",
    "function_name": "",
    "status": "unresolved",
}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryProcess]:
    with running_go_registry(tmp_path) as running:
        yield running


def wired(registry: RegistryProcess) -> Any:
    """Let the consumer register; return what its one dependency is resolved to."""
    [entry] = registry.post("a-1", CONSUMER)["dependencies_resolved"]["do_a"]
    return entry


def test_who_registers_is_listed_and_found(registry: RegistryProcess) -> None:
    assert registry.head("b-1") == 410
    answer = registry.post("b-1", PROVIDER, version="1.2.0")
    assert (answer["status"], answer["agent_id"]) == ("success", "b-1")
    assert registry.head("b-1") == 200

    [listed] = registry.get("/agents")["agents"]
    assert {name: listed[name] for name in ("id", "status", "endpoint", "version", "runtime")} == {
        "id": "b-1",
        "status": "healthy",
        "endpoint": "http://127.0.0.1:9",
        "version": "1.2.0",
        "runtime": "python",
    }
    assert wired(registry) == {
        "agent_id": "b-1",
        "capability": "b",
        "endpoint": "http://127.0.0.1:9",
        "function_name": "do_b",
        "kwargs": KWARGS,
        "status": "available",
    }


def test_a_new_endpoint_is_news_only_after_a_delete(registry: RegistryProcess) -> None:
    registry.post("b-1", PROVIDER)
    wired(registry)
    registry.post("b-1", PROVIDER, http_port=10)
    assert registry.head("a-1") == 200

    assert registry.delete("b-1") == 204
    registry.post("b-1", PROVIDER, http_port=11)
    assert registry.head("a-1") == 202
    assert wired(registry)["endpoint"] == "http://127.0.0.1:11"
    # It hears of its own return too, once.
    assert registry.head("b-1") == 202
    registry.post("b-1", PROVIDER, http_port=11)
    assert (registry.head("b-1"), registry.head("a-1")) == (200, 200)


def test_who_is_deleted_is_gone_at_once_whatever_the_reason(registry: RegistryProcess) -> None:
    registry.post("b-1", PROVIDER)
    wired(registry)
    assert [registry.delete("b-1", reason="process_died") for _ in range(2)] == [204, 204]
    assert registry.delete("nobody-1") == 204

    assert (registry.head("b-1"), registry.head("a-1")) == (410, 202)
    assert wired(registry) == UNRESOLVED
    # Each DELETE counts, so one too many wakes the whole mesh once more.
    events = registry.get("/events?type=unregister")["events"]
    assert [event["data"]["reason"] for event in events] == ["graceful_shutdown"] * 2


def test_what_it_does_not_know_is_ignored(registry: RegistryProcess) -> None:
    registry.post("b-1", PROVIDER)
    crossing = {**CONSUMER, "dependencies": [{"capability": "b", "namespace": "dev"}]}
    answer = registry.post("a-1", crossing, namespace="prod", meshd={"incarnation": 1})

    assert answer["status"] == "success"
    assert answer["dependencies_resolved"]["do_a"][0]["agent_id"] == "b-1"
    assert "meshd" not in answer


def test_a_tool_without_capability_is_wired_and_not_listed(registry: RegistryProcess) -> None:
    registry.post("b-1", PROVIDER)
    plain = {"function_name": "plain", "dependencies": [{"capability": "b"}]}
    answer = registry.post("a-1", plain)

    assert answer["dependencies_resolved"]["plain"][0]["agent_id"] == "b-1"
    [listed] = [each for each in registry.get("/agents")["agents"] if each["id"] == "a-1"]
    assert (listed["capabilities"] or [], listed["dependencies_resolved"]) == ([], 1)


@pytest.mark.parametrize("fields", [{"runtime": "meshd"}, {"name": "With_Underscore"}])
def test_a_refusal_is_an_answer_of_200_that_says_error(
    fields: dict[str, str], registry: RegistryProcess
) -> None:
    answer = registry.post("b-1", PROVIDER, **fields)

    assert answer["status"] == "error"
    assert next(iter(fields)) in answer["message"]
    assert registry.get("/agents")["count"] == 0


def test_a_lapse_withdraws_and_a_full_heartbeat_brings_back(tmp_path: Path) -> None:
    with running_go_registry(tmp_path, timeout_seconds=2, check_seconds=1) as registry:
        registry.post("b-1", PROVIDER)
        wired(registry)
        deadline = time.monotonic() + 10
        while registry.head("a-1") == 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)

        assert (registry.head("b-1"), wired(registry)) == (410, UNRESOLVED)
        registry.post("b-1", PROVIDER)
        assert registry.head("a-1") == 202
        assert wired(registry)["agent_id"] == "b-1"
