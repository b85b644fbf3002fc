"""The reference of the manifest language in Markdown, made from its JSON Schema."""

import json
from collections.abc import Iterator
from typing import Any

from meshd.manifest.model import API_VERSION, KINDS
from meshd.manifest.schema import manifest_schema

Schema = dict[str, Any]

_HEAD = f"""\
# Manifest fields

`{API_VERSION}`. Made from the code.

A manifest is YAML 1.2 with one or more documents. An unknown key is an error, but for keys that
begin with `x-`, which are yours, and all of `metadata.annotations`.

Any value may hold `${{env:NAME}}`, `${{env:NAME:-default}}` (where the variable is unset or empty),
`${{env:NAME:?message}}` or `${{file:path}}`, the file being inside the project; `$${{` is a literal
`${{`. Paths are relative to the file that names them.

*Change* is what it costs to change a field while the mesh runs: nothing (`none`), new wiring of
consumers (`rewire`), a reload in place (`reload`) or a new process (`restart`). *Since* is the
release that brought the field. What is not supported yet is refused where it is set.
"""
_COLUMNS = ("key", "type", "default", "change", "since", "meaning")


def manifest_reference() -> str:
    """Return docs/reference/manifest.md."""
    definitions: dict[str, Schema] = manifest_schema()["$defs"]
    parts = [_HEAD]
    for name, places in _sections(definitions).items():
        section = definitions[name]
        where = ", ".join(f"`{place}`" for place in places)
        parts.append(f"## {name}\n\nAt {where}. {_sentence(section)}\n\n{_table(section)}\n")
    return "\n".join(parts)


def _sections(definitions: dict[str, Schema]) -> dict[str, list[str]]:
    """Return the sections, those nearest to the top first, with the paths where each may stand."""
    found: dict[str, list[str]] = {}
    waiting = [(model.__name__, kind) for kind, model in KINDS.items()]
    while waiting:
        name, place = waiting.pop(0)
        is_known = name in found
        found.setdefault(name, []).append(place)
        if is_known:
            continue
        for key, schema in definitions[name]["properties"].items():
            waiting += _references(schema, f"{place}.{key}")
    return found


def _references(schema: Schema, place: str) -> Iterator[tuple[str, str]]:
    if "$ref" in schema:
        name = _name(schema)
        if name != "Interpolation":
            yield name, place
    for branch in _branches(schema):
        yield from _references(branch, place)
    if "items" in schema:
        yield from _references(schema["items"], f"{place}[]")
    if "additionalProperties" in schema:
        yield from _references(schema["additionalProperties"], f"{place}.*")


def _table(section: Schema) -> str:
    rows = [_row(_COLUMNS), _row(["---"] * len(_COLUMNS))]
    required = section.get("required", [])
    for key, schema in section["properties"].items():
        default = "required" if key in required else _default(schema)
        cells = (
            f"`{key}`",
            _words(schema),
            default,
            schema["x-change"],
            schema["x-since"],
            schema["description"],
        )
        rows.append(_row([cell.replace("|", "\\|") for cell in cells]))
    return "\n".join(rows)


def _words(schema: Schema) -> str:
    """Return the type in words."""
    if "$ref" in schema:
        name = _name(schema)
        return f"[{name}](#{name.lower()})"
    if "const" in schema:
        return f"`{schema['const']}`"
    if branches := _branches(schema):
        return " or ".join(
            _own_words(branch)
            for branch in branches
            if branch.get("type") != "null" and branch.get("$ref") != "#/$defs/Interpolation"
        )
    return _type(schema)


def _own_words(schema: Schema) -> str:
    """Return the words of a branch, which may describe itself."""
    is_scalar = schema.get("type") in {"string", "integer", "boolean"}
    return schema["description"] if is_scalar and "description" in schema else _words(schema)


def _type(schema: Schema) -> str:
    match schema.get("type"):
        case "array":
            return f"list of {_words(schema['items'])}"
        case "object":
            return f"mapping of names to {_words(schema['additionalProperties'])}"
        case str() as name:
            return name
        case _:
            return "any value"


def _default(schema: Schema) -> str:
    default = schema.get("default")
    return "" if default is None else f"`{json.dumps(default)}`"


def _branches(schema: Schema) -> list[Schema]:
    return [*schema.get("anyOf", ()), *schema.get("oneOf", ())]


def _name(schema: Schema) -> str:
    return schema["$ref"].rpartition("/")[2]


def _sentence(section: Schema) -> str:
    return " ".join(section.get("description", "").split())


def _row(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"
