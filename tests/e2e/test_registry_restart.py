"""A registry that is killed while agents beat: it comes back and nobody is wired anew."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.registries import RegistryProcess, running_registry

pytestmark = pytest.mark.e2e
PROVIDER = {"function_name": "do_b", "capability": "b"}
CONSUMER = {"function_name": "do_a", "capability": "a", "dependencies": [{"capability": "b"}]}
WRITTEN_SECONDS = 0.6


def upstreams(registry: RegistryProcess) -> Any:
    answer = registry.post("a-1", CONSUMER, meshd={"incarnation": 1})
    return answer["meshd"]["upstreams"]


def test_agents_find_what_they_had_after_a_kill(tmp_path: Path) -> None:
    store = ("--store", f"sqlite:///{tmp_path / 'registry.sqlite'}")
    with running_registry(tmp_path, *store) as registry:
        own = {"incarnation": 1, "interval_seconds": 60}
        assert registry.post("b-1", PROVIDER, meshd=own)["meshd"]["interval_seconds"] == 60
        before = upstreams(registry)
        assert [each["agent_id"] for each in before["do_a"][0]] == ["b-1"]
        time.sleep(WRITTEN_SECONDS)
        registry.process.kill()
        registry.process.wait()

    with running_registry(tmp_path, *store, port=registry.port) as back:
        # What was said last may be what was lost, so everybody is asked once.
        assert back.head("a-1") == 202
        assert upstreams(back) == before
        assert back.head("a-1") == 200
        listed = {each["id"]: each for each in back.get("/agents")["agents"]}
        assert listed["b-1"]["meshd"] == {"incarnation": 1, "lease_seconds": 181.0}
        assert back.delete("b-1", reason="process_died") == 204
        assert back.head("a-1") == 202
        [event] = back.get("/events?type=unregister")["events"]
        assert (event["agent_id"], event["data"]["reason"]) == ("b-1", "process_died")
