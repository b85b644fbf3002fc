"""The registry over HTTP: methods, statuses, bodies and filters."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import orjson
import pytest
from starlette.types import Message, Receive, Scope, Send

from meshd import __version__
from meshd.registry.app import ENDPOINTS, registry_app
from meshd.registry.guard import guarded
from meshd.registry.keeper import Keeper
from meshd.registry.registered import Limits
from meshd.registry.registration import MAX_BODY_BYTES
from meshd.registry.stores.memory import MemoryStore
from tests.registry.meshes import Json, VirtualClock, body, needs, tool

HOME = "http://127.0.0.1:8000"


@pytest.fixture
def keeper() -> Keeper:
    return Keeper(MemoryStore(), VirtualClock(), Limits(instances=3))


@pytest.fixture
async def http(keeper: Keeper) -> AsyncIterator[httpx2.AsyncClient]:
    app = guarded(registry_app(keeper), ("mesh.example",))
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url=HOME) as client:
        yield client


async def post(http: httpx2.AsyncClient, identity: str, *tools: Json, **more: Any) -> Json:
    answer = await http.post("/heartbeat", json=body(identity, *tools, **more))
    assert answer.status_code == 200
    return answer.json()


async def head(http: httpx2.AsyncClient, identity: str, **headers: str) -> int:
    answer = await http.head(f"/heartbeat/{identity}", headers=headers)
    assert (answer.content, answer.headers["content-length"]) == (b"", "0")
    return answer.status_code


async def test_heartbeats_are_answered_by_status_alone(http: httpx2.AsyncClient) -> None:
    assert await head(http, "a-1") == 410
    await post(http, "a-1", tool("a", needs("b")))
    assert await head(http, "a-1") == 200
    await post(http, "b-1", tool("b"))
    assert [await head(http, "a-1") for _ in range(4)] == [202] * 4
    await post(http, "a-1", tool("a", needs("b")))
    assert await head(http, "a-1") == 200


async def test_deleting_is_204_whoever_is_deleted(http: httpx2.AsyncClient) -> None:
    await post(http, "a-1", tool("a"))
    answers = [await http.delete(f"/agents/{name}") for name in ("a-1", "a-1", "nobody")]

    assert [(each.status_code, each.content) for each in answers] == [(204, b"")] * 3
    assert await head(http, "a-1") == 410


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("", "graceful_shutdown"),
        ("?reason=", "graceful_shutdown"),
        ("?reason=process_died", "process_died"),
        ("?reason=out%20of%20memory", "out of memory"),
        (f"?reason={'x' * 100}", "x" * 100),
        (f"?reason={'x' * 101}", "graceful_shutdown"),
        ("?reason=a%0Ab", "graceful_shutdown"),
        ("?reason=%00", "graceful_shutdown"),
        ("?why=process_died", "graceful_shutdown"),
    ],
)
async def test_deleting_may_have_a_reason(http: httpx2.AsyncClient, asked: str, told: str) -> None:
    await post(http, "a-1", tool("a"))
    assert (await http.delete(f"/agents/a-1{asked}")).status_code == 204

    [event] = (await http.get("/events?type=unregister")).json()["events"]
    assert event["data"]["reason"] == told


async def test_an_old_start_neither_renews_nor_ends_the_new_one(http: httpx2.AsyncClient) -> None:
    await post(http, "a-1", tool("a"), meshd={"incarnation": 2})

    assert await head(http, "a-1", **{"X-Meshd-Incarnation": "1"}) == 410
    assert await head(http, "a-1", **{"X-Meshd-Incarnation": "2"}) == 200
    assert await head(http, "a-1", **{"X-Meshd-Incarnation": "x"}) == 200
    answer = await http.delete("/agents/a-1", headers={"X-Meshd-Incarnation": "1"})
    assert answer.status_code == 409
    assert answer.json()["error"] == "incarnation 1 of `a-1` is stale: 2 is registered"


async def test_what_was_understood_and_not_taken_is_200_with_an_error(
    http: httpx2.AsyncClient,
) -> None:
    await post(http, "x-1", tool("x", needs("y", required=True)))

    assert await post(http, "y-1", tool("y", needs("x", required=True))) == {
        "status": "error",
        "timestamp": "2026-01-01T00:00:00Z",
        "message": "required dependency cycle: y → x → y",
        "agent_id": "y-1",
    }
    assert (await post(http, "Wrong_Name"))["status"] == "error"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "the body is not JSON"),
        (b"[]", "the body is not a JSON object"),
        (b" " * (MAX_BODY_BYTES + 1), "the registration is larger than 1048576 bytes"),
    ],
)
async def test_what_cannot_be_read_is_400(
    http: httpx2.AsyncClient, content: bytes, reason: str
) -> None:
    answer = await http.post("/heartbeat", content=content)

    assert answer.status_code == 400
    assert reason in answer.json()["error"]


async def test_a_full_registry_is_503(http: httpx2.AsyncClient) -> None:
    for name in ("a-1", "b-1", "c-1"):
        await post(http, name)
    answer = await http.post("/heartbeat", json=body("d-1"))

    assert answer.status_code == 503
    assert answer.json()["error"].startswith("the registry is full")


async def test_warnings_come_with_success(http: httpx2.AsyncClient) -> None:
    answer = await post(http, "a-1", tool("a", llm_filter={"filter": []}), description="é" * 300)

    assert answer["warnings"] == [
        "`do_a`: this registry resolves no LLM tools and providers",
        "description truncated from 300 to 256 chars",
    ]
    assert (answer["llm_tools"], answer["llm_providers"]) == ({"do_a": []}, {})


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["a-1", "b-1", "c-1"]),
        ("status=healthy", ["a-1", "b-1"]),
        ("status=unhealthy", ["c-1"]),
        ("namespace=prod", ["b-1"]),
        ("type=api", ["c-1"]),
        ("capabilities=alpha", ["a-1"]),
        ("capabilities=alpha&capabilities=beta", ["a-1", "b-1"]),
        ("capabilities=alpha,%20beta", ["a-1", "b-1"]),
        ("capabilities=ALPH", []),
        ("capabilities=ALPH&fuzzy=true", ["a-1"]),
        ("capabilities=alpha&namespace=prod", []),
        ("tags=ignored", ["a-1", "b-1", "c-1"]),
    ],
)
async def test_agents_are_listed_and_filtered(
    http: httpx2.AsyncClient, query: str, found: list[str]
) -> None:
    await post(http, "a-1", tool("alpha"))
    await post(http, "b-1", tool("beta"), namespace="prod")
    await post(http, "c-1", tool("gamma"), agent_type="api")
    await http.delete("/agents/c-1")

    answer = (await http.get(f"/agents?{query}")).json()
    assert [each["id"] for each in answer["agents"]] == found
    assert (answer["count"], answer["timestamp"]) == (len(found), "2026-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (
            "",
            [
                "dependency_unresolved a-1",
                "unregister b-1",
                "dependency_resolved a-1",
                "register b-1",
                "dependency_unresolved a-1",
                "register a-1",
            ],
        ),
        ("limit=2", ["dependency_unresolved a-1", "unregister b-1"]),
        ("type=register", ["register b-1", "register a-1"]),
        ("type=resolved", ["dependency_resolved a-1"]),
        ("type=dependency_resolved", ["dependency_resolved a-1"]),
        ("agent_id=b-1&type=unregister", ["unregister b-1"]),
        ("function_name=do_a&limit=1", ["dependency_unresolved a-1"]),
    ],
)
async def test_events_are_listed_newest_first(
    http: httpx2.AsyncClient, query: str, found: list[str]
) -> None:
    needing = tool("a", needs("b"))
    await post(http, "a-1", needing)
    await post(http, "b-1", tool("b"))
    await post(http, "a-1", needing)
    await http.delete("/agents/b-1")

    answer = (await http.get(f"/events?{query}")).json()
    shown = [f"{each['event_type']} {each['agent_id']}" for each in answer["events"]]
    assert (shown, answer["count"]) == (found, len(found))


async def test_an_agent_that_comes_back_registers_with_the_reason_recovery(
    http: httpx2.AsyncClient,
) -> None:
    await post(http, "a-1", tool("a"))
    await http.delete("/agents/a-1")
    await post(http, "a-1", tool("a"))

    newest, *_ = (await http.get("/events?type=recovered")).json()["events"]
    assert newest == {
        "event_type": "register",
        "agent_id": "a-1",
        "agent_name": "a-1",
        "timestamp": "2026-01-01T00:00:00Z",
        "data": {
            "reason": "recovery",
            "agent_type": "mcp_agent",
            "name": "a-1",
            "version": "1.0.0",
            "old_status": "unhealthy",
            "new_status": "healthy",
            "detected_at": "2026-01-01T00:00:00+00:00",
            "source": "status_change_hook",
        },
    }


@pytest.mark.parametrize("limit", ["0", "501", "x", "-1", "1.5", "99999"])
async def test_a_limit_that_cannot_be_is_400(http: httpx2.AsyncClient, limit: str) -> None:
    answer = await http.get(f"/events?limit={limit}")

    assert answer.status_code == 400
    assert answer.json()["error"] == "`limit` is a whole number from 1 to 500"


async def test_health_says_whether_the_store_works(
    http: httpx2.AsyncClient, keeper: Keeper
) -> None:
    healthy = await http.get("/health")
    keeper.problem = "the disk is full"
    degraded = await http.get("/health")

    assert (healthy.status_code, healthy.json()) == (
        200,
        {
            "status": "healthy",
            "version": __version__,
            "uptime_seconds": 0,
            "timestamp": "2026-01-01T00:00:00Z",
            "service": "meshd-registry",
            "revision": 0,
            "store": {"kind": "memory", "status": "ok"},
        },
    )
    assert degraded.json()["status"] == "degraded"
    assert degraded.json()["store"] == {
        "kind": "memory",
        "status": "failed",
        "reason": "the disk is full",
    }
    headers = (await http.head("/health")).headers
    assert (headers["X-Health-Status"], headers["X-Uptime-Seconds"]) == ("degraded", "0")


async def test_the_root_names_the_endpoints(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/")).json() == {
        "service": "meshd-registry",
        "version": __version__,
        "status": "running",
        "endpoints": list(ENDPOINTS),
    }


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/jobs/claim", 404), ("GET", "/heartbeat", 405), ("GET", "/agents/a-1", 405)],
)
async def test_what_is_not_there_is_answered_with_a_reason(
    http: httpx2.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await http.request(method, path)

    assert answer.status_code == status
    assert answer.json()["error"].startswith(f"{method} {path}: ")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:8000"}, 200),
        ({"host": "[::1]:8000"}, 200),
        ({"host": "MESH.example"}, 200),
        ({"host": "evil.example"}, 421),
        ({"host": "evil.example:8000"}, 421),
        ({"host": "127.0.0.1.evil.example"}, 421),
        ({"host": "0.0.0.0:8000"}, 421),
        ({"origin": HOME}, 200),
        ({"origin": "http://localhost:3000"}, 200),
        ({"host": "mesh.example", "origin": "http://mesh.example"}, 200),
        ({"host": "mesh.example", "origin": "http://localhost:3000"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://[x"}, 403),
        ({"origin": "http://127.0.0.1:8000@evil.example"}, 403),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/agents"), ("HEAD", "/heartbeat/a-1"), ("DELETE", "/agents/b")]
)
async def test_no_web_page_reaches_the_registry(
    http: httpx2.AsyncClient, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    await post(http, "a-1", tool("a"))
    answer = await http.request(method, path, headers=headers)

    assert (answer.status_code if answer.status_code > 400 else 200) == status


async def test_any_host_will_do_where_it_was_said_so_but_no_foreign_origin(keeper: Keeper) -> None:
    app = guarded(registry_app(keeper), (), any_host=True)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://registry:8000") as http:
        assert (await http.get("/agents")).status_code == 200
        answer = await http.get("/agents", headers={"origin": "http://evil.example"})
        assert answer.status_code == 403


async def test_the_guard_lets_other_kinds_of_connections_pass() -> None:
    seen: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["type"])

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    async def send(_: Message) -> None:
        raise AssertionError("nothing is sent")

    await guarded(app, ())({"type": "lifespan"}, receive, send)
    assert seen == ["lifespan"]


async def test_a_client_that_leaves_while_it_registers_registers_nothing(keeper: Keeper) -> None:
    messages = [
        {"type": "http.request", "body": orjson.dumps(body("a-1"))[:9], "more_body": True},
        {"type": "http.disconnect"},
    ]
    statuses: list[int] = []

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        statuses.append(message.get("status", 0))

    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": "/heartbeat",
        "headers": [],
        "query_string": b"",
    }
    await registry_app(keeper)(scope, receive, send)

    assert statuses[0] == 400
    assert list(keeper.registry.records()) == []
