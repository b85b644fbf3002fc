"""What a docstring says: a description, and of each parameter its meaning and a simple type.

Reads the Google, NumPy and Sphinx styles. A type in prose counts only if it is one that JSON has.
"""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import docstring_parser

_SECTIONS = re.compile(
    r"^\s*(?::(?:param|type|arg)\b|@param\b|(?:Args|Arguments|Parameters|Params|Returns?|Yields?|Raises"
    r"|Keyword Args|Keyword Arguments|Other Parameters|Attributes|Examples?|Notes?)\s*:?\s*$)",
    re.MULTILINE,
)
_SIMPLE: Mapping[str, Any] = {
    "str": str,
    "string": str,
    "text": str,
    "int": int,
    "integer": int,
    "float": float,
    "number": float,
    "bool": bool,
    "boolean": bool,
    "list": list,
    "dict": dict,
}


@dataclass(frozen=True, slots=True)
class ParameterText:
    """What a docstring says of one parameter; `type` is None if it is none that JSON has."""

    description: str | None = None
    type: Any = None


@dataclass(frozen=True, slots=True)
class DocString:
    """A docstring taken apart."""

    description: str = ""
    parameters: Mapping[str, ParameterText] = field(default_factory=dict[str, ParameterText])


def read_docstring(text: str | None) -> DocString:
    """Take a docstring apart; what cannot be parsed is all description."""
    clean = inspect.cleandoc(text or "").strip()
    if not _SECTIONS.search(clean):
        return DocString(clean)
    try:
        parsed = docstring_parser.parse(clean)
    except docstring_parser.ParseError:
        return DocString(clean)
    parts = (parsed.short_description, parsed.long_description)
    return DocString(
        "\n\n".join(part.strip() for part in parts if part),
        {
            name.strip().lstrip("*"): ParameterText(
                _one_line(parameter.description), simple_type(parameter.type_name)
            )
            for parameter in parsed.params
            if "attribute" not in parameter.args
            for name in parameter.arg_name.split(",")
        },
    )


def simple_type(text: str | None) -> Any:
    """Return the type that the words name, or None if they do not name one that JSON has."""
    words = re.sub(r",?\s*\(?(optional|default[^)]*)\)?\s*$", "", (text or "").strip()).strip("` ")
    words = re.sub(r",?\s*\(?optional\)?$", "", words)
    if match := re.fullmatch(r"(.+?)\s*(?:\||\bor)\s*None|Optional\[(.+)\]", words):
        inner = simple_type(match[1] or match[2])
        return None if inner is None else inner | None
    if match := re.fullmatch(r"[Ll]ist(?:\[(.+)\]|\s+of\s+(.+?)s?)", words):
        inner = simple_type(match[1] or match[2])
        return list if inner is None else list[inner]
    if re.fullmatch(r"[Dd]ict(?:\[.+\])", words):
        return dict
    return _SIMPLE.get(words)


def _one_line(text: str | None) -> str | None:
    return re.sub(r"\s*\n\s*", " ", text).strip() or None if text else None
