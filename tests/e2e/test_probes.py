"""The probe routes answer as MCP Mesh's agents do."""

from datetime import datetime
from typing import Any

import httpx2
import pytest

from tests.e2e.mesh import Mesh

pytestmark = pytest.mark.e2e
PROBES: dict[str, dict[str, Any]] = {
    "/health": {"status": "healthy", "agent": "probe"},
    "/ready": {"ready": True, "agent": "probe", "runtime": "up", "mcp_wrappers": 13},
    "/livez": {"alive": True, "agent": "probe"},
    "/startupz": {"started": True, "agent": "probe"},
}


@pytest.mark.parametrize("route", PROBES)
def test_a_probe_tells_its_fact_with_the_time(probe_mesh: Mesh, route: str) -> None:
    answer = httpx2.get(probe_mesh.endpoint("probe") + route)
    body = answer.json()
    stamp = datetime.fromisoformat(body.pop("timestamp"))

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert body == PROBES[route]
    assert stamp.tzinfo is not None


def test_metadata_names_the_capabilities_and_needs(probe_mesh: Mesh) -> None:
    body = httpx2.get(probe_mesh.endpoint("probe") + "/metadata").json()

    assert (body["agent"], body["namespace"], body["version"]) == ("probe", "default", "2.3.4")
    assert body["capabilities"] == {
        "probe.add": {
            "function_name": "add",
            "version": "1.0.0",
            "tags": [],
            "dependencies": [],
        }
    }


def test_list_tells_of_every_agent_tool_and_edge(probe_mesh: Mesh) -> None:
    listed = probe_mesh.listed()
    agents = {agent["name"]: agent for agent in listed["agents"]}
    [instance] = agents["probe"]["instances"]
    [caller] = agents["caller"]["instances"]

    assert set(listed) == {"agents", "registry"}
    assert set(agents) == {"probe", "caller"}
    assert instance["pid"] in probe_mesh.processes()
    assert instance["endpoint"] != caller["endpoint"]
    assert agents["caller"] == {
        "name": "caller",
        "namespace": "default",
        "version": "1.0.0",
        "status": "ready",
        "instances": [
            {**caller, "id": "caller-1", "status": "ready"},
        ],
        "tools": [
            {"name": name, "capability": None, "version": "1.0.0", "tags": []}
            for name in ("add_three", "add_three_in_a_thread")
        ],
        "needs": [
            {
                "tool": tool,
                "parameter": "add",
                "capability": "probe.add",
                "status": "resolved",
                "providers": [
                    {
                        "agent": "probe",
                        "instance": instance["id"],
                        "endpoint": instance["endpoint"],
                        "tool": "add",
                    }
                ],
            }
            for tool in ("add_three", "add_three_in_a_thread")
        ],
    }
