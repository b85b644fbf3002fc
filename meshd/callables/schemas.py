"""JSON Schemas put together: definitions merged, titles dropped, the manifest's own compiled.

Pure functions on JSON values. A schema from a manifest may refer to itself only: nothing is ever
fetched.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from jsonschema import Draft202012Validator, SchemaError, exceptions
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import EMPTY_REGISTRY

from meshd.domain.spec import JsonValue

Schema = dict[str, JsonValue]

_NAMED = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})
_LITERAL = frozenset({"default", "const", "enum", "examples"})


def without_titles(schema: JsonValue) -> Any:
    """Return the schema without the titles that pydantic makes from names."""
    if isinstance(schema, list):
        return [without_titles(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    result: Schema = {}
    for key, value in cast("Schema", schema).items():
        if key in _LITERAL:
            result[key] = value
        elif key in _NAMED and isinstance(value, dict):
            named = cast("Schema", value)
            result[key] = {name: without_titles(inner) for name, inner in named.items()}
        elif key != "title":
            result[key] = without_titles(value)
    return result


def hoist(schema: Schema, definitions: Schema) -> Schema:
    """Move the schema's `$defs` into `definitions`, renaming those whose name means another."""
    own = cast("Schema", schema.get("$defs", {}))
    names = {name: _free_name(name, own[name], definitions) for name in own}
    moved = {f"#/$defs/{old}": f"#/$defs/{new}" for old, new in names.items() if old != new}
    definitions.update({names[name]: _with_refs(own[name], moved.get) for name in own})
    return _with_refs({key: value for key, value in schema.items() if key != "$defs"}, moved.get)


def _free_name(name: str, schema: JsonValue, definitions: Schema) -> str:
    free, number = name, 2
    while free in definitions and definitions[free] != schema:
        free, number = f"{name}{number}", number + 1
    return free


def embedded(schema: Mapping[str, JsonValue], pointer: str) -> Schema:
    """Return a schema from a manifest so that its references hold at a place in a larger one."""
    own = {key: value for key, value in schema.items() if key != "$schema"}
    if "$id" in own:
        return own

    def moved(reference: str) -> str | None:
        is_pointer = reference == "#" or reference.startswith("#/")
        return f"{pointer}{reference[1:]}" if is_pointer else None

    return _with_refs(own, moved)


def _with_refs(schema: Any, moved: Callable[[str], str | None]) -> Any:
    if isinstance(schema, list):
        return [_with_refs(item, moved) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    return {
        key: (moved(value) or value)
        if key == "$ref" and isinstance(value, str)
        else value
        if key in _LITERAL
        else _with_refs(value, moved)
        for key, value in cast("Schema", schema).items()
    }


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, value in cast("Schema", schema).items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield value
            elif key not in _LITERAL:
                yield from _references(value)
    elif isinstance(schema, list):
        for item in cast("list[Any]", schema):
            yield from _references(item)


class Mismatch(ValueError):
    """A value does not match a schema of the manifest; the text says how, and where inside.

    `rule` is the part of the schema alone, for reports that must not show values.
    """

    def __init__(self, text: str, rule: str) -> None:
        super().__init__(text)
        self.rule = rule


def compile_schema(schema: Mapping[str, JsonValue]) -> Callable[[JsonValue], None] | str:
    """Return a check that raises `Mismatch`, or the reason why the schema is none."""
    kind = cast("Any", validator_for)(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        return f"{error.json_path.replace('$', 'schema', 1)}: {error.message}"
    for reference in _references(schema):
        if not reference.startswith("#"):
            return f"it refers to `{reference}`, which is outside of it"
    registry: Registry[Any] = EMPTY_REGISTRY
    validator: Any = kind(schema, registry=registry)
    try:
        resolver = validator._resolver  # noqa: SLF001  (the only way to try a reference beforehand)
        for reference in _references(schema):
            resolver.lookup(reference)
    except Unresolvable as error:
        return f"it refers to `#{error.ref.removeprefix('#')}`, which it does not hold"

    def check(value: JsonValue) -> None:
        error: Any = cast("Any", exceptions).best_match(validator.iter_errors(value))
        if error is not None:
            where = str(error.json_path)[1:]
            message = str(error.message)
            shown = message if len(message) <= 200 else f"{message[:199]}…"
            rule = json.dumps({error.validator: error.validator_value})[:200]
            raise Mismatch(f"{where}: {shown}" if where else shown, rule)

    return check
