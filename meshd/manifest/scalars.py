"""The scalar types of the manifest language, as pydantic types with a JSON Schema each.

Each accepts its own YAML type, text supplied by an interpolation (which it parses), and `Later`
text whose input is not known yet (which it leaves as it is). Errors are `PydanticCustomError` of
type `meshd` whose message is ready to print and whose context may carry a `hint`.
"""

import functools
import operator
import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    Discriminator,
    PlainValidator,
    Tag,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from meshd.domain import names
from meshd.manifest.values import FloatText, IntText, Later, Supplied, plain

INTERPOLATION: dict[str, Any] = {
    "type": "string",
    "pattern": r"\$\{(env|file):",
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
    return "a mapping" if isinstance(value, dict) else f"the string `{value}`"


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
    """Return a reader of strings that must match the whole pattern; `what` says what is expected."""
    compiled = re.compile(pattern)

    def check(text: str) -> str | None:
        return None if compiled.fullmatch(text) else f"`{text}` is not {what}"

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
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
DURATION_PATTERN = r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+"
SIZE_PATTERN = r"[0-9]+(?:\.[0-9]+)?(?:B|KB|MB|GB|KiB|MiB|GiB)"
PERCENT_PATTERN = r"[0-9]+(?:\.[0-9]+)?%"


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
    """Accept `512KiB`, `10MB`; return bytes."""
    if isinstance(value, Later):
        return value
    if isinstance(value, str) and re.fullmatch(SIZE_PATTERN, value):
        number, unit = re.findall(r"([0-9.]+)([A-Za-z]+)", value)[0]
        return int(float(number) * _BYTES[unit])
    raise problem(f"expected a size with a unit, found {described(value)}", "write `512KiB`, `10MB`")


def read_percent(value: Any) -> float | Later:
    """Accept `20%`; return a fraction."""
    if isinstance(value, Later):
        return value
    if isinstance(value, str) and re.fullmatch(PERCENT_PATTERN, value):
        return float(value[:-1]) / 100
    raise problem(f"expected a percentage, found {described(value)}", "write `20%`")


_VERSION_PATTERN = (
    r"[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)


def read_version(value: Any) -> str:
    """Accept a semantic version; one that YAML read as a number is told to be quoted."""
    if isinstance(value, IntText | FloatText):
        message = f"a version must be quoted: `{value.raw}` is read as a number"
        parts = (value.raw + ".0.0").split(".")[:3]
        raise problem(message, f'write "{".".join(parts)}"')
    text = read_text(value)
    if isinstance(text, Later) or re.fullmatch(_VERSION_PATTERN, text):
        return text
    raise problem(f"`{text}` is not a semantic version", 'write three numbers, such as "1.4.0"')


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
_REFERENCE_HINT = "write `package.module:name`"


def _typed(reader: Callable[[Any], Any], schema: dict[str, Any]) -> tuple[Any, ...]:
    """Return the pydantic metadata of a scalar: its reader, and its schema or an interpolation."""
    return PlainValidator(reader), WithJsonSchema({"anyOf": [schema, INTERPOLATION]})


def _text(pattern: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^(?:{pattern})$", **more}


Text = Annotated[str, PlainValidator(read_text), WithJsonSchema({"type": "string"})]
Integer = Annotated[int, *_typed(read_integer, {"type": "integer"})]
Flag = Annotated[bool, *_typed(read_flag, {"type": "boolean"})]
Duration = Annotated[float, *_typed(read_duration, _text(DURATION_PATTERN, examples=["30s"]))]
Size = Annotated[int, *_typed(read_size, _text(SIZE_PATTERN, examples=["10MB"]))]
Percent = Annotated[float, *_typed(read_percent, _text(PERCENT_PATTERN, examples=["20%"]))]
Version = Annotated[str, *_typed(read_version, _text(_VERSION_PATTERN, examples=["1.4.0"]))]
Constraint = Annotated[
    str, *_typed(read_constraint, {"type": "string", "examples": [">=1.2,<2", "^1.4.0"]})
]
AgentName = Annotated[
    str,
    *_typed(
        checked(names.agent_name_problem),
        _text(r"(?!.*--)[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?"),
    ),
]
Namespace = Annotated[
    str,
    *_typed(
        checked(names.namespace_problem),
        _text(r"(?!.*--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"),
    ),
]
ToolName = Annotated[
    str, *_typed(checked(names.tool_name_problem), _text(r"[A-Za-z0-9_-]{1,128}"))
]
Capability = Annotated[
    str,
    *_typed(
        checked(names.capability_problem),
        _text(r"[a-zA-Z][a-zA-Z0-9_-]*(?:\.[a-zA-Z][a-zA-Z0-9_-]*)*", maxLength=100),
    ),
]
CallableReference = Annotated[
    str,
    *_typed(
        matching(CALLABLE_PATTERN, "the name of a callable", f"{_REFERENCE_HINT}, or `object.method`"),
        {"type": "string", "pattern": r"^[\w.]+:[\w.]+$|^\w+(?:\.\w+)+$"},
    ),
]
Reference = Annotated[
    str,
    *_typed(
        matching(REFERENCE_PATTERN, "the name of an object in a module", _REFERENCE_HINT),
        {"type": "string", "pattern": r"^[\w.]+:[\w.]+$"},
    ),
]
TypeReference = Annotated[
    str,
    *_typed(
        matching(TYPE_PATTERN, "the name of a type", "write `datetime`, or `package.module:Class`"),
        {"type": "string", "pattern": r"^(?:[\w.]+:[\w.]+|\w+)$"},
    ),
]
Json = Annotated[Any, BeforeValidator(plain)]


def shape(value: Any) -> str:
    """Name the branch of a union by the YAML shape of the value: mapping, list or text."""
    if isinstance(value, dict | BaseModel):
        return "mapping"
    return "list" if isinstance(value, list) else "text"


def either(**branches: Any) -> Any:
    """Return a union whose branch is chosen by the YAML shape, so that errors speak of one branch."""
    tagged = [Annotated[kind, Tag(name)] for name, kind in branches.items()]
    return Annotated[functools.reduce(operator.or_, tagged), Discriminator(shape)]
