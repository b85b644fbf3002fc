import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.runtime.exact_json import dumped, loaded

ANY_TEXT = st.text(st.characters(), max_size=8)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.sampled_from([2**63, 2**64, -(2**63) - 1, 10**18, 10**19, 1.5e300, -0.0])
    | st.floats(allow_nan=False, allow_infinity=False)
    | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=8,
)


def same(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)


@given(VALUES)
def test_values_come_back(value: Any) -> None:
    assert same(loaded(dumped(value)), value)


@given(VALUES)
def test_what_the_standard_library_writes_is_read_as_it_reads_it(value: Any) -> None:
    text = json.dumps(value)
    assert same(loaded(text.encode()), json.loads(text))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"18446744073709551616", 2**64),
        (b"-9223372036854775809", -(2**63) - 1),
        (b'{"a": [1e400]}', {"a": [math.inf]}),
        (b'"\\ud800"', "\ud800"),
        (b"[" * 500 + b"]" * 500, json.loads("[" * 500 + "]" * 500)),
        (b'"0000000000000000000"', "0" * 19),
    ],
)
def test_what_only_the_standard_library_reads(text: bytes, value: Any) -> None:
    assert same(loaded(text), value)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"\xff", b"[" * 100_000, b"1" * 5000, b"\xef\xbb\xbf1", '"a"'.encode("utf-16")],
)
def test_what_is_no_json(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        loaded(text)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        {"a": [None, (1.0, math.inf)]},
        {"a": object()},
        {"a": {1, 2}},
        {(1, 2): 3},
        nested(100_000),
    ],
)
def test_what_json_cannot_say(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        dumped(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": None, "b": [1.5, "null"]}, b'{"a":null,"b":[1.5,"null"]}'),
        ({"a": 2**64}, b'{"a":18446744073709551616}'),
        (nested(300), b"[" * 301 + b"]" * 301),
        ({1: 2}, b'{"1":2}'),
    ],
)
def test_what_json_can_say(value: Any, text: bytes) -> None:
    assert dumped(value) == text
