"""Scalar values as a document gives them, before a field gives them a type.

The reader and the interpolation make these; the scalar types in `scalars.py` take them apart.
All are subclasses of the plain Python types, so that free-form JSON fields can hold them until
`plain` strips them.
"""

from typing import Any, cast


class IntText(int):
    """An integer with the text it was read from (`0x1F`)."""

    raw: str

    def __new__(cls, value: int, raw: str) -> "IntText":
        """Make an integer that remembers its text."""
        number = super().__new__(cls, value)
        number.raw = raw
        return number


class FloatText(float):
    """A float with the text it was read from (`1.10` is not the version 1.1)."""

    raw: str

    def __new__(cls, value: float, raw: str) -> "FloatText":
        """Make a float that remembers its text."""
        number = super().__new__(cls, value)
        number.raw = raw
        return number


class Supplied(str):
    """Text that an interpolation supplied: the field that it fills gives it a type."""

    __slots__ = ()


class Later(str):
    """Text with an interpolation whose input is not known yet; every scalar field accepts it."""

    __slots__ = ()


class Broken(Later):
    """Stands for a value that was wrong, which has been reported."""

    __slots__ = ()


def plain(value: Any) -> Any:
    """Return the value with plain strings and numbers throughout, as JSON would hold it."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [plain(item) for item in cast("list[Any]", value)]
    for kind in (bool, str, int, float):
        if isinstance(value, kind):
            return kind(value)
    return value
