import subprocess
import sys
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.diagnostics.render import as_text
from meshd.manifest.interpolate import Mode
from meshd.manifest.model import Call, Retries, Tool
from meshd.manifest.sections import Section, setting
from meshd.manifest.validate import MAX_PROBLEMS
from tests.manifest.reading import FakeInputs, agent, brief, manifests


def hints(body: str) -> list[str]:
    return [problem.hint for problem in agent(body).diagnostics]


@pytest.mark.parametrize(
    ("body", "column", "message", "hint"),
    [
        ("version: 2", 12, "a version must be quoted: `2` is read as a number", 'write "2.0.0"'),
        (
            "version: 1.10",
            12,
            "a version must be quoted: `1.10` is read as a number",
            'write "1.10.0"',
        ),
        (
            "version: v1",
            12,
            "`v1` is not a semantic version",
            "write three numbers, such as `1.4.0`",
        ),
        ("version: [1]", 12, "expected a string, found a list", ""),
        ("version:", 3, "expected a string, found nothing", ""),
        ("description: 0x1F", 16, "expected a string, found the number `0x1F`", 'quote it: "0x1F"'),
        (
            "description: true",
            16,
            "expected a string, found the boolean `true`",
            'quote it: "true"',
        ),
        ("http: {port: 1.5}", 16, "expected a whole number, found the number `1.5`", ""),
        ("http: {port: true}", 16, "expected a whole number, found the boolean `true`", ""),
        (
            "lifespan: open",
            13,
            "`open` is not the name of an object in a module",
            "write `package.module:name`",
        ),
        (
            "heartbeat: {interval: 5}",
            25,
            "a duration needs a unit, found `5`",
            "write `5s` for seconds",
        ),
        (
            "heartbeat: {interval: 5 s}",
            25,
            "expected a duration, found the string `5 s`",
            "write `250ms`, `30s`, `1m30s`",
        ),
        (
            "defaults: {call: {retries: {budget: 0.2}}}",
            39,
            "expected a percentage, found the number `0.2`",
            "write `20%`",
        ),
    ],
)
def test_a_wrong_value(body: str, column: int, message: str, hint: str) -> None:
    problems = agent(f"  {body}\n").diagnostics
    shown = [(p.code, p.span.line, p.span.column, p.message, p.hint) for p in problems if p.span]
    assert (("M122", 5, column, message, hint)) in shown
    assert [code for code, *_ in shown if code == "M122"] == ["M122"]


def test_an_unknown_key_is_compared_with_those_that_may_stand_there() -> None:
    assert hints("  tools: [{callable: a:b, nmae: x}]\n") == ["did you mean `name`?"]
    assert hints("  tools: [{callable: a:b, readOnly: true}]\n") == [
        "`readOnly` belongs in `hints`"
    ]
    assert hints("  http: {zzz: 1}\n") == [
        "known here: `host`, `port`, `advertise` and `maxRequest`"
    ]


def test_many_problems_are_counted() -> None:
    body = "".join(f"  k{n}: 1\n" for n in range(MAX_PROBLEMS + 5))
    problems = agent(body).diagnostics
    assert len(problems) == MAX_PROBLEMS + 1
    assert brief(problems)[0] == ("M119", 1, 1, "5 more problems of this document are not shown")


def test_many_broken_rules_are_not_all_shown() -> None:
    body = "  tools:\n" + "    - callable: x.b\n" * 5000
    problems = agent(body).diagnostics
    assert [problem.code for problem in problems] == ["M119"] + ["M226"] * MAX_PROBLEMS


def test_a_mistake_in_an_aliased_value_is_reported_once() -> None:
    body = (
        "  tools:\n    - {callable: a:b, hints: &h {title: 1}}\n    - {callable: a:c, hints: *h}\n"
    )
    assert brief(agent(body).diagnostics) == [
        ("M122", 6, 41, "expected a string, found the number `1`")
    ]


def test_a_document_is_not_a_scalar() -> None:
    assert brief(manifests("hello\n").diagnostics) == [
        ("M124", 1, 1, "expected a document that is a mapping, found the string `hello`")
    ]


def test_rules_look_at_documents_with_mistakes_too() -> None:
    body = "  version: 1\n  health: a:b\n  tools: [{callable: a:b}, {name: b}]\n"
    assert [code for code, *_ in brief(agent(body).diagnostics)] == [
        "M122",
        "M190",
        "M121",
        "M202",
    ]


def test_sections_are_values() -> None:
    call = Call.read({"timeout": "1m30s", "x-note": 1})
    assert call == Call(timeout=90.0)
    assert (call.timeout, call.hedge, call.fields_set) == (90.0, None, {"timeout"})
    assert call != Call()
    assert call != Retries()
    assert repr(Retries()) == "Retries(max=None, on=[], timeout=None, backoff=None, budget=None)"
    with pytest.raises(AttributeError, match="Call cannot be changed"):
        call.timeout = 1.0
    with pytest.raises(TypeError, match="unhashable type: Call"):
        hash(call)
    assert Tool.read({"callable": "a:b"}).call is Tool.read({"callable": "c:d"}).call


def test_a_section_takes_no_type_that_the_language_does_not_have() -> None:
    class Odd(Section):
        field: set[str] = setting(about="Odd.", change="none")

    with pytest.raises(TypeError, match="no type of the language"):
        Odd.read({})


KEYS = [
    "tools",
    "needs",
    "callable",
    "name",
    "version",
    "tags",
    "call",
    "timeout",
    "env",
    "spec",
    "x-a",
    "objects",
    "class",
    "hints",
    "parameters",
    "result",
    "select",
    "schema",
    "http",
    "port",
    "host",
    "python",
    "path",
    "defaults",
    "retries",
    "prompts",
    "resources",
    "uri",
    "metadata",
    "namespace",
    "session",
    "auth",
    "bearer",
    "file",
]
SCALARS: list[Any] = [None, True, 1, 1.5, "", "a:b", "30s", "1.0.0", "\x1b", "+a"]
FRAGMENTS = st.recursive(
    st.sampled_from([*SCALARS, "${env:A}", "${env:B}", "${"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=12,
)


@settings(max_examples=200)
@given(
    kind=st.sampled_from(["Agent", "Mesh", "Other"]),
    name=FRAGMENTS,
    spec=FRAGMENTS,
    mode=st.sampled_from(Mode),
)
def test_no_document_raises(kind: str, name: Any, spec: Any, mode: Mode) -> None:
    text = _flow(
        {"apiVersion": "meshd.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    )
    found = manifests(text, FakeInputs({"A": "one"}), mode)
    assert (found.mesh is None) == bool(found.diagnostics)
    lines = text.splitlines()
    for problem in found.diagnostics:
        assert problem.span is not None
        assert problem.span.line == 1
        assert 1 <= problem.span.column <= len(lines[0]) + 1
    as_text(found.diagnostics, found.sources)


def _flow(value: Any) -> str:
    """Return the value as YAML on one line."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value)
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in items.items()) + "}"
    if isinstance(value, list):
        parts = cast("list[Any]", value)
        return "[" + ", ".join(map(_flow, parts)) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\x1b", "\\e") + '"'
    return {None: "null", True: "true"}.get(value, str(value))


def test_reading_manifests_imports_little() -> None:
    code = "import sys, meshd.manifest.load; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(run.stdout.split())
    heavy = {"asyncio", "jsonschema", "rich", "pydantic.main", "fastmcp", "meshd.callables"}
    assert loaded & heavy == set()
