"""Which call settings hold where several levels set them: the nearest wins, field by field.

Headers are merged by name. Names of headers do not differ by case.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from meshd.domain.spec import CallSettings

BUILT_IN = CallSettings(
    timeout_seconds=30.0,
    retries_max=2,
    retries_on=("lost", "timeout", "busy"),
    retries_backoff_seconds=0.1,
    retries_budget=0.2,
    breaker_failures=5,
    breaker_open_seconds=15.0,
    balance="least",
    streaming=False,
    headers={},
    propagate=(),
)
"""What holds where no manifest says anything; what is still `None` is off."""

_PLACES = frozenset({"origin", "origins"})


def nearest(*levels: CallSettings) -> CallSettings:
    """Fold levels, the nearest first; each value keeps the place that set it."""
    folded = CallSettings()
    for level in reversed(levels):
        values: dict[str, Any] = {
            field.name: value
            for field in fields(level)
            if field.name not in _PLACES and (value := getattr(level, field.name)) is not None
        }
        if level.headers is not None and folded.headers is not None:
            values["headers"] = _merged(folded.headers, level.headers)
        inherited = {k: span for k, span in folded.origins.items() if k not in values}
        places = {k: span for k, span in level.origins.items() if k in values}
        folded = replace(folded, **values, origin=level.origin, origins={**inherited, **places})
    return folded


def _merged(outer: Mapping[str, str], inner: Mapping[str, str]) -> dict[str, str]:
    hidden = {name.lower() for name in inner}
    return {name: text for name, text in outer.items() if name.lower() not in hidden} | dict(inner)
