"""JSON text in all the ways in which somebody may write it."""

import json
from dataclasses import dataclass
from typing import Any, cast

_MARK = "\u0000literally:"


class Literally(str):
    """Text that stands in JSON as it is, where a value should be."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Style:
    """A way to write JSON."""

    ascii_only: bool = True
    indent: int | None = None
    separators: tuple[str, str] = (",", ":")


PLAIN = Style()
STYLES = (
    PLAIN,
    Style(ascii_only=False),
    Style(indent=2, separators=(" ,", " : ")),
    Style(separators=(", ", ": ")),
    Style(separators=("\t,\r\n", " :\n")),
)


def written(value: Any, style: Style = PLAIN) -> bytes:
    """Return JSON text; half characters are bytes that UTF-8 does not allow, or escapes."""
    found: list[str] = []

    def marked(part: Any) -> Any:
        if isinstance(part, Literally):
            found.append(str(part))
            return f"{_MARK}{len(found) - 1}:"
        if isinstance(part, dict):
            pairs = cast("dict[str, Any]", part).items()
            return {name: marked(inner) for name, inner in pairs}
        if isinstance(part, list):
            return [marked(inner) for inner in cast("list[Any]", part)]
        return part

    text = json.dumps(
        marked(value),
        ensure_ascii=style.ascii_only,
        indent=style.indent,
        separators=style.separators,
    )
    for number, literal in enumerate(found):
        text = text.replace(f'"\\u0000literally:{number}:"', literal, 1)
    return text.encode("utf-8", "surrogatepass")
