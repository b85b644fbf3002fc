"""The fast lane answers what FastMCP answers: more than 10,000 requests, the same on each run.

`python -m tests.differential --cases 200000 --seed 7` is the longer run.
"""

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from tests.differential.agent import LOCKED, TOKEN
from tests.differential.apps import Apps, two_apps
from tests.differential.each import each
from tests.differential.requests import (
    HANDSHAKES,
    META,
    QUIETLY,
    Draft,
    calls,
    modern,
    older,
)
from tests.differential.wire import Request

CASES = 5_400
"""Beside those that ask for every odd thing once."""
SHOWN = 5
LIMIT = 4 * 1024 * 1024


@pytest.fixture(scope="module")
def apps() -> Generator[Apps, None, None]:
    with two_apps() as made:
        yield made


def assert_alike(apps: Apps, requests: list[Request]) -> None:
    found = [f"{text}\n\n{one}" for one in requests if (text := apps.difference(one))]
    assert not found, "\n\n---\n".join([f"{len(found)} differences", *found[:SHOWN]])


@pytest.mark.no_cover  # tracing takes as long again; what runs here has tests of its own
@pytest.mark.timeout(240)
def test_every_odd_request_is_answered_alike(apps: Apps) -> None:
    requests = list(each())
    assert len(requests) > 4_500
    assert_alike(apps, requests)


@pytest.mark.no_cover  # tracing takes as long again; what runs here has tests of its own
@pytest.mark.timeout(240)
def test_it_answers_what_fastmcp_answers(apps: Apps) -> None:
    before = apps.asked, apps.by_lane

    @settings(QUIETLY, max_examples=CASES // 2)
    @given(calls(apps.signatures))
    def ask(requests: tuple[Request, ...]) -> None:
        for request in requests:
            text = apps.difference(request)
            assert not text, f"{text}\n\n{request}"

    ask()
    asked, by_lane = apps.asked - before[0], apps.by_lane - before[1]
    assert asked >= CASES
    # Otherwise FastMCP is compared with itself.
    assert by_lane > asked / 2


CLIENTS_META = {
    "progressToken": 1,
    f"{META}logLevel": "debug",
    f"{META}clientInfo": {"name": "mcp", "version": "0.1.0"},
}
PLAIN: tuple[tuple[str, dict[str, Any]], ...] = (
    ("add", {"a": 1, "b": 2}),
    ("add_in_a_thread", {"a": 1}),
    ("add", {"a": "one"}),
    ("order", {"order": {"number": 1, "items": [{"name": "é", "price": "1.50"}]}}),
    ("result", {"kind": "mixed"}),
    ("raises", {"kind": "tool"}),
    ("raises_in_a_thread", {"kind": "value"}),
    ("objects", {"kind": "object"}),
    ("ticks", {"n": 3}),
    ("lines", {"text": "a\nb"}),
    ("breaking", {"after": 2}),
    ("renamed", {"given-name": 1}),
    ("dotted.name-of_a.tool", {"a": 1, "b": 2}),
    ("traced", {"_trace_id": "1", "_parent_span": "2", "value": 3}),
)


@pytest.mark.parametrize("meta", [{}, CLIENTS_META], ids=["bare", "as FastMCP's client"])
@pytest.mark.parametrize(("tool", "arguments"), PLAIN)
def test_plain_calls_take_the_lane(
    apps: Apps, tool: str, arguments: dict[str, Any], meta: dict[str, Any]
) -> None:
    drafts = [modern(tool, arguments), *(older(tool, arguments, 1, v) for v in ("", *HANDSHAKES))]
    for draft in drafts:
        if meta:
            draft.meta.update(meta)
        lane, plain = apps.both(draft.request())
        assert (lane.status, lane.by_starlette, plain.by_starlette) == (200, False, True)


def listing(method: str, **params: Any) -> Draft:
    draft = modern("", {})
    draft.envelope["method"] = method
    draft.envelope["params"] = {"_meta": draft.meta, **params}
    draft.put(b"mcp-method", method.encode())
    draft.put(b"mcp-name")
    return draft


def handshake(method: str, **params: Any) -> Draft:
    draft = older("", {})
    draft.envelope |= {"method": method, "params": params}
    return draft


CLIENT = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": CLIENTS_META}


@pytest.mark.parametrize(
    "draft",
    [
        modern("with_context", {"text": "a"}),
        modern("content", {"text": "a"}),
        older("with_context", {}),
        modern("headers", {}),
        older("path_in_a_thread", {}),
        listing("tools/list"),
        listing("server/discover"),
        listing("prompts/list"),
        listing("resources/list"),
        listing("tools/nope"),
        handshake("initialize", **CLIENT),
        handshake("tools/list"),
        handshake("ping"),
    ],
    ids=lambda draft: f"{draft.envelope['method']} {draft.tool}",
)
def test_what_is_not_plain_is_answered_by_fastmcp(apps: Apps, draft: Draft) -> None:
    lane, _ = apps.both(draft.request())
    assert lane.by_starlette
    assert not apps.difference(draft.request())


@pytest.mark.parametrize("pieces", [1, 2, 65])
@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT, LIMIT + 1, 2 * LIMIT])
def test_a_body_may_be_as_large_as_fastmcp_takes(apps: Apps, size: int, pieces: int) -> None:
    for draft in (modern("shout", {"text": "x"}), older("shout", {"text": "x"})):
        request = draft.request()
        body = request.body + b" " * (size - len(request.body))
        step = -(-size // pieces)
        chunks = tuple(body[at : at + step] for at in range(0, size, step))
        lane, plain = apps.both(replace(request, chunks=chunks))
        assert lane == plain
        assert lane.status == (200 if size <= LIMIT else 413)


AUTHORIZATIONS = (
    b"Bearer " + TOKEN.encode(),
    b"bearer " + TOKEN.encode(),
    b"Bearer  " + TOKEN.encode(),
    b"Bearer\t" + TOKEN.encode(),
    b"Bearer " + TOKEN.encode() + b" ",
    b"Bearer " + TOKEN.encode()[:-1],
    b"Bearer " + TOKEN.encode().upper(),
    b"Bearer other, Bearer " + TOKEN.encode(),
    b"Bearer",
    b"Bearer ",
    b"Basic " + TOKEN.encode(),
    TOKEN.encode(),
    b"",
    b"\xff",
)


@pytest.mark.timeout(30)
def test_tokens_are_demanded_alike() -> None:
    requests: list[Request] = []
    for tool in (LOCKED, "add"):
        for draft in (modern(tool, {"a": 1, "b": 2}), older(tool, {"a": 1, "b": 2})):
            one = draft.request()
            requests += [one, *(one.with_header(b"authorization", a) for a in AUTHORIZATIONS)]
            right = AUTHORIZATIONS[0]
            requests.append(one.with_header(b"authorization", right, right))
            requests.append(one.with_header(b"authorization", b"Bearer x", right))
            requests.append(replace(one, chunks=(one.body[:50], one.body[50:])))
            requests.append(replace(one, chunks=(b"[" + one.body + b"]",)))
            requests.append(replace(one, chunks=(one.body.replace(b"name", b"n\\u0061me"),)))
            requests.append(replace(one, chunks=(one.body.replace(b"locked", b"l\\u006fcked"),)))
            twice = one.body.replace(b'"name"', b'"name":"add","name"')
            requests.append(replace(one, chunks=(twice,)))
    with two_apps(locked=True) as apps:
        assert_alike(apps, requests)
        statuses = [apps.both(request)[0].status for request in requests[:3]]
        assert statuses == [401, 200, 200]


@pytest.mark.timeout(30)
def test_a_limit_of_ones_own_holds_for_both() -> None:
    requests: list[Request] = []
    for tool in (LOCKED, "add"):
        for draft in (modern(tool, {"a": 1, "b": 2}), older(tool, {"a": 1, "b": 2})):
            one = draft.request().with_header(b"authorization", AUTHORIZATIONS[0])
            for size in (999, 1_000, 1_001, 5_000):
                body = one.body + b" " * (size - len(one.body))
                length = b"%d" % size
                requests.append(replace(one, chunks=(body,)))
                requests.append(replace(one, chunks=(body[:500], body[500:])))
                requests.append(replace(one, chunks=(body,)).with_header(b"content-length", length))
    for locked in (True, False):
        with two_apps(locked=locked, max_bytes=1_000) as apps:
            assert_alike(apps, requests)
            assert {apps.both(request)[0].status for request in requests} == {200, 413}


NAMES = (
    b"127.0.0.1",
    b"127.0.0.1:8000",
    b"localhost",
    b"LOCALHOST:8000",
    b"[::1]",
    b"[::1]:8000",
    b"::1",
    b"mesh.example",
    b"mesh.example:8000",
    b"Mesh.Example",
    b"a.mesh.example",
    b"mesh.example.",
    b"10.0.0.1",
    b"evil.example",
    b"*",
    b"",
    b"mesh.example:port",
    b"mesh.example:99999",
)


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "hosts", [("*",), ("mesh.example",), ("10.0.0.1", "mesh.example"), ("::1",)]
)
def test_it_may_be_named_alike(hosts: tuple[str, ...]) -> None:
    one = modern("add", {"a": 1, "b": 2}).request()
    named = [one.with_header(b"host", name) for name in NAMES]
    origins = [None, *(b"http://" + name for name in NAMES), b"https://mesh.example", b"null"]
    requests = [
        request if origin is None else request.with_header(b"origin", origin)
        for request in named
        for origin in origins
    ]
    with two_apps(hosts=hosts) as apps:
        assert_alike(apps, requests)
        assert apps.by_lane > 0


# What was different once

REGRESSIONS: dict[str, Draft] = {
    "a chunk that is MCP content": modern("chunks", {"kinds": ["one", "text content"]}),
    "code that asks for the request's headers": modern("headers", {}),
    "code that asks for the request in a thread": modern("path_in_a_thread", {}),
    "MCP content of a tool that declares nothing": modern("result", {"kind": "text content"}),
}


@pytest.mark.parametrize("draft", REGRESSIONS.values(), ids=REGRESSIONS)
def test_what_was_different_once(apps: Apps, draft: Draft) -> None:
    assert_alike(apps, [draft.request()])


def test_a_length_that_is_too_large_is_believed(apps: Apps) -> None:
    request = modern("add", {"a": 1, "b": 2}).request()
    lane, plain = apps.both(request.with_header(b"content-length", b"5000000"))
    assert (lane, lane.status) == (plain, 413)
