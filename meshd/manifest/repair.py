"""A document with mistakes made whole enough for the rules, so that all is reported at once.

Each wrong part is replaced by one that no rule speaks of: unknown keys go, wrong values become
`Broken`, which every scalar accepts. What comes out is never served: its errors are reported.
"""

from typing import Any, cast

from pydantic_core import ErrorDetails, ValidationError

from meshd.manifest.model import API_VERSION, Document
from meshd.manifest.nodes import Step
from meshd.manifest.sections import LIST, MAPPING, TEXT
from meshd.manifest.values import Broken

_ROUNDS = 4
"""A missing section is made empty first, then what is missing in it is made up, and so on."""

_TAGS = frozenset({TEXT, LIST, MAPPING})


def repaired(model: type[Document], data: Any, error: ValidationError) -> Document | None:
    """Return the document without what the error speaks of, or None; changes the data."""
    for _ in range(_ROUNDS):
        for one in error.errors(include_url=False):
            _mend(data, one)
        try:
            return model.read(data)
        except ValidationError as next_error:
            error = next_error
    return None


def _mend(data: Any, error: ErrorDetails) -> None:
    *above, last = (step for step in error["loc"] if step not in _TAGS)
    parent = data
    for step in above:
        if not _has(parent, step):
            return
        parent = parent[step]
    if error["type"] == "extra_forbidden":
        cast("dict[Step, Any]", parent).pop(last, None)
    elif error["type"] == "missing" or _has(parent, last):
        parent[last] = _stand_in(error, last)


def _has(parent: Any, step: Step) -> bool:
    if isinstance(parent, dict):
        return step in parent
    return isinstance(parent, list) and isinstance(step, int)


def _stand_in(error: ErrorDetails, key: Step) -> Any:
    match error["type"]:
        case "list_type":
            return []
        case "dict_type" | "model_type":
            return {}
        case "literal_error":
            return API_VERSION
        case "missing" if key == "apiVersion":
            return API_VERSION
        case _:
            return Broken("")
