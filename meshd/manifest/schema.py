"""The JSON Schema of the manifest language, made from the models, for editors and other tools.

It says all that JSON Schema can say of one document; clashes between documents it cannot. Names
of definitions are no promise, the `$id` is.
"""

import json
from typing import Any, cast

from pydantic.json_schema import models_json_schema

from meshd.manifest.model import API_VERSION, KINDS
from meshd.manifest.scalars import INTERPOLATION

SCHEMA_ID = f"https://meshd.dev/schemas/{API_VERSION}/manifest.schema.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"

# Under these keys a schema holds names of the user's, not keywords.
_NAMED = frozenset({"properties", "patternProperties", "$defs"})


def manifest_schema() -> dict[str, Any]:
    """Return the schema of one document, of either kind."""
    models = [(model, "validation") for model in KINDS.values()]
    _, made = models_json_schema(cast("Any", models), by_alias=True)
    definitions = _tidied(made["$defs"], named=True)
    definitions["Interpolation"] = INTERPOLATION
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
                "then": {"$ref": f"#/$defs/{model.__name__}"},
            }
            for kind, model in KINDS.items()
        ],
        "$defs": dict(sorted(definitions.items())),
    }


def schema_text() -> str:
    """Return the schema as it stands in `schemas/`."""
    return json.dumps(manifest_schema(), indent=2, ensure_ascii=False) + "\n"


def _tidied(value: Any, *, named: bool = False) -> Any:
    """Return the schema without pydantic's titles and empty defaults, with interpolations named."""
    if isinstance(value, list):
        return [_tidied(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    if value == INTERPOLATION:
        return {"$ref": "#/$defs/Interpolation"}
    schema = cast("dict[str, Any]", value)
    return {
        key: _tidied(item, named=not named and key in _NAMED)
        for key, item in schema.items()
        if named or (key != "title" and not (key == "default" and item is None))
    }
