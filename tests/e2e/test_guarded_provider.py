"""What an agent demands of its callers, seen from outside: a token, a size, a number of calls."""

import json
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.mesh import ROOT, Mesh, meshd, running_mesh
from tests.e2e.project import call, until
from tests.e2e.wire import ERAS, Era, call_request

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

TOKEN = "s3cret-of-the-vault"  # noqa: S105
MANIFESTS = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {name: vault}
spec:
  python: {path: src}
  http: {maxRequest: 64KiB}
  tools:
    - callable: vault:open_box
      capability: vault.open
      call: {auth: {bearer: {env: VAULT_TOKEN}}}
    - callable: vault:slow
      concurrency: {max: 1, queue: 1}
    - callable: vault:look
      capability: vault.look
---
apiVersion: meshd.dev/v1
kind: Agent
metadata: {name: guest}
spec:
  python: {path: src}
  tools:
    - callable: vault:visit
      needs: {box: {capability: vault.open, required: true}}
    - callable: vault:environment
"""
MODULE = """\
import asyncio
import os


def open_box(number: int) -> str:
    return f"box {number}"


async def visit(number: int, box) -> str:
    return await box(number=number)


async def slow() -> str:
    await asyncio.sleep(0.5)
    return "done"


def look() -> str:
    return "closed"


def environment() -> dict[str, str]:
    return dict(os.environ)
"""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Generator[Mesh]:
    folder = tmp_path_factory.mktemp("guarded")
    project = folder / "project"
    (project / "src").mkdir(parents=True)
    (project / "meshd.toml").write_text("")
    (project / "src" / "vault.py").write_text(MODULE)
    (project / "mesh.yaml").write_text(MANIFESTS)
    with running_mesh(project, folder=folder, environment={"VAULT_TOKEN": TOKEN}) as running:
        until(lambda: _is_wired(running))
        yield running


def _is_wired(mesh: Mesh) -> bool:
    needs = [need for agent in mesh.view()["agents"] for need in agent["needs"]]
    return all(need["providers"] for need in needs)


def ask(mesh: Mesh, tool: str, era: Era = "modern", **more: Any) -> httpx2.Response:
    headers, body = call_request(era, tool, {"number": 7})
    headers |= more.pop("headers", {})
    return httpx2.post(mesh.mcp("vault"), headers=headers, json=body, **more)


def test_a_consumer_of_the_same_mesh_is_let_in(mesh: Mesh) -> None:
    assert call(mesh.endpoint("guest"), "visit", number=7) == "box 7"


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    "sent", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"]
)
def test_who_has_no_token_is_refused_before_anything_runs(
    mesh: Mesh, era: Era, sent: str | None
) -> None:
    headers = {} if sent is None else {"Authorization": sent}
    answer = ask(mesh, "open_box", era, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "box 7" not in answer.text


@pytest.mark.parametrize("era", ERAS)
def test_who_has_the_token_is_let_in(mesh: Mesh, era: Era) -> None:
    answer = ask(mesh, "open_box", era, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert "box 7" in answer.text


def test_a_token_is_asked_for_by_the_tool_that_demands_it_alone(mesh: Mesh) -> None:
    assert call(mesh.endpoint("vault"), "look") == "closed"


def test_a_body_that_two_parsers_could_read_differently_gets_nobody_in(mesh: Mesh) -> None:
    headers, body = call_request("legacy", "look", {"number": 7})
    text = json.dumps(body)
    twice = text.replace('"name": "look"', '"name": "look", "name": "open_box"')
    answer = httpx2.post(
        mesh.mcp("vault"), headers=headers | {"Content-Type": "application/json"}, content=twice
    )
    assert "box 7" not in answer.text


def test_the_token_is_nowhere_to_be_seen(mesh: Mesh) -> None:
    seen = json.dumps(call(mesh.endpoint("guest"), "environment"))
    seen += json.dumps(mesh.view()) + mesh.output
    seen += httpx2.get(f"{mesh.view()['registry']['url']}/agents").text
    for process in mesh.processes():
        if process != mesh.process.pid:  # the daemon was given it in its environment
            seen += Path(f"/proc/{process}/environ").read_text(errors="replace")
    for file in mesh.state.rglob("*"):
        if file.is_file():
            seen += file.read_bytes().decode(errors="replace")
    assert "VAULT_TOKEN" not in call(mesh.endpoint("guest"), "environment")
    assert TOKEN not in seen


def test_too_large_a_request_is_refused(mesh: Mesh) -> None:
    headers, body = call_request("modern", "look", {"number": "x" * 70_000})
    answer = httpx2.post(mesh.mcp("vault"), headers=headers, json=body)
    assert answer.status_code == 413


def test_who_finds_the_queue_full_is_told_so_at_once(mesh: Mesh) -> None:
    endpoint = mesh.endpoint("vault")

    def one_call(_: int) -> dict[str, Any]:
        headers, body = call_request("modern", "slow", {})
        return httpx2.post(f"{endpoint}/mcp", headers=headers, json=body).json()["result"]

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(one_call, range(4)))
    busy = [result for result in results if result["isError"]]
    assert len(busy) == 2
    for result in busy:
        assert result["_meta"]["meshd.dev/error"]["code"] == "busy"
        assert "concurrency" in result["content"][0]["text"]


def test_a_token_that_is_not_there_keeps_the_mesh_from_starting(mesh: Mesh, tmp_path: Path) -> None:
    project = next(mesh.log.parent.glob("project"))
    done = meshd("run", project, "--state-dir", tmp_path / "state", "--registry-port", "0")
    assert done.returncode == 1
    assert "error[M403]: the token that `open_box` demands, of agent `vault`, is missing" in (
        done.stderr
    )
    assert "set `VAULT_TOKEN` where `meshd run` starts" in done.stderr
    inputs = meshd("inputs", project)
    assert "VAULT_TOKEN" in inputs.stdout
    assert ROOT.name not in inputs.stderr
