"""A caller's arguments to the positions and keywords of a Python call.

Compiled once per tool. In: JSON arguments under their public names. Out: converted values under
their Python names, only those given, and from them the call. One error names every wrong argument.
"""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic import ValidationError

from meshd.callables.inspection import EMPTY
from meshd.callables.references import printable
from meshd.callables.schemas import Mismatch
from meshd.diagnostics.suggest import closest
from meshd.domain.spec import JsonValue
from meshd.errors import ArgumentsRejected

Convert = Callable[[JsonValue], Any]


@dataclass(frozen=True, slots=True)
class Slot:
    """A parameter that callers may set; `convert` is None where any value will do."""

    name: str
    public: str
    convert: Convert | None
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How values reach the callable.

    `ordered` are the parameters that can be passed by position, with their Python defaults or
    EMPTY; the first `positional_only` of them must be. `reserved` are the names that the object
    for `**keywords` may not hold, because they are parameters of their own. `injected` will be
    there at the call though no caller gives them.
    """

    ordered: tuple[tuple[str, Any], ...] = ()
    positional_only: int = 0
    rest: str | None = None
    keywords: str | None = None
    reserved: frozenset[str] = frozenset()
    injected: frozenset[str] = frozenset()


class Arguments:
    """Validates and arranges the arguments of one callable."""

    def __init__(
        self, slots: tuple[Slot, ...], fixed: Mapping[str, Callable[[], Any]], layout: Layout
    ) -> None:
        """Take the public parameters, makers of values for what is not given, and the layout."""
        self._slots = {slot.public: slot for slot in slots}
        self._required = frozenset(slot.public for slot in slots if slot.required)
        self._fixed = tuple(fixed.items())
        self._layout = layout
        self.by_keyword = not (layout.positional_only or layout.rest or layout.keywords)

    def validate(self, arguments: Mapping[str, JsonValue]) -> dict[str, Any]:
        """Return converted values under Python names, or raise `ArgumentsRejected`."""
        bound: dict[str, Any] = {}
        slots = self._slots
        try:
            for public, value in arguments.items():
                slot = slots[public]
                bound[slot.name] = value if slot.convert is None else slot.convert(value)
        except (KeyError, ValueError, RecursionError):
            raise self._rejected(arguments) from None
        if not self._required <= arguments.keys():
            raise self._rejected(arguments)
        for name, make in self._fixed:
            if name not in bound:
                bound[name] = make()
        if not self.by_keyword:
            self._check_layout(bound)
        return bound

    def from_texts(self, arguments: Mapping[str, str]) -> dict[str, JsonValue]:
        """Return arguments that came as text: read as JSON where the text itself does not fit."""
        return {name: self._from_text(name, text) for name, text in arguments.items()}

    def _from_text(self, public: str, text: str) -> JsonValue:
        slot = self._slots.get(public)
        if slot is None or slot.convert is None:
            return text
        try:
            slot.convert(text)
        except ValueError:
            try:
                return json.loads(text)
            except (ValueError, RecursionError):
                return text
        return text

    def arrange(self, values: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return the positional and keyword arguments of the call."""
        if self.by_keyword:
            return [], values
        layout = self._layout
        rest: Sequence[Any] = values.pop(layout.rest, ()) if layout.rest else ()
        extra: Mapping[str, Any] = values.pop(layout.keywords, {}) if layout.keywords else {}
        positional = [
            values.pop(name, default) for name, default in self._positional(values, bool(rest))
        ]
        return [*positional, *rest], {**values, **extra}

    def _positional(self, values: Mapping[str, Any], rest: bool) -> tuple[tuple[str, Any], ...]:  # noqa: FBT001
        """Return the parameters to pass by position: up to the last one given."""
        layout = self._layout
        if rest:
            return layout.ordered
        count = layout.positional_only
        while count and layout.ordered[count - 1][0] not in values:
            count -= 1
        return layout.ordered[:count]

    def _check_layout(self, bound: Mapping[str, Any]) -> None:
        layout = self._layout
        extra: Mapping[str, Any] = bound.get(layout.keywords, {}) if layout.keywords else {}
        if taken := sorted(layout.reserved & extra.keys()):
            raise ArgumentsRejected(
                f"arguments rejected: `{layout.keywords}` may not hold `{taken[0]}`"
            )
        given = bound.keys() | layout.injected
        rest = bool(layout.rest and bound.get(layout.rest))
        for name, default in self._positional(dict.fromkeys(given), rest):
            if default is EMPTY and name not in given:
                shown = next((s.public for s in self._slots.values() if s.name == name), name)
                raise ArgumentsRejected(
                    f"arguments rejected: `{shown}` is missing, and what follows it needs it"
                )

    def _rejected(self, arguments: Mapping[str, JsonValue]) -> ArgumentsRejected:
        problems: list[str] = []
        missing = [name for name in self._slots if name in self._required - arguments.keys()]
        for public, value in arguments.items():
            slot = self._slots.get(public)
            if slot is None:
                near = closest(public, [*missing, *(self._slots.keys() - arguments.keys())])
                fix = f" (did you mean `{near}`?)" if near else ""
                problems.append(f"`{printable(public)}` is not a parameter{fix}")
            elif slot.convert is not None:
                try:
                    slot.convert(value)
                except RecursionError:
                    problems.append(f"`{public}` is nested too deeply")
                except ValueError as error:
                    problems.append(describe_problem(public, error, value))
        problems.extend(f"`{name}` is missing" for name in missing)
        return ArgumentsRejected(f"arguments rejected: {'; '.join(problems)}")


def describe_problem(public: str, error: ValueError, value: JsonValue) -> str:
    """Return in one line what is wrong with an argument; shows places inside it, not its value."""
    if isinstance(error, Mismatch):
        text = str(error)
        inside, _, message = text.partition(": ") if text[:1] in (".", "[") else ("", "", text)
        return f"`{public}{inside}`: {message}"
    if not isinstance(error, ValidationError):
        return f"`{public}`: {printable(str(error))}"
    lines = [
        f"`{public}{_inside(item['loc'], value)}` {_lowered(item['msg'])}"
        for item in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    unique = list(dict.fromkeys(lines))
    more = f", and {len(unique) - 3} more" if len(unique) > 3 else ""
    return ", ".join(unique[:3]) + more


def _inside(location: tuple[int | str, ...], value: JsonValue) -> str:
    """Return the place inside the value; pydantic also puts names of union members there."""
    text, here = "", value
    for part in location:
        if isinstance(part, int) and isinstance(here, list):
            items = cast("list[Any]", here)
            text += f"[{part}]"
            here = items[part] if part < len(items) else None
        elif isinstance(part, str) and isinstance(here, dict):
            text += f".{part}"
            here = cast("dict[str, Any]", here).get(part)
    return text


def _lowered(message: str) -> str:
    message = message.removeprefix("Value error, ").removeprefix("Input ")
    words = " ".join(message.split())
    return words[:1].lower() + words[1:]


def maker(value: Any, fresh: Callable[[], Any] | None = None) -> Callable[[], Any]:
    """Return a function that gives the value, a new one each time if it could be changed."""
    if isinstance(value, str | int | float | bool | bytes | None):
        return lambda: value
    return fresh or (lambda: copy.deepcopy(value))
