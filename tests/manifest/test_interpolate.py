from typing import Any

import pytest

from meshd.diagnostics.model import Span
from meshd.domain.spec import AgentSpec
from meshd.manifest.interpolate import Input, InputKind, Interpolation, Mode
from meshd.manifest.read import read
from meshd.manifest.values import Later, Supplied
from tests.manifest.reading import ROOT, FakeInputs, agent, brief

INPUTS = FakeInputs(
    {"A": "one", "EMPTY": "", "NESTED": "${env:A}", "YAML": "[1, 2]", "PORT": "8001"},
    {f"{ROOT}/secret.txt": "hush", f"{ROOT}/bad.txt": None},
)


def value(text: str, mode: Mode = Mode.LATER) -> Any:
    (document,) = read(f"key: {text}\n".encode(), "a.yaml", ROOT).documents
    return Interpolation(INPUTS, mode).value_of(document)["key"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${env:A}", "one"),
        ("'${env:A}'", "one"),
        ('"${env:A}"', "one"),
        ("|\n  ${env:A}\n", "one\n"),
        ("a ${env:A} b ${env:A}", "a one b one"),
        ("${env:NONE:-two}", "two"),
        ("${env:NONE:-}", ""),
        ("${env:EMPTY:-two}", "two"),
        ("${env:EMPTY}", ""),
        ("${env:A:-two}", "one"),
        ("${env:A:?why}", "one"),
        ("${env:NESTED}", "${env:A}"),
        ("${env:YAML}", "[1, 2]"),
        ("${file:secret.txt}", "hush"),
    ],
)
def test_text_is_supplied(text: str, expected: str) -> None:
    found = value(text)
    assert (found, type(found)) == (expected, Supplied)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A", "$A"),
        ("$$", "$$"),
        ("pa$$word", "pa$$word"),
        ("$${env:A}", "${env:A}"),
        ("$$${env:A}", "$${env:A}"),
        ("$ {env:A}", "$ {env:A}"),
    ],
)
def test_text_without_interpolations_stays(text: str, expected: str) -> None:
    found = value(text)
    assert (found, type(found)) == (expected, str)


@pytest.mark.parametrize(
    "text", ["${env:NONE}", "a ${env:NONE} ${env:A}", "${env:EMPTY:?why}", "${file:none.txt}"]
)
def test_what_is_not_there_comes_later(text: str) -> None:
    found = value(text)
    assert (found, type(found)) == (text, Later)


def test_keys_are_left_alone() -> None:
    (document,) = read(b"${env:A}: 1\n", "a.yaml").documents
    assert Interpolation(INPUTS, Mode.NOW).value_of(document) == {"${env:A}": 1}


def only_agent(body: str, mode: Mode = Mode.LATER) -> AgentSpec:
    result = agent(body, INPUTS, mode)
    assert result.diagnostics == ()
    assert result.mesh is not None
    return result.mesh.agents[0]


def test_the_field_gives_supplied_text_its_type() -> None:
    body = """\
  http: {port: "${env:PORT}"}
  description: "${env:PORT}"
  tools:
    - callable: a:b
      version: ${env:VERSION:-2.0.0}
      call: {timeout: "${env:TIMEOUT:-1m30s}"}
      hints: {readOnly: "${env:READ_ONLY:-true}"}
"""
    spec = only_agent(body, Mode.NOW)
    tool = spec.tools[0]
    assert (spec.port, spec.description) == (8001, "8001")
    assert (tool.version, tool.call.timeout_seconds, tool.hints.read_only) == ("2.0.0", 90.0, True)


def test_no_supplied_text_is_shown() -> None:
    body = """\
  version: ${file:secret.txt}
  http: {port: "${file:secret.txt}"}
  lifespan: ${file:secret.txt}
  defaults: {call: {timeout: "${file:secret.txt}"}}
  tools: ${file:secret.txt}
"""
    problems = agent(body, INPUTS).diagnostics
    assert [problem.code for problem in problems] == ["M122"] * 5
    assert "hush" not in str(problems)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("${env:NONE}", "the environment variable `NONE` is not set", "set `NONE`"),
        ("${env:NONE:?a b}", "the environment variable `NONE` is not set", "set `NONE`"),
        ("${env:EMPTY:?a b}", "the environment variable `EMPTY` is empty", "set `EMPTY`"),
    ],
)
def test_what_is_needed_now_must_be_set(text: str, message: str, hint: str) -> None:
    result = agent(f'  description: "x {text}"\n', INPUTS, Mode.NOW)
    assert result.mesh is None
    assert [(d.code, d.message, d.hint, d.span) for d in result.diagnostics] == [
        ("M151", message, hint, Span("mesh.yaml", 5, 19, 19 + len(text)))
    ]
    assert result.diagnostics[0].label == ("a b" if "?" in text else "")


def test_files_that_may_not_be_read_are_errors_at_once() -> None:
    result = agent("  description: ${file:bad.txt}\n", INPUTS)
    assert brief(result.diagnostics) == [("M152", 5, 16, "`bad.txt` cannot be read")]
    assert result.diagnostics[0].label == "it is not UTF-8"


@pytest.mark.parametrize(
    "text",
    [
        "${A}",
        "${env:}",
        "${env:1A}",
        "${env:A B}",
        "${env:A-x}",
        "${file:}",
        "${ENV:A}",
        "${",
        "${}",
        "${env:A:-${env:A}}",
        "${env:A:x}",
        "${param:a}",
    ],
)
def test_malformed_interpolations_are_errors(text: str) -> None:
    result = agent(f"  description: 'x {text}'\n", INPUTS)
    assert [d.code for d in result.diagnostics] == ["M150"]


def test_every_use_is_listed() -> None:
    body = """\
  description: ${env:NONE} ${env:A}
  version: ${env:V:-1.0.0}
  tools: [{callable: "a:b", description: "${file:secret.txt}${file:no.txt}"}]
"""
    result = agent(body, INPUTS)

    def used(line: int, column: int, length: int) -> Span:
        return Span("mesh.yaml", line, column, column + length)

    env, file = InputKind.ENV, InputKind.FILE
    assert result.inputs == (
        Input(env, "NONE", None, required=True, span=used(5, 16, 11), is_set=False),
        Input(env, "A", None, required=True, span=used(5, 28, 8), is_set=True),
        Input(env, "V", "1.0.0", required=False, span=used(6, 12, 15), is_set=False),
        Input(file, "secret.txt", None, required=True, span=used(7, 43, 18), is_set=True),
        Input(file, "no.txt", None, required=True, span=used(7, 61, 14), is_set=False),
    )


def test_an_aliased_value_is_asked_for_once() -> None:
    body = "  version: &v ${env:V:-1.0.0}\n  tools: [{callable: a:b, version: *v}]\n"
    result = agent(body, INPUTS)
    assert [one.name for one in result.inputs] == ["V"]
    assert result.mesh is not None
    assert result.mesh.agents[0].tools[0].version == "1.0.0"


def test_secrets_are_inputs_whose_values_nobody_takes() -> None:
    body = """\
  env:
    A: {env: KEY}
    B: {env: "${env:WHICH}"}
    C: {file: keys/c}
    D: {file: /run/secrets/d}
    E: {env: "${env:LATER}"}
    F: {env: KEY, file: f}
    G: {}
"""
    inputs = FakeInputs({"WHICH": "OTHER", "KEY": ""}, {"/run/secrets/d": None})
    found = [
        (i.kind, i.name, i.required, i.is_set, i.span.line) for i in agent(body, inputs).inputs
    ]
    assert found == [
        (InputKind.ENV, "KEY", True, True, 6),
        (InputKind.ENV, "OTHER", True, False, 7),
        (InputKind.ENV, "WHICH", True, True, 7),
        (InputKind.FILE, "keys/c", True, False, 8),
        (InputKind.FILE, "/run/secrets/d", True, True, 9),
        (InputKind.ENV, "LATER", True, False, 10),
        (InputKind.ENV, "KEY", True, True, 11),
        (InputKind.FILE, "f", True, False, 11),
    ]
