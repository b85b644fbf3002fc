"""The mesh that `meshd run manifests/` starts out of the box does what it is for."""

import asyncio
from typing import Any

import httpx2
import pytest
from fastmcp import Client

from tests.e2e.mesh import Mesh
from tests.e2e.test_clients import MODES, Mode

pytestmark = pytest.mark.e2e


def endpoints(mesh: Mesh) -> dict[str, str]:
    return {agent["name"]: mesh.endpoint(agent["name"]) for agent in mesh.view()["agents"]}


def test_every_agent_is_ready_and_every_required_need_resolved(sample_mesh: Mesh) -> None:
    agents = sample_mesh.listed()["agents"]
    needs = [need for agent in agents for need in agent["needs"]]

    assert len(agents) >= 4
    assert {agent["status"] for agent in agents} == {"ready"}
    assert {need["status"] for need in needs} == {"resolved"}
    assert len(needs) >= 3
    for endpoint in endpoints(sample_mesh).values():
        assert httpx2.get(f"{endpoint}/ready").json()["ready"] is True


@pytest.mark.parametrize("mode", MODES)
async def test_every_agent_lists_the_tools_of_its_manifest(sample_mesh: Mesh, mode: Mode) -> None:
    async def names(url: str) -> list[str]:
        async with Client(url, mode=mode) as client:
            return [tool.name for tool in await client.list_tools()]

    agents = sample_mesh.view()["agents"]
    found = await asyncio.gather(*(names(sample_mesh.mcp(agent["name"])) for agent in agents))

    assert dict(zip([agent["name"] for agent in agents], found, strict=True)) == {
        agent["name"]: [tool["name"] for tool in agent["tools"]] for agent in agents
    }


@pytest.mark.parametrize("mode", MODES)
async def test_a_trip_is_planned_over_two_hops(sample_mesh: Mesh, mode: Mode) -> None:
    async with Client(sample_mesh.mcp("planner"), mode=mode) as client:
        answer = await client.call_tool("plan_trip", {"city": "Oslo"})

    plan: dict[str, Any] = (answer.structured_content or {})["result"]
    assert plan["city"] == "Oslo"
