"""Values that options share."""

from pydantic_core import PydanticCustomError

from meshd.errors import MeshdError
from meshd.manifest.scalars import read_duration


class BadOption(MeshdError):
    """An option has a value that it cannot have."""


def seconds(text: str, option: str) -> float:
    """Read a duration such as `10s`, as manifests write it."""
    try:
        return float(read_duration(text))
    except PydanticCustomError as error:
        raise BadOption(f"`{option}`: {error.message()}; write `10s`, `1m30s`") from None
