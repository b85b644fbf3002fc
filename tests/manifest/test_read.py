import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from meshd.manifest import read as reader
from meshd.manifest.compose import MAX_DEPTH, MAX_NODES, MAX_PROBLEMS
from meshd.manifest.nodes import Mapping, Node, Scalar, Sequence, find, key_span, value_span
from meshd.manifest.read import MAX_BYTES, read
from tests.manifest.reading import brief


def plain(node: Node) -> Any:
    if isinstance(node, Mapping):
        return {key: plain(child) for key, child in node.entries.items()}
    if isinstance(node, Sequence):
        return [plain(child) for child in node.items]
    assert isinstance(node, Scalar)
    return node.value


def values(text: str) -> list[Any]:
    file = read(text.encode(), "a.yaml")
    assert file.diagnostics == ()
    return [plain(node) for node in file.documents]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("=", "="),
        ("0o17", 15),
        ("017", 17),
        ("0x1F", 31),
        ("-12", -12),
        ("+12", 12),
        ("1.10", 1.1),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("1e", "1e"),
        (".", "."),
        ("true", True),
        ("False", False),
        ("tRUE", "tRUE"),
        ("null", None),
        ("~", None),
        ("", None),
        ('"1"', "1"),
        ("'true'", "true"),
        ("|\n  a\n  b", "a\nb\n"),
    ],
)
def test_scalars_mean_what_the_core_schema_of_yaml_1_2_says(text: str, value: object) -> None:
    (document,) = values(f"key: {text}\n")
    found = document["key"]
    assert found == value
    assert isinstance(found, type(value))


def test_numbers_remember_their_text() -> None:
    (document,) = values("[0x1F, 1.10]")
    assert [number.raw for number in document] == ["0x1F", "1.10"]


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n---\n", "---\n# a\n...\n", "~"])
def test_files_without_documents_are_fine(text: str) -> None:
    assert values(text) == []


def test_a_byte_order_mark_is_passed_over() -> None:
    file = read(b"\xef\xbb\xbfa: 1\n", "a.yaml")
    assert [plain(node) for node in file.documents] == [{"a": 1}]
    assert key_span(file.documents[0], "a").column == 1


def test_places_count_characters_from_one() -> None:
    (document,) = read("é: [日本, {b: 'c'}]\n".encode(), "a.yaml").documents
    places = [
        key_span(document, "é"),
        value_span(document, "é", 0),
        key_span(document, "é", 1, "b"),
        value_span(document, "é", 1, "b"),
    ]
    assert [(p.line, p.column, p.end_column) for p in places] == [
        (1, 1, 2),
        (1, 5, 7),
        (1, 10, 11),
        (1, 13, 16),
    ]
    assert find(document, "é", 2) is None
    assert find(document, "é", 1, "b", "c") is None


def test_an_alias_repeats_its_node() -> None:
    assert values("a: &x {b: 1}\nc: [*x, *x]\n") == [{"a": {"b": 1}, "c": [{"b": 1}, {"b": 1}]}]


def test_anchors_end_with_their_document() -> None:
    file = read(b"a: &x 1\n---\nb: *x\n", "a.yaml")
    assert brief(file.diagnostics) == [("M109", 3, 4, "there is no anchor `&x` before this alias")]
    assert [plain(node) for node in file.documents] == [{"a": 1}]


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n"
    for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 5000))

HOSTILE: dict[str, tuple[bytes, tuple[str, int, int]]] = {
    "nested block lists": (b"- " * 60_000, ("M111", 1, 2 * MAX_DEPTH + 1)),
    "nested flow lists": (b"[" * 120_000, ("M111", 1, MAX_DEPTH + 1)),
    "nested flow mappings": (b"{a: " * 30_000, ("M111", 1, 4 * MAX_DEPTH + 1)),
    "nested quoted keys": (b'{"a":' * 30_000, ("M111", 1, 5 * MAX_DEPTH + 1)),
    "nested complex keys": (b"? " * 60_000, ("M111", 1, 2 * MAX_DEPTH + 1)),
    "depth through aliases": (CHAIN.encode(), ("M111", MAX_DEPTH, 12)),
    "alias bomb": (BOMB.encode(), ("M111", 5, 36)),
    "recursive alias": (b"a: &a [b, *a]", ("M109", 1, 11)),
    "a scalar of 10 MB": (b"a: " + b"x" * 10_000_000, ("M102", 1, 1)),
    "a hundred thousand keys": (
        b"".join(b"k%d: 1\n" % n for n in range(100_000)),
        ("M111", MAX_NODES // 2, 9),
    ),
    "half a million items": (b"[" + b"a," * 500_000 + b"]", ("M111", 1, 2 * MAX_NODES)),
    "a million documents": (b"---\n" * 250_000, ("M111", MAX_NODES + 2, 1)),
    "a number of 10,000 digits": (b"a: " + b"9" * 10_000, ("M110", 1, 4)),
    "a float beyond floats": (b"a: 1e999", ("M110", 1, 4)),
    "binary": (bytes(range(256)) * 400, ("M103", 3, 115)),
    "NUL": (b"a: b\nc: \x00", ("M103", 2, 4)),
    "an escape character": (b"a: \x1b[31m", ("M103", 1, 4)),
    "a line separator": ("a: b\u2028c".encode(), ("M103", 1, 5)),
    "a byte order mark inside": ("a: b\n\ufeffc: d".encode(), ("M103", 2, 1)),
    "half a surrogate pair": (b'a: "\\ud800"', ("M105", 1, 7)),
    "broken UTF-8": (b"a: b\nc: d\xff", ("M103", 2, 5)),
    "UTF-16": ("a: b".encode("utf-16"), ("M103", 1, 1)),
    "UTF-32": ("a: b".encode("utf-32"), ("M103", 1, 1)),
    "an open quote": (b"a: '" + b"x\n" * 300_000, ("M105", 1, 4)),
    "colons": (b"a: " * 300_000, ("M105", 1, 5)),
    "one long key": (b"a" * 1_000_000 + b": b", ("M105", 1, 1_000_001)),
    "anchors": (b"&a " * 300_000, ("M105", 1, 4)),
    "directives": (b"%a\n" * 300_000, ("M105", 1, 3)),
}


@pytest.mark.parametrize(("data", "expected"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused_at_their_place(
    data: bytes, expected: tuple[str, int, int]
) -> None:
    (problem,) = read(data, "a.yaml").diagnostics
    assert problem.span is not None
    assert (problem.code, problem.span.line, problem.span.column) == expected


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"a: b\n" * 100_000, "M108"), (b"- !a x\n" * 100_000, "M106"), (b"1: a\n" * 9999, "M107")],
)
def test_a_file_full_of_mistakes_is_given_up(data: bytes, code: str) -> None:
    codes = [problem.code for problem in read(data, "a.yaml").diagnostics]
    assert codes == [code] * MAX_PROBLEMS + ["M119"]


def test_the_largest_file_is_read() -> None:
    data = b"a: " + b"x" * (MAX_BYTES - 3)
    assert len(data) == MAX_BYTES
    assert read(data, "a.yaml").diagnostics == ()
    assert [d.code for d in read(data + b"x", "a.yaml").diagnostics] == ["M102"]


def test_the_deepest_document_is_read() -> None:
    deep = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert read(deep.encode(), "a.yaml").diagnostics == ()
    assert [d.code for d in read(f"[{deep}]".encode(), "a.yaml").diagnostics] == ["M111"]


@pytest.mark.parametrize(
    "tag", ["!", "!a", "!!str", "!!python/object/apply:os.system", "!<tag:yaml.org,2002:int>"]
)
@pytest.mark.parametrize("value", ["b", "[b]", "{b: c}", "'b'"])
def test_tags_are_refused_and_read_over(tag: str, value: str) -> None:
    file = read(f"a: {tag} {value}\n".encode(), "a.yaml")
    assert [(d.code, d.span.column if d.span else 0) for d in file.diagnostics] == [("M106", 4)]
    assert len(file.documents) == 1


@pytest.mark.parametrize(
    ("directive", "codes"),
    [("%YAML 1.2", []), ("%YAML 1.1", ["M106"]), ("%TAG ! tag:a.b,2000:", ["M106"])],
)
def test_directives(directive: str, codes: list[str]) -> None:
    file = read(f"{directive}\n---\na: b\n".encode(), "a.yaml")
    assert [d.code for d in file.diagnostics] == codes


def test_a_broken_document_leaves_those_before_it() -> None:
    file = read(b"a: 1\n---\nb: [\n---\nc: 3\n", "a.yaml")
    assert [plain(node) for node in file.documents] == [{"a": 1}]
    assert [d.code for d in file.diagnostics] == ["M105"]


def test_the_parser_in_python_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: &x [1, 'two', {three: 0x3}]\nb: *x\nc: |\n  d\n---\n- e: 日本\n"
    fast = read(text.encode(), "a.yaml")
    monkeypatch.setattr(reader, "_LOADER", yaml.SafeLoader)
    slow = read(text.encode(), "a.yaml")
    assert [plain(node) for node in slow.documents] == [plain(node) for node in fast.documents]
    assert [d.code for d in read(b'a: "\\ud800"', "a.yaml").diagnostics] == ["M103"]
    assert [d.code for d in read(b"[" * 120_000, "a.yaml").diagnostics] == ["M111"]


FRAGMENTS = st.sampled_from(
    [
        *"ab:-?,[]{}&*!|>'\"%@`#~\n\t .1é日😀",
        *("a: ", "- ", "\n  ", "---\n", "...\n", "&a ", "*a", "!!x ", "<<: ", "null", ": |\n"),
        *("${env:A}", "1e999", "0x", "\\u", '"\\ud800"'),
    ]
)


@given(st.lists(FRAGMENTS, max_size=60).map("".join))
def test_no_text_raises(text: str) -> None:
    file = read(text.encode(), "a.yaml")
    lines = file.source.lines
    for problem in file.diagnostics:
        span = problem.span
        assert span is not None
        assert 1 <= span.line <= max(len(lines), 1)
        assert 1 <= span.column <= len(lines[span.line - 1]) + 1
        assert problem.message


@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    read(data, "a.yaml")


@given(st.floats(allow_nan=False))
def test_floats_are_read_exactly(number: float) -> None:
    if math.isinf(number):
        return
    assert values(f"[{number!r}]") == [[number]]
