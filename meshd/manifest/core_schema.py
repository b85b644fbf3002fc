"""What a plain scalar means: the core schema of YAML 1.2, and no more.

`no`, `on`, `1:30` and `2024-01-01` are strings; `017` is seventeen and `0o17` is fifteen.
"""

import math
import re

from meshd.manifest.values import FloatText, IntText

MAX_NUMBER_LENGTH = 64
"""Characters of a number; no field needs more, and long ones take quadratic time to read."""

_WORDS: dict[str, bool | None] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_DECIMAL = re.compile(r"[-+]?[0-9]+\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_SPECIAL = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")
_FIRST_OF_NUMBER = frozenset("-+.0123456789")

Value = None | bool | int | float | str


class NotANumber(ValueError):
    """The text is a number that JSON cannot hold; the message says which."""


def value_of(text: str) -> Value:
    """Return the value of a plain scalar.

    Raises:
        NotANumber: it is a number that cannot be kept.

    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _FIRST_OF_NUMBER:
        return text
    if _DECIMAL.match(text):
        return _integer(text, 10)
    if _FLOAT.match(text):
        return _float(text)
    if _OCTAL.match(text):
        return _integer(text, 8)
    if _HEXADECIMAL.match(text):
        return _integer(text, 16)
    if _SPECIAL.match(text):
        raise NotANumber(f"`{text}` is no number that JSON knows")
    return text


def _integer(text: str, base: int) -> IntText:
    _check_length(text)
    digits = text if base == 10 else text[2:]
    return IntText(int(digits, base), text)


def _float(text: str) -> FloatText:
    _check_length(text)
    number = float(text)
    if math.isinf(number):
        raise NotANumber(f"`{text}` is too large for a number")
    return FloatText(number, text)


def _check_length(text: str) -> None:
    if len(text) > MAX_NUMBER_LENGTH:
        raise NotANumber(f"a number of {len(text)} characters is too long")
