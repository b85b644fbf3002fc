"""JSON at orjson's speed with the standard library's range: what orjson would change is not lost.

orjson reads integers beyond 64 bits as floats, and writes what is not finite as null; it refuses
lone surrogates, larger integers and deep nesting. All of these go through `json` instead.
"""

import json
import math
from typing import Any, cast

import orjson

_DIGITS = bytes(ord("0") if byte in b"0123456789" else ord(" ") for byte in range(256))
_LONG = b"0" * 19
"""As many digits as the shortest integer that does not fit into 64 bits."""


def loaded(text: bytes) -> Any:
    """Return the value that JSON text means.

    Raises:
        ValueError: it is no JSON, or nested too deeply.

    """
    if _LONG not in text.translate(_DIGITS):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass
    try:
        return json.loads(text.decode("utf-8", "surrogatepass"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def dumped(value: object) -> bytes:
    """Return a value as JSON text.

    Raises:
        ValueError: JSON has no such value.

    """
    try:
        text = orjson.dumps(value)
        # A number that is not finite is written as null, so without null there is none.
        if b"null" not in text or not _has_no_number(value):
            return text
    except (TypeError, RecursionError):
        pass
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    except TypeError as error:
        raise ValueError(str(error)) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _has_no_number(value: object) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(map(_has_no_number, cast("dict[object, object]", value).values()))
    if isinstance(value, list | tuple):
        return any(map(_has_no_number, cast("list[object]", value)))
    return False
