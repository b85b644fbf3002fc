import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.runtime.wire.address import address_of
from meshd.runtime.wire.request import FRAMING, NotAHeader, lines_of, post, start_of


def test_a_request() -> None:
    start = start_of(address_of("http://there:1/base"), "/mcp", {"A": "b", "C": "ü\t "})
    assert post(start, lines_of({"D": ""}), b"{}") == (
        b"POST /base/mcp HTTP/1.1\r\nHost: there:1\r\nA: b\r\nC: \xfc\r\nD: \r\n"
        b"Content-Length: 2\r\n\r\n{}"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("A", "b\r\nC: d"),
        ("A", "b\n"),
        ("A", "\rb"),
        ("A", "b\x00"),
        ("A", "\u010a"),
        ("A", "😀"),
        ("", "b"),
        ("A: b\r\nC", "d"),
        ("A\n", "b"),
        ("A B", "b"),
        ("A:", "b"),
        ("Ä", "b"),
        *((name.title(), "b") for name in sorted(FRAMING)),
    ],
)
def test_what_is_no_header(name: str, value: str) -> None:
    with pytest.raises(NotAHeader):
        lines_of({name: value})


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=9), max_size=3))
def test_headers_are_as_many_lines_as_there_are_headers(headers: dict[str, str]) -> None:
    try:
        lines = lines_of(headers)
    except NotAHeader:
        return
    assert lines.count(b"\n") == lines.count(b"\r") == len(headers)
    assert lines.count(b"\r\n") == len(headers)


@pytest.mark.parametrize("path", ["mcp", "/a b", "/a\r\nB: c", "/é", "/?a"])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(NotAHeader, match="path"):
        start_of(address_of("http://there"), path, {})
