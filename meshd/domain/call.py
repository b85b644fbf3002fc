"""Which call settings hold where several levels set them: the nearest wins, field by field."""

from dataclasses import fields, replace
from typing import Any

from meshd.domain.spec import CallSettings

BUILT_IN = CallSettings(timeout_seconds=30.0)
"""What holds where no manifest says anything."""

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
        inherited = {k: span for k, span in folded.origins.items() if k not in values}
        places = {k: span for k, span in level.origins.items() if k in values}
        folded = replace(folded, **values, origin=level.origin, origins={**inherited, **places})
    return folded
