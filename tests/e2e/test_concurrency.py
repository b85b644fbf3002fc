"""Many clients that use the same request ids never get each other's answers."""

import asyncio
import json
import ssl
from typing import Any

import httpx2
import pytest
from fastmcp import Client

from tests.e2e.mesh import Mesh
from tests.e2e.wire import ERAS, Era, call_request

pytestmark = pytest.mark.e2e
CLIENTS = 64
CALLS = 3


def answer_of(response: httpx2.Response) -> dict[str, Any]:
    """Return the JSON-RPC answer, whether it came alone or in an event stream."""
    if response.headers["content-type"].startswith("application/json"):
        return response.json()
    lines = response.text.splitlines()
    events = [json.loads(line[5:]) for line in lines if line.startswith("data:")]
    [answer] = [event for event in events if "id" in event]
    return answer


@pytest.mark.parametrize("era", ERAS)
async def test_each_of_64_connections_gets_its_own_answers(probe_mesh: Mesh, era: Era) -> None:
    url = probe_mesh.mcp("probe")
    trust = ssl.create_default_context()

    async def calls(number: int) -> list[tuple[str, dict[str, Any]]]:
        found: list[tuple[str, dict[str, Any]]] = []
        async with httpx2.AsyncClient(verify=trust, timeout=30) as client:
            for turn in range(CALLS):
                text = f"client {number}, turn {turn}"
                headers, body = call_request(era, "slow_echo", {"text": text}, request_id=turn)
                found.append((text, answer_of(await client.post(url, headers=headers, json=body))))
        return found

    found = await asyncio.gather(*(calls(number) for number in range(CLIENTS)))

    for answers in found:
        for turn, (text, answer) in enumerate(answers):
            assert answer["id"] == turn
            assert answer["result"]["structuredContent"] == {"result": text}


async def test_one_client_can_have_many_calls_under_way(probe_mesh: Mesh) -> None:
    async with Client(probe_mesh.mcp("probe")) as client:
        answers = await asyncio.gather(
            *(client.call_tool("slow_echo", {"text": str(number)}) for number in range(CLIENTS))
        )

    assert [answer.data for answer in answers] == [str(number) for number in range(CLIENTS)]
