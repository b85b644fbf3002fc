import json

import pytest

from meshd.diagnostics.model import Diagnostic, Related, Severity, Span
from meshd.diagnostics.render import MAX_WIDTH, as_json, as_text, escaped, summary

SOURCE = "tools:\n  - callable: shop.orders:creat_order\n"
PROBLEM = Diagnostic(
    code="M223",
    message="callable `shop.orders:creat_order` not found",
    span=Span("shop.yaml", 2, 15, 38),
    label="module `shop.orders` has no `creat_order`",
    hint="did you mean `create_order`?",
)


def block(source: str, span: Span) -> str:
    """Return the report on one problem, without its head and the summary."""
    problem = Diagnostic(code="M1", message="m", span=span)
    text = as_text([problem], {span.file: source})
    return text.partition("\n")[2].rpartition("\n\n")[0]


def test_a_problem_is_shown_in_its_line() -> None:
    assert as_text([PROBLEM], {"shop.yaml": SOURCE}) == (
        """\
error[M223]: callable `shop.orders:creat_order` not found
  --> shop.yaml:2:15
2 |   - callable: shop.orders:creat_order
  |               ^^^^^^^^^^^^^^^^^^^^^^^ module `shop.orders` has no `creat_order`

hint: did you mean `create_order`?

1 error in 1 file"""
    )


def test_related_places_and_details_are_shown() -> None:
    problem = Diagnostic(
        code="M200",
        message="two agents have the name `a`",
        span=Span("b.yaml", 10, 1, 2),
        related=(Related(Span("a.yaml", 1, 1, 2), "first here"),),
        detail="Traceback:\n  File x\x1b[0m",
        severity=Severity.WARNING,
    )
    assert as_text([problem], {"a.yaml": "a\n", "b.yaml": "\n" * 9 + "a"}) == (
        """\
warning[M200]: two agents have the name `a`
  --> b.yaml:10:1
10 | a
   | ^
  ::: a.yaml:1:1
1 | a
  | ^ first here

    Traceback:
      File x\\x1b[0m

1 warning in 1 file"""
    )


def test_nothing_wrong_is_nothing_to_say() -> None:
    assert as_text([], {}) == ""
    assert summary([]) == "no errors"


def test_without_a_place_or_its_text() -> None:
    placeless = Diagnostic(code="M215", message="m", label="why", hint="do")
    elsewhere = Diagnostic(code="M100", message="m", span=Span("a", 1, 1, 1), label="why")
    assert as_text([placeless, elsewhere], {}) == (
        "error[M215]: m\n  why\n\nhint: do\n\nerror[M100]: m\n  --> a:1:1\n  why\n\n"
        "2 errors in 1 file"
    )


def test_colour_only_adds_colour() -> None:
    text = as_text([PROBLEM], {"shop.yaml": SOURCE}, colour=True)
    assert "\x1b[1;31merror[M223]\x1b[0m" in text
    plain = as_text([PROBLEM], {"shop.yaml": SOURCE})
    for code in ("1;31", "1", "34", "36", "0"):
        text = text.replace(f"\x1b[{code}m", "")
    assert text == plain


@pytest.mark.parametrize(
    ("source", "span", "expected"),
    [
        ("\ta: b", (1, 5, 6), "1 |     a: b\n  |        ^"),
        ("日本: x", (1, 5, 6), "1 | 日本: x\n  |       ^"),
        ("e\u0301: x", (1, 5, 6), "1 | e\u0301: x\n  |    ^"),
        ("a: \x1b[31mx", (1, 9, 10), "1 | a: \\x1b[31mx\n  |            ^"),
        ("a: \u202ex", (1, 5, 6), "1 | a: \\u202ex\n  |          ^"),
        ("a:", (1, 3, 3), "1 | a:\n  |   ^"),
        ("a:", (1, 30, 40), "1 | a:\n  |   ^"),
        ("a\r\nb", (2, 1, 2), "2 | b\n  | ^"),
        ("a\rb", (2, 1, 2), "2 | b\n  | ^"),
    ],
)
def test_the_caret_stands_under_what_is_meant(
    source: str, span: tuple[int, int, int], expected: str
) -> None:
    place = Span("a.yaml", *span)
    assert block(source, place) == f"  --> a.yaml:{span[0]}:{span[1]}\n{expected}"


def test_long_lines_are_cut_around_the_caret() -> None:
    line = "a" * 1000 + "HERE" + "b" * 1000
    shown = block(line, Span("a", 1, 1001, 1005)).splitlines()
    assert shown[1] == "1 | …" + "a" * 40 + "HERE" + "b" * (MAX_WIDTH - 45) + "…"
    assert shown[2] == "  | " + " " * 41 + "^^^^"


def test_a_long_mark_is_cut_too() -> None:
    shown = block("x" * 1000, Span("a", 1, 1, 1001)).splitlines()
    assert shown[1] == "1 | " + "x" * MAX_WIDTH + "…"
    assert shown[2] == "  | " + "^" * MAX_WIDTH


def test_a_line_of_a_megabyte_is_cut_at_its_end() -> None:
    shown = block("x" * 1_000_000 + "!", Span("a", 1, 1_000_001, 1_000_002)).splitlines()
    assert shown[1] == "1 | …" + "x" * 40 + "!"


def test_what_users_wrote_cannot_steer_the_terminal() -> None:
    problem = Diagnostic(
        code="M1",
        message="a\x1b[2J",
        span=Span("a\x07.yaml", 1, 1, 2),
        label="b\r",
        hint="c\u2066",
        related=(Related(Span("a\x07.yaml", 1, 1, 2), "d\x9b"),),
    )
    text = as_text([problem], {"a\x07.yaml": "x\x08y"})
    assert not any(ord(c) < 32 and c != "\n" for c in text)
    assert escaped("\x9b\u2066\ud800é") == "\\x9b\\u2066\\ud800é"
    assert [
        part in text for part in ("a\\x1b[2J", "a\\x07.yaml", "b\\r", "c\\u2066", "d\\x9b")
    ] == [True] * 5


def test_json_has_what_scripts_rely_on() -> None:
    placeless = Diagnostic(code="M215", message="é", severity=Severity.WARNING)
    assert json.loads(as_json([PROBLEM, placeless])) == {
        "diagnostics": [
            {
                "code": "M223",
                "severity": "error",
                "message": "callable `shop.orders:creat_order` not found",
                "file": "shop.yaml",
                "line": 2,
                "column": 15,
                "hint": "did you mean `create_order`?",
            },
            {
                "code": "M215",
                "severity": "warning",
                "message": "é",
                "file": None,
                "line": None,
                "column": None,
                "hint": "",
            },
        ]
    }
    assert json.loads(as_json([])) == {"diagnostics": []}


def test_the_summary_counts() -> None:
    problems = [
        *(Diagnostic(code="M1", message=str(n), span=Span(f"{n % 3}", 1, 1, 1)) for n in range(10)),
        Diagnostic(code="M2", message="", severity=Severity.WARNING),
    ]
    assert summary(problems) == "10 errors, 1 warning in 3 files"
    assert summary(problems[-1:]) == "1 warning"
