"""The requests of an instance to a registry, over real sockets."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from meshd.clock import SystemClock
from meshd.daemon.ports import Port
from meshd.errors import RegistrationRefused, RegistryAway
from meshd.runtime.http import serving
from meshd.runtime.registry_client import RegistryClient
from tests.runtime.servers import raw


class FakeRegistry:
    """Answers with what a test says; notes requests."""

    def __init__(self) -> None:
        self.status = 200
        self.body: Any = {"status": "success", "message": "", "agent_id": "a-1"}
        self.seen: list[tuple[str, str, str, Any]] = []

    async def answer(self, request: Request) -> Response:
        """Answer with a body: bytes as they are, all else as JSON."""
        body = await request.body()
        header = request.headers.get("x-meshd-incarnation", "")
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        self.seen.append((request.method, path, header, json.loads(body) if body else None))
        if self.body is None or isinstance(self.body, bytes):
            return Response(self.body, self.status)
        return JSONResponse(self.body, self.status)


@asynccontextmanager
async def registry() -> AsyncGenerator[tuple[FakeRegistry, RegistryClient], None]:
    fake = FakeRegistry()
    app = Starlette(
        routes=[Route("/{path:path}", fake.answer, methods=["GET", "POST", "DELETE", "HEAD"])]
    )
    port = Port("127.0.0.1", 0)
    port.open()
    async with (
        serving(app, [port.duplicate()], SystemClock(), grace_seconds=1),
        RegistryClient(port.endpoint.url) as client,
    ):
        yield fake, client
    port.close()


@pytest.mark.parametrize(
    ("status", "standing"), [(200, "unchanged"), (202, "changed"), (410, "unknown")]
)
async def test_a_short_heartbeat(status: int, standing: str) -> None:
    async with registry() as (fake, client):
        fake.status, fake.body = status, None
        assert await client.beat("a-1", 7) == standing
        assert fake.seen == [("HEAD", "/heartbeat/a-1", "7", None)]


@pytest.mark.parametrize("status", [301, 404, 500, 503])
async def test_any_other_status_means_away(status: int) -> None:
    async with registry() as (fake, client):
        fake.status, fake.body = status, None
        with pytest.raises(RegistryAway, match=f"HTTP {status}"):
            await client.beat("a-1", 7)
        with pytest.raises(RegistryAway, match=f"HTTP {status}"):
            await client.register({})


async def test_a_full_heartbeat_returns_the_answer() -> None:
    async with registry() as (fake, client):
        assert await client.register({"agent_id": "a-1"}) == fake.body
        assert fake.seen == [("POST", "/heartbeat", "", {"agent_id": "a-1"})]


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, {"status": "error", "message": "a cycle"}, "a cycle"),
        (400, {"error": "no `agent_id`"}, "no `agent_id`"),
        (403, {"error": "not yours"}, "not yours"),
        (400, b"<html>", "HTTP 400 without a reason"),
        (400, {"error": 4}, "without a reason"),
        (400, ["no"], "without a reason"),
    ],
)
async def test_a_refusal_has_its_reason(status: int, body: Any, reason: str) -> None:
    async with registry() as (fake, client):
        fake.status, fake.body = status, body
        with pytest.raises(RegistrationRefused, match=reason):
            await client.register({})


async def test_leaving_may_have_a_reason() -> None:
    async with registry() as (fake, client):
        fake.status, fake.body = 204, None
        await client.leave("a-1", 7, "process_died")
        await client.leave("a-1", 7)
        assert [seen[:3] for seen in fake.seen] == [
            ("DELETE", "/agents/a-1?reason=process_died", "7"),
            ("DELETE", "/agents/a-1", "7"),
        ]


async def test_who_does_not_answer_is_away() -> None:
    port = Port("127.0.0.1", 0)
    async with RegistryClient(port.endpoint.url) as client:
        with pytest.raises(RegistryAway):
            await client.beat("a-1", 7)
    port.close()


async def test_an_address_that_is_none_is_away() -> None:
    async with RegistryClient("http://no such host") as client:
        with pytest.raises(RegistryAway):
            await client.register({})


@pytest.mark.parametrize("body", [b"", b"<html>", b"[" * 100_000])
async def test_an_answer_that_is_no_json_is_none(body: bytes) -> None:
    async with registry() as (fake, client):
        fake.body = body
        assert await client.register({}) is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
async def test_what_cannot_be_written_is_refused(value: object) -> None:
    async with registry() as (fake, client):
        with pytest.raises(RegistrationRefused, match="cannot be written as JSON"):
            await client.register({"tools": [value]})
        assert fake.seen == []


async def test_text_that_is_no_unicode_is_sent_as_json_escapes_it() -> None:
    async with registry() as (fake, client):
        await client.register({"description": "half \ud83d"})
        assert fake.seen[0][3] == {"description": "half \ud83d"}


@pytest.mark.parametrize(
    "url", ["http://[::1", "ftp://there", "", "http://a\nb", "https://127.0.0.1:1", "http://\ud800"]
)
async def test_where_no_registry_can_be_is_away(url: str) -> None:
    async with RegistryClient(url) as client:
        with pytest.raises(RegistryAway):
            await client.leave("a-1", 7)


async def test_a_slash_at_the_end_of_the_address_does_not_matter() -> None:
    async with registry() as (fake, client), RegistryClient(f"{client.url}/") as other:
        await other.beat("a-1", 7)
        assert fake.seen[0][1] == "/heartbeat/a-1"


async def test_a_registry_that_hangs_up_is_away() -> None:
    async with raw(b"") as url, RegistryClient(url) as client:
        with pytest.raises(RegistryAway):
            await client.register({})
