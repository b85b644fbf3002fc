"""Well-known functions of the standard library, served as they are, give the right answers.

They are in C and in Python, positional-only, with `*args`, with defaults that JSON cannot say, and
nearly all of them untyped. Where a function does not say what it takes, the manifest does.
"""

import json
from collections.abc import Iterator

import pytest
from fastmcp import Client

from tests.callables.standard_library import ALLOWED, CASES, Case
from tests.e2e.mesh import Mesh, running_mesh

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("standard")
    tools = [{"callable": case.callable, "name": case.tool, **case.more} for case in CASES]
    agent = {
        "apiVersion": "meshd.dev/v1",
        "kind": "Agent",
        "metadata": {"name": "standard"},
        "spec": {"tools": tools},
    }
    (folder / "standard.yaml").write_text(json.dumps(agent))
    (folder / "meshd.toml").write_text(f"[imports]\nallow = {json.dumps(ALLOWED)}\n")
    with running_mesh(folder / "standard.yaml", folder=folder) as running:
        yield running


@pytest.mark.parametrize("case", CASES, ids=[case.callable for case in CASES])
async def test_a_function_gives_the_right_answer(mesh: Mesh, case: Case) -> None:
    async with Client(mesh.mcp("standard")) as client:
        answer = await client.call_tool(case.tool, case.arguments)
    assert repr((answer.structured_content or {}).get("result")) == repr(case.answer)
