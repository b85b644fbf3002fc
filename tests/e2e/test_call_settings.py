"""Each call setting, seen on the wire by a provider that is not meshd."""

import json
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from tests.e2e.mesh import Mesh, running_mesh
from tests.e2e.peers import BREAK, Peer, Said, after, failure, running_peer
from tests.e2e.project import until
from tests.e2e.registries import RegistryProcess, running_registry
from tests.e2e.wire import call_request

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
MODULE = """\
async def ask(peer, n: int = 1) -> object:
    return await peer(n=n)


async def each(peer) -> list[object]:
    return [chunk async for chunk in peer(n=1)]
"""
NEEDS = {
    "slow": "{capability: slow}",
    "slow_nearer": "{capability: slow, call: {timeout: 200ms}}",
    "harmless": "{capability: harmless}",
    "unharmless": "{capability: unharmless}",
    "unretried": "{capability: harmless, call: {retries: {max: 0}}}",
    "failing": "{capability: failing, call: {retries: {on: [failed], backoff: 10ms}}}",
    "dressed": "{capability: dressed, call: {headers: {X-Need: near, X-Both: near}}}",
    "tenant": "{capability: plain, call: {propagate: [X-Tenant]}}",
    "plain": "{capability: plain}",
    "locked": "{capability: locked, call: {auth: {bearer: {env: PEER_TOKEN}}}}",
    "unlocked": "{capability: plain, call: {auth: {bearer: {env: PEER_TOKEN}}}}",
    "tokenless": "{capability: locked}",
    "turns": "{capability: both, call: {balance: round_robin}}",
    "first": "{capability: both, call: {balance: first}}",
    "breaking": "{capability: unharmless, call: {breaker: {failures: 2, open: 1m}}}",
    "alone": "{capability: halting, call: {concurrency: 1}}",
    "hedged": "{capability: hedged, call: {balance: first, hedge: 100ms}}",
    "chunks": "{capability: chunks}",
    "preferred": '{capability: both, tags: ["+near"], call: {balance: random}}',
}
TOOLS: dict[str, dict[str, Any]] = {
    "slow": {"timeout": 0.4},
    "harmless": {"retry_count": 2, "meshd": {"idempotent": True, "retries_backoff": 0.01}},
    "unharmless": {"retry_count": 2},
    "failing": {"meshd": {"idempotent": True}},
    "dressed": {"custom_headers": {"X-Tool": "far", "x-both": "far"}},
    "plain": {},
    "locked": {"auth_required": True},
    "halting": {},
    "chunks": {"streaming": True},
}


def manifest(registry: str) -> str:
    tools = "\n".join(
        f"    - {{callable: 'ask:{'each' if name == 'chunks' else 'ask'}', name: {name}, "
        f"needs: {{peer: {need}}}}}"
        for name, need in NEEDS.items()
    )
    return (
        "apiVersion: meshd.dev/v1\nkind: Mesh\nspec:\n"
        f"  registry: {{url: {registry}}}\n---\n"
        "apiVersion: meshd.dev/v1\nkind: Agent\nmetadata: {name: consumer}\nspec:\n"
        f"  python: {{path: src}}\n  tools:\n{tools}\n"
    )


def offered(name: str, kwargs: dict[str, Any], *tags: str) -> dict[str, Any]:
    return {
        "function_name": name,
        "capability": name,
        "version": "1.0.0",
        "tags": list(tags),
        "kwargs": kwargs,
    }


def register(registry: RegistryProcess, peer: Peer, identity: str, *tools: dict[str, Any]) -> None:
    patient = {"incarnation": 1, "interval_seconds": 60}
    registry.post(identity, *tools, name=identity, http_port=peer.port, meshd=patient)


class Scene:
    """A consumer, and its two providers."""

    def __init__(self, mesh: Mesh, left: Peer, right: Peer) -> None:
        self.left = left
        self.right = right
        self.endpoint = mesh.endpoint("consumer")

    def call(self, tool: str, headers: dict[str, str] | None = None, **arguments: Any) -> Any:
        """Call a tool of the consumer; return its result, or its error as text."""
        own, body = call_request("modern", tool, arguments)
        url = f"{self.endpoint}/mcp"
        answer = httpx2.post(url, headers=own | (headers or {}), json=body, timeout=20)
        result = answer.json()["result"]
        if result["isError"]:
            return str(result["content"][0]["text"])
        return result["structuredContent"]["result"]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Generator[Scene]:
    folder = tmp_path_factory.mktemp("settings")
    project = folder / "project"
    (project / "src").mkdir(parents=True)
    (project / "src" / "ask.py").write_text(MODULE)
    (project / "meshd.toml").write_text("")
    hedge = {"meshd": {"read_only": True}}
    with (
        running_registry(folder, "--store", "memory") as registry,
        running_peer() as left,
        running_peer() as right,
    ):
        tools = [offered(name, kwargs) for name, kwargs in TOOLS.items()]
        both = (offered("both", {}, "near"), offered("hedged", hedge))
        register(registry, left, "left-1", *tools, *both)
        register(registry, right, "right-1", offered("both", {}), offered("hedged", hedge))
        (project / "mesh.yaml").write_text(manifest(registry.url))
        environment = {"PEER_TOKEN": "t0ken"}
        with running_mesh(project, folder=folder, environment=environment) as mesh:
            until(lambda: _is_wired(mesh))
            yield Scene(mesh, left, right)


def _is_wired(mesh: Mesh) -> bool:
    needs = [need for agent in mesh.view()["agents"] for need in agent["needs"]]
    return len(needs) == len(NEEDS) and all(need["providers"] for need in needs)


@pytest.mark.parametrize(("tool", "seconds"), [("slow", "0.4"), ("slow_nearer", "0.2")])
def test_timeout(scene: Scene, tool: str, seconds: str) -> None:
    scene.left.answers["slow"] = after(1.0, {})
    assert f"`left-1.slow` did not answer within {seconds} s" in scene.call(tool)
    assert float(scene.left.of("slow")[-1].headers["meshd-timeout"]) <= float(seconds)
    assert scene.left.of("slow")[-1].headers["x-mesh-timeout"] == "1"


def test_retries(scene: Scene) -> None:
    scene.left.answers["harmless"] = lambda number: BREAK if number < 3 else {"n": number}
    assert scene.call("harmless") == {"n": 3}
    scene.left.asked["harmless"].clear()
    assert "the tool may have run" in scene.call("unretried")
    assert len(scene.left.of("harmless")) == 1


def test_what_may_have_run_is_not_tried_again(scene: Scene) -> None:
    scene.left.answers["unharmless"] = lambda _: BREAK
    before = len(scene.left.of("unharmless"))
    assert "the tool may have run" in scene.call("unharmless")
    assert len(scene.left.of("unharmless")) == before + 1


def test_retries_after_a_tool_failed(scene: Scene) -> None:
    def answer(number: int) -> Any:
        return failure(scene.left.of("failing")[-1].id, "not today") if number < 3 else "done"

    scene.left.answers["failing"] = answer
    assert scene.call("failing") == "done"
    assert len(scene.left.of("failing")) == 3


def test_headers(scene: Scene) -> None:
    assert scene.call("dressed") == {"n": 1}
    headers = scene.left.of("dressed")[-1].headers
    assert {name: headers[name] for name in ("x-tool", "x-need", "x-both")} == {
        "x-tool": "far",
        "x-need": "near",
        "x-both": "near",
    }


def test_propagation(scene: Scene) -> None:
    sent = {"X-Tenant": "blue", "X-Other": "red", "Authorization": "Bearer mine"}
    assert scene.call("tenant", sent) == {"n": 1}
    headers = scene.left.of("plain")[-1].headers
    assert headers["x-tenant"] == "blue"
    assert headers.keys().isdisjoint({"x-other", "authorization"})
    assert scene.call("plain", sent) == {"n": 1}
    assert "x-tenant" not in scene.left.of("plain")[-1].headers


def test_the_trace_is_handed_on(scene: Scene) -> None:
    assert scene.call("plain", {"traceparent": TRACE, "tracestate": "a=b"}) == {"n": 1}
    asked = scene.left.of("plain")[-1]
    assert (asked.headers["traceparent"], asked.headers["tracestate"]) == (TRACE, "a=b")
    assert asked.params["_meta"]["traceparent"] == TRACE


def test_deadlines_shrink_from_hop_to_hop(scene: Scene) -> None:
    assert scene.call("plain", {"Meshd-Timeout": "7.5"}) == {"n": 1}
    headers = scene.left.of("plain")[-1].headers
    assert 6.0 < float(headers["meshd-timeout"]) <= 7.5
    assert headers["x-mesh-timeout"] in {"7", "8"}
    assert scene.call("plain", {"X-Mesh-Timeout": "3"}) == {"n": 1}
    assert 2.0 < float(scene.left.of("plain")[-1].headers["meshd-timeout"]) <= 3.0


def test_tokens(scene: Scene) -> None:
    assert scene.call("locked") == {"n": 1}
    assert scene.left.of("locked")[-1].headers["authorization"] == "Bearer t0ken"
    assert scene.call("unlocked") == {"n": 1}
    assert "authorization" not in scene.left.of("plain")[-1].headers
    scene.left.answers["locked"] = lambda _: Said(b"{}", status=401)
    answer = scene.call("tokenless")
    assert "call.auth" in answer
    assert "authorization" not in scene.left.of("locked")[-1].headers


def test_balance(scene: Scene) -> None:
    def asked() -> tuple[int, int]:
        return len(scene.left.of("both")), len(scene.right.of("both"))

    before = asked()
    for _ in range(6):
        scene.call("turns")
    assert asked() == (before[0] + 3, before[1] + 3)
    before = asked()
    for _ in range(4):
        scene.call("first")
    assert sorted(now - then for now, then in zip(asked(), before, strict=True)) == [0, 4]
    before = asked()
    for _ in range(6):
        scene.call("preferred")
    assert asked() == (before[0] + 6, before[1])


def test_breaker(scene: Scene) -> None:
    scene.left.answers["unharmless"] = lambda _: BREAK
    for _ in range(2):
        scene.call("breaking")
    before = len(scene.left.of("unharmless"))
    answer = scene.call("breaking")
    assert "failed so often that calls pause" in answer
    assert len(scene.left.of("unharmless")) == before


def test_concurrency(scene: Scene) -> None:
    scene.left.answers["halting"] = after(0.5, {})
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(scene.call, ["alone", "alone"]))
    assert sum(answer == {} for answer in answers) == 1
    assert len(scene.left.of("halting")) == 1


def test_hedging(scene: Scene) -> None:
    scene.left.answers["hedged"] = after(1.0, "left")
    scene.right.answers["hedged"] = after(1.0, "right")
    scene.call("hedged")
    assert (len(scene.left.of("hedged")), len(scene.right.of("hedged"))) == (1, 1)


def test_streaming(scene: Scene) -> None:
    def answer(_: int) -> Said:
        asked = scene.left.of("chunks")[-1]
        token = asked.params["_meta"]["progressToken"]
        told = [
            {
                "jsonrpc": "2.0",
                "method": "notifications/progress",
                "params": {"progressToken": token, "progress": number, "message": text},
            }
            for number, text in enumerate(["one", "two"], 1)
        ]
        events = "".join(f"event: message\r\ndata: {json.dumps(each)}\r\n\r\n" for each in told)
        end: dict[str, Any] = {
            "jsonrpc": "2.0",
            "id": asked.id,
            "result": {"content": [], "isError": False},
        }
        events += f"event: message\r\ndata: {json.dumps(end)}\r\n\r\n"
        return Said(events.encode(), kind="text/event-stream")

    scene.left.answers["chunks"] = answer
    assert scene.call("chunks") == ["one", "two"]
