"""The scalar types of the manifest language, each with its JSON Schema.

Each accepts its own YAML type, text supplied by an interpolation (which it parses), and `Later`
text whose input is not known yet (which it leaves as it is). Errors are `PydanticCustomError` of
type `meshd` whose message is ready to print and whose context may carry a `hint`.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic_core import PydanticCustomError

from meshd.diagnostics.suggest import closest
from meshd.diagnostics.text import shortened
from meshd.domain import names
from meshd.manifest.sections import ScalarType
from meshd.manifest.values import FloatText, IntText, Later, Supplied, plain

MAX_REPLICAS = 1000

INTERPOLATION: dict[str, Any] = {
    "type": "string",
    "pattern": r"(^|[^$])\$\{(env|file):",
    "description": "A value supplied by `${env:NAME}` or `${file:path}`.",
}


def problem(message: str, hint: str = "") -> PydanticCustomError:
    """Return the error that a scalar type raises; braces in the text are kept."""
    return PydanticCustomError("meshd", "{text}", {"text": message, "hint": hint})


def described(value: Any) -> str:
    """Say in words what kind of YAML value this is."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the boolean `{str(value).lower()}`"
    if isinstance(value, IntText | FloatText):
        return f"the number `{value.raw}`"
    if isinstance(value, int | float):
        return f"the number `{value}`"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, Supplied):
        return "what the interpolation supplies"  # which may be a secret
    return "a mapping" if isinstance(value, dict) else f"the string `{shortened(value)}`"


def _quoting(value: Any) -> str:
    raw = getattr(value, "raw", None) or (str(value).lower() if isinstance(value, bool) else "")
    return f'quote it: "{raw}"' if raw else ""


def read_text(value: Any) -> str:
    """Accept a string; a number or boolean is told to be quoted."""
    if isinstance(value, Later):
        return value
    if isinstance(value, str):
        return str(value)
    raise problem(f"expected a string, found {described(value)}", _quoting(value))


def checked(check: Callable[[str], str | None], hint: str = "") -> Callable[[Any], str]:
    """Return a reader of strings that must pass the check, which gives a reason or None."""

    def read(value: Any) -> str:
        text = read_text(value)
        if not isinstance(text, Later) and (reason := check(text)):
            raise problem(reason, hint)
        return text

    return read


def matching(pattern: str, what: str, hint: str = "") -> Callable[[Any], str]:
    """Return a reader of strings that must match the whole pattern; `what` names such a string."""
    compiled = re.compile(pattern)

    def check(text: str) -> str | None:
        return None if compiled.fullmatch(text) else f"`{shortened(text)}` is not {what}"

    return checked(check, hint)


def read_integer(value: Any) -> int | Later:
    """Accept an integer."""
    if isinstance(value, Later):
        return value
    if isinstance(value, Supplied) and re.fullmatch(r"[-+]?[0-9]+", value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    raise problem(f"expected a whole number, found {described(value)}")


def between(least: int, most: int, what: str) -> Callable[[Any], int | Later]:
    """Return a reader of integers within bounds; `what` names what is counted."""

    def read(value: Any) -> int | Later:
        number = read_integer(value)
        if isinstance(number, Later) or least <= number <= most:
            return number
        raise problem(f"expected {least} to {most} {what}, found {described(value)}")

    return read


def choice(*words: str) -> Any:
    """Return the type of text that must be one of the words."""
    known = ", ".join(f"`{word}`" for word in words)

    def read(value: Any) -> str:
        text = read_text(value)
        if isinstance(text, Later) or text in words:
            return text
        near = closest(text, words)
        hint = f"did you mean `{near}`?" if near else f"write one of {known}"
        raise problem(f"expected one of {known}, found {described(value)}", hint)

    return Annotated[str, ScalarType(read, f"one of {known}", {"enum": list(words)})]


def read_flag(value: Any) -> bool | Later:
    """Accept `true` or `false`."""
    if isinstance(value, Later):
        return value
    if isinstance(value, Supplied) and value in ("true", "false"):
        return value == "true"
    if isinstance(value, bool):
        return value
    hint = "YAML 1.2 knows only true and false" if str(value).lower() in _YAML_1_1 else ""
    raise problem(f"expected `true` or `false`, found {described(value)}", hint)


_YAML_1_1 = frozenset({"yes", "no", "on", "off", "y", "n"})
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
DURATION_PATTERN = rf"(?:{_NUMBER}(?:ms|s|m|h|d)){{1,8}}"
PERCENT_PATTERN = rf"{_NUMBER}%"
_BYTES = {
    "B": 1,
    "kB": 1000,
    "KiB": 1024,
    "MB": 1000**2,
    "MiB": 1024**2,
    "GB": 1000**3,
    "GiB": 1024**3,
}
SIZE_PATTERN = rf"{_NUMBER}(?:{'|'.join(_BYTES)})"


def read_duration(value: Any) -> float | Later:
    """Accept `250ms`, `30s`, `1m30s`, `2h`, `1d`; return seconds."""
    if isinstance(value, Later):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        raw = getattr(value, "raw", value)
        raise problem(f"a duration needs a unit, found `{raw}`", f"write `{raw}s` for seconds")
    if isinstance(value, str) and re.fullmatch(DURATION_PATTERN, value):
        parts = re.findall(r"([0-9.]+)(ms|s|m|h|d)", value)
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    raise problem(f"expected a duration, found {described(value)}", "write `250ms`, `30s`, `1m30s`")


def read_size(value: Any) -> int | Later:
    """Accept `512KiB`, `10MB`, `4MiB`; return bytes."""
    if isinstance(value, Later):
        return value
    if isinstance(value, str) and (found := re.fullmatch(r"([0-9.]+)([A-Za-z]+)", value)):
        number, unit = found.groups()
        if re.fullmatch(SIZE_PATTERN, value):
            return int(float(number) * _BYTES[unit])
    if isinstance(value, int | float) and not isinstance(value, bool):
        raw = getattr(value, "raw", value)
        raise problem(f"a size needs a unit, found `{raw}`", f"write `{raw}B` for bytes")
    raise problem(f"expected a size, found {described(value)}", "write `512KiB`, `10MB` or `4MiB`")


def read_percent(value: Any) -> float | Later:
    """Accept `20%`; return a fraction of at most 1."""
    if isinstance(value, Later):
        return value
    if isinstance(value, str) and re.fullmatch(PERCENT_PATTERN, value):
        share = float(value[:-1]) / 100
        if share > 1:
            raise problem(f"`{value}` is more than all", "write at most `100%`")
        return share
    raise problem(f"expected a percentage, found {described(value)}", "write `20%`")


_VERSION_PATTERN = (
    r"[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)


def read_version(value: Any) -> str:
    """Accept a semantic version; one that YAML read as a number is told to be quoted."""
    if isinstance(value, IntText | FloatText):
        message = f"a version must be quoted: `{value.raw}` is read as a number"
        raise problem(message, f'write "{".".join((value.raw + ".0.0").split(".")[:3])}"')
    text = read_text(value)
    if isinstance(text, Later) or re.fullmatch(_VERSION_PATTERN, text):
        return text
    message = f"`{shortened(text)}` is not a semantic version"
    raise problem(message, "write three numbers, such as `1.4.0`")


def read_constraint(value: Any) -> str:
    """Accept text; a number is told to be quoted. `rules.py` checks that it can be understood."""
    if isinstance(value, IntText | FloatText):
        message = f"a version must be quoted: `{value.raw}` is read as a number"
        raise problem(message, f'write "{value.raw}", or a range such as ">={value.raw}"')
    return read_text(value)


IDENTIFIER = r"[^\W\d]\w*"
MODULE = rf"{IDENTIFIER}(?:\.{IDENTIFIER})*"
REFERENCE_PATTERN = rf"{MODULE}:{MODULE}"
CALLABLE_PATTERN = rf"{MODULE}:{MODULE}|{IDENTIFIER}\.{IDENTIFIER}(?:\.{IDENTIFIER})*"
TYPE_PATTERN = rf"{REFERENCE_PATTERN}|{IDENTIFIER}"

# For the schema: in ECMAScript, whose rules editors follow, `\w` knows no letters but ASCII's.
_WORD_ANYWHERE = r"[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*"
_MODULE_ANYWHERE = rf"{_WORD_ANYWHERE}(?:\.{_WORD_ANYWHERE})*"
_REFERENCE_HINT = "write `package.module:name`"


def _text(pattern: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^(?:{pattern})$", **more}


Text = Annotated[str, ScalarType(read_text, "string", {"type": "string"}, False)]
Integer = Annotated[int, ScalarType(read_integer, "whole number", {"type": "integer"})]


def _count(least: int, most: int, what: str) -> Any:
    """Return the type of whole numbers within bounds."""
    words = f"whole number from {least} to {most}" if least else f"whole number up to {most}"
    schema = {"type": "integer", "minimum": least, "maximum": most}
    return Annotated[int, ScalarType(between(least, most, what), words, schema)]


if TYPE_CHECKING:
    Replicas = RetryCount = FailureCount = CallCount = QueueLength = int
    BalanceName = RetryReason = ExecutionName = str
else:
    Replicas = _count(0, MAX_REPLICAS, "replicas")
    RetryCount = _count(0, 10, "retries")
    FailureCount = _count(1, 1_000_000, "failures")
    CallCount = _count(1, 100_000, "calls")
    QueueLength = _count(0, 100_000, "waiting calls")
    BalanceName = choice("least", "round_robin", "random", "first")
    RetryReason = choice("lost", "timeout", "busy", "failed")
    ExecutionName = choice("inline", "thread", "process")
Flag = Annotated[bool, ScalarType(read_flag, "`true` or `false`", {"type": "boolean"})]
Duration = Annotated[
    float, ScalarType(read_duration, "duration, such as `30s`", _text(DURATION_PATTERN))
]
Percent = Annotated[
    float, ScalarType(read_percent, "percentage, such as `20%`", _text(PERCENT_PATTERN))
]
Size = Annotated[int, ScalarType(read_size, "size, such as `4MiB`", _text(SIZE_PATTERN))]
Version = Annotated[
    str, ScalarType(read_version, "version, such as `1.4.0`", _text(_VERSION_PATTERN))
]
Constraint = Annotated[
    str, ScalarType(read_constraint, 'constraint, such as `">=1.2,<2"`', {"type": "string"})
]
AgentName = Annotated[
    str,
    ScalarType(
        checked(names.agent_name_problem),
        "lowercase letters, digits and `-`, at most 50",
        _text(r"(?!.*--)[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?"),
    ),
]
Namespace = Annotated[
    str,
    ScalarType(
        checked(names.namespace_problem),
        "lowercase letters, digits and `-`",
        _text(r"(?!.*--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"),
    ),
]
ProcessName = Annotated[
    str,
    ScalarType(
        checked(names.process_name_problem),
        "lowercase letters, digits and `-`, at most 50",
        _text(r"(?!.*--)[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?"),
    ),
]
ToolName = Annotated[
    str,
    ScalarType(
        checked(names.tool_name_problem),
        "letters, digits, `_` and `-`",
        _text(r"[A-Za-z0-9_-]{1,128}"),
    ),
]
Capability = Annotated[
    str,
    ScalarType(
        checked(names.capability_problem, "write one such as `weather.forecast`"),
        "capability, such as `weather.forecast`",
        _text(r"[a-zA-Z][a-zA-Z0-9_-]*(?:\.[a-zA-Z][a-zA-Z0-9_-]*)*", maxLength=100),
    ),
]
CallableReference = Annotated[
    str,
    ScalarType(
        matching(
            CALLABLE_PATTERN, "the name of a callable", f"{_REFERENCE_HINT}, or `object.method`"
        ),
        "`module:name` or `object.method`",
        _text(rf"{_MODULE_ANYWHERE}:{_MODULE_ANYWHERE}|{_WORD_ANYWHERE}(?:\.{_WORD_ANYWHERE})+"),
    ),
]
Reference = Annotated[
    str,
    ScalarType(
        matching(REFERENCE_PATTERN, "the name of an object in a module", _REFERENCE_HINT),
        "`module:name`",
        _text(rf"{_MODULE_ANYWHERE}:{_MODULE_ANYWHERE}"),
    ),
]
TypeReference = Annotated[
    str,
    ScalarType(
        matching(TYPE_PATTERN, "the name of a type", "write `datetime`, or `package.module:Class`"),
        "the name of a type, or `module:Class`",
        _text(rf"{_MODULE_ANYWHERE}:{_MODULE_ANYWHERE}|{_WORD_ANYWHERE}"),
    ),
]
Json = Annotated[Any, ScalarType(plain, "any value", {}, False)]
