"""How two answers differ, if they do: in status, headers, or body.

JSON is compared as values with the types of numbers kept: `1` is not `1.0`, integers are exact,
`-0.0` is not `0.0`. The order of an object's keys and the way a text is escaped do not count;
keys that come twice do. Event streams are compared event by event.
"""

import json
from typing import Any

from tests.differential.wire import Answer

NOT_COMPARED = frozenset({b"content-length", b"date", b"transfer-encoding"})
"""Every other header must be there as often and with the same value. A body may be escaped in
another way, but its length must be right, or be left unsaid by both."""


def difference(left: Answer, right: Answer) -> str:
    """Return in one line what is not the same, or nothing."""
    if left == right:
        return ""
    for what, one, other in (
        ("failure", left.failure, right.failure),
        ("status", left.status, right.status),
        ("headers", _headers(left), _headers(right)),
        ("length", _length(left), _length(right)),
    ):
        if one != other:
            return f"{what}: {one!r} is not {other!r}"
    kind = (left.header(b"content-type") or b"").partition(b";")[0]
    if kind == b"application/json":
        return _unlike("body", value_of(left.body), value_of(right.body))
    if kind == b"text/event-stream":
        return _unlike("events", events(left.body), events(right.body))
    return _unlike("body", left.body, right.body)


def value_of(text: bytes) -> Any:
    """Return JSON as a value that equals only the same JSON; what is none stays text."""
    try:
        return json.loads(
            text.decode(),
            parse_int=lambda digits: ("integer", digits),
            parse_float=lambda digits: ("number", repr(float(digits))),
            parse_constant=lambda word: ("constant", word),
            object_pairs_hook=_object,
        )
    except (ValueError, RecursionError):
        return ("text", text)


def events(stream: bytes) -> list[Any]:
    """Return the events of a stream, each as its fields; comments count."""
    found: list[Any] = []
    text = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    *whole, rest = text.split(b"\n\n")
    for block in whole:
        fields: list[Any] = []
        for line in block.split(b"\n"):
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            fields.append((name, value_of(value) if name == b"data" else value))
        found.append(fields)
    return [*found, ("unfinished", rest)] if rest else found


def _object(pairs: list[tuple[str, Any]]) -> Any:
    # FastMCP seals the state of a question with something random.
    pairs = [
        ("requestState", "sealed")
        if name == "requestState" and isinstance(value, str) and value.startswith("v1.")
        else (name, value)
        for name, value in pairs
    ]
    return ("object", sorted(pairs, key=lambda pair: pair[0]))


def _headers(answer: Answer) -> list[tuple[bytes, bytes]]:
    return sorted(one for one in answer.headers if one[0] not in NOT_COMPARED)


def _length(answer: Answer) -> str:
    length = answer.header(b"content-length")
    if length is None:
        return "not said"
    return "right" if int(length) == len(answer.body) else f"{length!r} for {len(answer.body)}"


def _unlike(what: str, one: Any, other: Any) -> str:
    return "" if one == other else f"{what}: {shown(one)} is not {shown(other)}"


def shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 1_500 else f"{text[:750]} ... {text[-750:]}"
