"""The manifest language as a page of documentation, read from the models of its documents."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from meshd.manifest.model import KINDS

Schema = Mapping[str, Any]

HEAD = """\
# Manifest fields

Every key of the documents of `meshd.dev/v1`. An unknown key is an error, except for keys that begin
with `x-`, which are free. Wherever a scalar stands, `${env:NAME}` and `${file:path}` may stand.
*change* says what a new value costs a running mesh: `none`, `rewire` (consumers look again),
`reload` (in place) or `restart` (a new process).
"""


def manifest_reference() -> str:
    """Return docs/reference/manifest.md."""
    sections: dict[str, Schema] = {}
    for kind, model in KINDS.items():
        schema = model.model_json_schema(by_alias=True)
        sections[f"kind: {kind}"] = schema
        for name, section in schema.get("$defs", {}).items():
            if "properties" in section:
                sections.setdefault(name, section)
    parts = (line for title, section in sections.items() for line in _section(title, section))
    return "\n".join([HEAD, *parts])


def _section(title: str, section: Schema) -> Iterator[str]:
    yield from [f"## {title}", "", section.get("description", ""), ""]
    yield from ["| key | value | default | meaning | change | since |", "|---|---|---|---|---|---|"]
    required: list[str] = section.get("required", [])
    for key, field in section["properties"].items():
        default = "required" if key in required else _default(field)
        cells = [f"`{key}`", _value(field), default, field.get("description", "")]
        cells += [field.get("x-change", ""), field.get("x-since", "")]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def _default(field: Schema) -> str:
    value = field.get("default")
    return "" if value is None else f"`{json.dumps(value)}`"


def _value(field: Schema) -> str:
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    branches: list[Schema] = [*field.get("anyOf", []), *field.get("oneOf", [])]
    if branches:
        words = [_value(each) for each in branches if not _goes_without_saying(each)]
        return " or ".join(dict.fromkeys(words))
    if "const" in field or "enum" in field:
        return " or ".join(f"`{each}`" for each in field.get("enum", [field.get("const")]))
    if field.get("type") == "array":
        return f"list of {_value(field.get('items', {}))}"
    if field.get("type") == "object":
        items: Schema | bool | None = field.get("additionalProperties")
        return f"map of {_value(items)}" if items and items is not True else "map"
    examples = ", ".join(f"`{each}`" for each in field.get("examples", []))
    return str(field.get("type", "any")) + (f", such as {examples}" if examples else "")


def _goes_without_saying(branch: Schema) -> bool:
    """Whether a branch is null, or the reference to the environment that HEAD speaks of."""
    return branch.get("type") == "null" or "(env|file)" in branch.get("pattern", "")
