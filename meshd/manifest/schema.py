"""The JSON Schema of the manifest language, made from its sections, for editors and other tools.

It says all that JSON Schema can say of one document; clashes between documents it cannot. Names
of definitions are no promise, the `$id` is.
"""

import json
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from meshd.manifest.model import API_VERSION, KINDS
from meshd.manifest.scalars import INTERPOLATION
from meshd.manifest.sections import OneOf, ScalarType, Section, Setting, parts_of, section_in

Schema = dict[str, Any]

SCHEMA_ID = f"https://meshd.dev/schemas/{API_VERSION}/manifest.schema.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_INTERPOLATION_REFERENCE: Schema = {"$ref": "#/$defs/Interpolation"}


def manifest_schema() -> Schema:
    """Return the schema of one document, of either kind."""
    definitions: dict[str, Schema] = {"Interpolation": INTERPOLATION}
    for model in KINDS.values():
        _define(model, definitions)
    return {
        "$schema": _DIALECT,
        "$id": SCHEMA_ID,
        "title": "meshd manifest",
        "description": "One document of a meshd manifest; a file may hold many.",
        "type": "object",
        "required": ["apiVersion", "kind"],
        "properties": {"apiVersion": {"const": API_VERSION}, "kind": {"enum": list(KINDS)}},
        # One branch for each kind, so that an editor's complaint speaks of the kind that was meant.
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
                "then": _reference(model),
            }
            for kind, model in KINDS.items()
        ],
        "$defs": dict(sorted(definitions.items())),
    }


def schema_text() -> str:
    """Return the schema as it stands in `schemas/`."""
    return json.dumps(manifest_schema(), indent=2, ensure_ascii=False) + "\n"


def _define(section: type[Section], definitions: dict[str, Schema]) -> None:
    """Add the definition of a section, and of those below it."""
    if section.__name__ in definitions:
        return
    keys = section.known_keys()
    definitions[section.__name__] = {
        "description": " ".join((section.__doc__ or "").split()),
        "type": "object",
        "properties": {key: _property(declared) for key, declared in keys.items()},
        "patternProperties": {"^x-": {}},
        "additionalProperties": False,
        "required": [key for key, declared in keys.items() if declared.is_required],
    }
    for declared in keys.values():
        for inner in _sections_in(declared.annotation):
            _define(inner, definitions)


def _sections_in(annotation: Any) -> list[type[Section]]:
    section, _ = section_in(annotation)
    return [] if section is None else [section]


def _property(declared: Setting) -> Schema:
    schema = {**_of(declared.annotation), "description": declared.about}
    if not isinstance(declared.written, NoneType | Section) and not declared.is_required:
        schema["default"] = declared.written
    schema |= {"x-since": declared.since, "x-change": declared.change}
    return {**schema, "x-later": True} if declared.later else schema


def _of(annotation: Any) -> Schema:
    """Return the schema of a type."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return _reference(annotation)
    parts = parts_of(annotation)
    match get_origin(annotation):
        case origin if origin is Annotated:
            return _of_annotated(get_args(annotation)[1])
        case origin if origin is Literal:
            return {"const": get_args(annotation)[0]}
        case origin if origin is list:
            return {"type": "array", "items": _of(parts[0])}
        case origin if origin is dict:
            return {"type": "object", "additionalProperties": _of(parts[1])}
        case _:
            inner = _of(parts[0])
            branches = inner["anyOf"] if set(inner) == {"anyOf"} else [inner]
            return {"anyOf": [*branches, {"type": "null"}]}


def _of_annotated(kind: ScalarType | OneOf) -> Schema:
    if isinstance(kind, OneOf):
        return {"anyOf": [_of(branch) for branch in kind.branches.values()]}
    if not kind.may_be_interpolated:
        return kind.schema
    return {"anyOf": [{"description": kind.words, **kind.schema}, _INTERPOLATION_REFERENCE]}


def _reference(section: type[Any]) -> Schema:
    return {"$ref": f"#/$defs/{section.__name__}"}
