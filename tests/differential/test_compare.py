"""The comparison itself: what counts as a difference, and that wrong lanes are found out."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, given, settings

from tests.differential.apps import two_apps
from tests.differential.compare import difference
from tests.differential.each import results, ways
from tests.differential.requests import QUIETLY, calls
from tests.differential.wire import Answer, Request, asked

JSON = ((b"content-type", b"application/json"),)
EVENTS = ((b"content-type", b"text/event-stream"),)


def answer(body: bytes = b"", headers: Any = JSON, status: int = 200, failure: str = "") -> Answer:
    return Answer(status, headers, body, failure)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"a":1,"b":[]}', b' {"b": [], "a": 1}\n'),
        (b'"\\u00e9\\/\\n"', b'"\xc3\xa9/\\u000a"'),
        (b"1E2", b"100.0"),
        (b'"\\ud83c\\udf89"', b'"\xf0\x9f\x8e\x89"'),
    ],
)
def test_the_same_json_in_other_words(one: bytes, other: bytes) -> None:
    assert difference(answer(one), answer(other)) == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"1", b"1.0"),
        (b"1", b"true"),
        (b"0.0", b"-0.0"),
        (b"0", b"null"),
        (b"9223372036854775808", b"9223372036854775809"),
        (b"9223372036854775808", b"9.223372036854775808e18"),
        (b"1" + b"0" * 5_000, b"1" + b"0" * 4_999 + b"1"),
        (b"NaN", b"null"),
        (b'{"a":1}', b'{"a":1,"a":1}'),
        (b'{"a":null}', b"{}"),
        (b"[1,2]", b"[2,1]"),
        (b'"1"', b"1"),
        (b'"\xff"', b'"\xfe"'),
        (b"{}", b""),
    ],
)
def test_another_json(one: bytes, other: bytes) -> None:
    assert difference(answer(one), answer(other)).startswith("body: ")


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (answer(b"{}", status=202), "status"),
        (answer(b"{}", ()), "headers"),
        (answer(b"{}", (*JSON, *JSON)), "headers"),
        (answer(b"{}", (*JSON, (b"mcp-session-id", b"1"))), "headers"),
        (answer(b"{}", ((b"content-type", b"application/json; charset=utf-8"),)), "headers"),
        (answer(b"{}", (*JSON, (b"content-length", b"2"))), "length"),
        (answer(b"{}", failure="raised OSError"), "failure"),
        (answer(b"{} "), ""),
        (answer(b"{}", (*JSON, (b"date", b"today"))), ""),
    ],
)
def test_what_is_compared_beside_the_body(other: Answer, what: str) -> None:
    assert difference(answer(b"{}"), other).partition(":")[0] == what


def test_a_wrong_length_is_a_difference() -> None:
    right = answer(b"{}", (*JSON, (b"content-length", b"2")))
    wrong = answer(b"{}", (*JSON, (b"content-length", b"3")))
    assert difference(right, wrong) == "length: 'right' is not \"b'3' for 2\""


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (b'event: message\ndata: {"a" :1}\n\n', True),
        (b'event: message\r\ndata: {"a":1.0}\r\n\r\n', False),
        (b'data: {"a":1}\r\n\r\n', False),
        (b'event: message\r\ndata: {"a":1}\r\n', False),
        (b': ping\r\n\r\nevent: message\r\ndata: {"a":1}\r\n\r\n', False),
        (b'id: 1\r\nevent: message\r\ndata: {"a":1}\r\n\r\n', False),
        (b"", False),
    ],
)
def test_streams_are_compared_by_event(other: bytes, same: bool) -> None:
    stream = b'event: message\r\ndata: {"a":1}\r\n\r\n'
    assert (difference(answer(stream, EVENTS), answer(other, EVENTS)) == "") is same


Change = Callable[[Answer], Answer]


def put(old: bytes, new: bytes) -> Change:
    return lambda given: dataclasses.replace(given, body=given.body.replace(old, new))


def without(name: bytes) -> Change:
    def change(given: Answer) -> Answer:
        kept = tuple(one for one in given.headers if one[0] != name)
        return dataclasses.replace(given, headers=kept)

    return change


def with_another_status(given: Answer) -> Answer:
    return dataclasses.replace(given, status=given.status ^ 1)


def without_body(given: Answer) -> Answer:
    return dataclasses.replace(given, body=b"")


@pytest.fixture(scope="module")
def answers() -> list[Answer]:
    """Return what plain FastMCP answers to a few hundred of the requests."""
    found: list[Answer] = []
    drafts = [draft for draft in results() if draft.tool in ("result", "chunks")][::3]
    drafts += list(ways())[::9]
    with two_apps() as apps:

        @settings(QUIETLY, max_examples=150, phases=(Phase.generate,))
        @given(calls(apps.signatures))
        def ask(requests: tuple[Request, ...]) -> None:
            found.extend(apps.run(asked(apps.plain, request)) for request in requests)

        ask()
        found += [apps.run(asked(apps.plain, draft.request())) for draft in drafts]
    return found


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "change",
    [
        put(b'"isError":true', b'"isError":null'),
        put(b'"resultType"', b'"resulttype"'),
        put(b'"id":1,', b'"id":2,'),
        put(b'"id":1,', b'"id":1.0,'),
        put(b'"result":true', b'"result":null'),
        put(b'"content":[]', b'"content":null'),
        put(b'"isError":false,', b""),
        put(b"-32602", b"-32603"),
        put(b"e+308", b"e+307"),
        put(b".0,", b","),
        put(b"18446744073709551616", b"1.8446744073709552e+19"),
        put(b"\\u2028", b"\\u2029"),
        put(b"event: message", b"event: Message"),
        put(b"\r\n\r\n", b"\r\n"),
        put(b'"method":"notifications/progress"', b'"method":"notifications/message"'),
        put(b"serverInfo", b"serverinfo"),
        put(b"]}", b",0]}"),
        without(b"x-accel-buffering"),
        without(b"cache-control"),
        without(b"allow"),
        without(b"content-type"),
        without(b"content-length"),
        with_another_status,
        without_body,
    ],
)
def test_a_wrong_lane_is_found_out(change: Change, answers: list[Answer]) -> None:
    assert not any(difference(one, one) for one in answers)
    assert any(difference(change(one), one) for one in answers)


def test_a_request_loses_a_header_and_keeps_the_others() -> None:
    request = Request(((b"host", b"a"), (b"accept", b"b"), (b"accept", b"c")))
    assert request.with_header(b"accept").headers == ((b"host", b"a"),)
    assert request.with_header(b"accept", b"d").headers == ((b"host", b"a"), (b"accept", b"d"))
    assert dataclasses.replace(request, chunks=(b"a", b"b")).body == b"ab"
