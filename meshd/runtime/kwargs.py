"""Call settings as the registry carries them: MCP Mesh's `kwargs`, and meshd's own in them.

MCP Mesh's names stand for what they say there. What it has no name for is under `meshd`. They come
from outside, so what makes no sense is left out, as if it had not been said.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args

from meshd.domain.headers import header_problem, header_value_problem
from meshd.domain.spec import Balance, CallSettings, Hints, JsonValue, RetryOn

LONGEST_SECONDS = 1e9
"""More than a provider can mean by any time of a call."""
MOST_RETRIES = 10
MOST_CALLS = 1_000_000

Reader = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Terms:
    """How a provider's tool is to be called, and what may be done to it."""

    call: CallSettings
    idempotent: bool = False
    read_only: bool = False
    auth_required: bool = False


def kwargs_of(call: CallSettings, hints: Hints) -> dict[str, JsonValue]:
    """Return what a registration says of a tool's calls; never a token."""
    own: dict[str, JsonValue] = {
        name: _as_json(getattr(call, field))
        for name, (field, _) in _OWN.items()
        if getattr(call, field) is not None
    }
    own |= {name: True for name in ("idempotent", "read_only") if getattr(hints, name)}
    said: dict[str, JsonValue] = {
        name: _as_json(getattr(call, field))
        for name, (field, _) in _SHARED.items()
        if getattr(call, field) is not None
    }
    if call.auth is not None:
        said["auth_required"] = True
    return {**said, "meshd": own} if own else said


def terms_of(kwargs: Mapping[str, JsonValue]) -> Terms:
    """Read what a provider says of its calls."""
    found = kwargs.get("meshd")
    own = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    values: dict[str, Any] = {}
    for said, fields in ((kwargs, _SHARED), (own, _OWN)):
        for name, (field, read) in fields.items():
            value = read(said.get(name))
            if value is not None:
                values[field] = value
    read_only = own.get("read_only") is True
    return Terms(
        CallSettings(**values),
        idempotent=read_only or own.get("idempotent") is True,
        read_only=read_only,
        auth_required=kwargs.get("auth_required") is True,
    )


def _as_json(value: Any) -> JsonValue:
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, JsonValue]", value))
    return list(cast("tuple[Any, ...]", value)) if isinstance(value, tuple) else value


def _number(least: float, most: float, *, may_be_least: bool = False) -> Reader:
    def read(value: Any) -> float | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        # NaN is within no limits; infinity, and integers that are no float, are outside.
        is_usable = (least <= value if may_be_least else least < value) and value <= most
        return value if is_usable and math.isfinite(value) else None

    return read


def _count(least: int, most: int) -> Reader:
    def read(value: Any) -> int | None:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            return None
        return min(value, most)

    return read


def _one_of(*words: str) -> Reader:
    return lambda value: value if isinstance(value, str) and value in words else None


def _several_of(*words: str) -> Reader:
    def read(value: Any) -> tuple[str, ...] | None:
        if not isinstance(value, list):
            return None
        return tuple(word for word in cast("list[Any]", value) if word in words)

    return read


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _headers(value: Any) -> dict[str, str] | None:
    if not isinstance(value, dict):
        return None
    return {
        name: text
        for name, text in cast("dict[str, Any]", value).items()
        if isinstance(text, str)
        and header_problem(name) is None
        and header_value_problem(text) is None
    }


def _header_names(value: Any) -> tuple[str, ...] | None:
    if not isinstance(value, list):
        return None
    names = (name for name in cast("list[Any]", value) if isinstance(name, str))
    return tuple(name.lower() for name in names if header_problem(name) is None)


_seconds = _number(0, LONGEST_SECONDS)

_SHARED: Mapping[str, tuple[str, Reader]] = {
    "timeout": ("timeout_seconds", _seconds),
    "retry_count": ("retries_max", _count(0, MOST_RETRIES)),
    "custom_headers": ("headers", _headers),
    "streaming": ("streaming", _flag),
}
"""MCP Mesh's names, with the setting that each stands for."""

_OWN: Mapping[str, tuple[str, Reader]] = {
    "retries_on": ("retries_on", _several_of(*get_args(RetryOn))),
    "retries_timeout": ("retries_timeout_seconds", _seconds),
    "retries_backoff": ("retries_backoff_seconds", _seconds),
    "retries_budget": ("retries_budget", _number(0, 1, may_be_least=True)),
    "breaker_failures": ("breaker_failures", _count(1, MOST_CALLS)),
    "breaker_open": ("breaker_open_seconds", _seconds),
    "balance": ("balance", _one_of(*get_args(Balance))),
    "concurrency": ("concurrency", _count(1, MOST_CALLS)),
    "hedge": ("hedge_seconds", _seconds),
    "propagate": ("propagate", _header_names),
}
