"""Arguments for the odd agent's tools: mostly right, sometimes a little wrong, or anything."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from meshd.domain.signature import ToolSignature
from tests.differential.src.odd_tools import FAILURES, RESULTS
from tests.differential.text import Literally

KINDS: dict[str, tuple[str, ...]] = {
    "result": tuple(RESULTS),
    "raises": tuple(FAILURES),
}
TEXTS = (
    "",
    "a",
    "aaa",
    "1",
    "1.5",
    "true",
    "null",
    "tools/call",
    "é",
    "漢字 🎉",
    "\x00\x01\x1f\x7f",
    "\u2028\u2029\ufeff",
    "e\u0301",
    "\ud800",
    "x\udfff",
    "\ud83c\udf89",
    'q"\\/\b\f\n\r\t',
    "</script>",
    "x" * 300,
)
INTEGERS = (
    0,
    1,
    -1,
    2,
    7,
    100,
    2**31,
    2**53,
    2**53 + 1,
    2**63 - 1,
    2**63,
    2**64 - 1,
    2**64,
    -(2**63),
)
BIG = (-(2**63) - 1, 10**25, 10**308, 10**400, 10**4200, 10**4299, Literally("1" + "0" * 4300))
FLOATS = (0.0, -0.0, 1.0, 1.5, -2.25, 1e-7, 1e16, 1e22, 1.7976931348623157e308, 5e-324, 0.1)
WRITTEN = tuple(
    map(
        Literally,
        (
            "1e2",
            "1E2",
            "1.0e+2",
            "-0",
            "-0.0",
            "1E400",
            "-1e999",
            "1e-400",
            "100000000000000000000.0",
        ),
    )
)
NOT_JSON = tuple(
    map(
        Literally,
        (
            "NaN",
            "Infinity",
            "-Infinity",
            "01",
            "1.",
            ".5",
            "+1",
            "0x1",
            "'a'",
            "undefined",
            "",
            "1 1",
        ),
    )
)
TWICE = tuple(
    map(
        Literally,
        ('{"a":1,"a":2}', '{"a":1,"b":1,"a":"x"}', '{"value":1,"value":2.0}', '{"":1,"":1}'),
    )
)
DEEP = Literally("[" * 150 + "]" * 150)
DEEPER = (Literally("[" * 500 + "]" * 500), Literally('{"a":' * 300 + "1" + "}" * 300))

texts = st.sampled_from(TEXTS) | st.text(max_size=6)
integers = st.sampled_from(INTEGERS) | st.integers(-300, 300)
floats = st.sampled_from(FLOATS) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    integers,
    floats,
    texts,
    st.sampled_from(BIG),
    st.sampled_from(WRITTEN),
)
nested: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
ODD: tuple[Any, ...] = ([], {}, [[]], [{}], {"": None}, {"a": [1, 2.0, None]}, *DEEPER)
odd: st.SearchStrategy[Any] = st.one_of(
    scalars,
    nested,
    st.sampled_from((*TWICE, DEEP)),
    st.sampled_from(ODD),
)
wrong: st.SearchStrategy[Any] = st.sampled_from(NOT_JSON) | odd

PROPER: Mapping[str, st.SearchStrategy[Any]] = {
    "integer": integers,
    "number": floats | integers,
    "string": texts,
    "boolean": st.booleans(),
    "null": st.none(),
}
FORMATS: Mapping[str, tuple[str, ...]] = {
    "date-time": ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000001+02:00", "2026-01-02"),
    "date": ("2026-01-02", "2026-02-30"),
    "uuid": ("00000000-0000-0000-0000-000000000005", "5"),
    "path": ("/a/b", "../x", ""),
    "base64": ("YWJj", "", "YQ==", "YQ"),
    "^a*$": ("", "aaa", "aaa"),
}
PERCENT = st.integers(0, 99)
MOODS = st.sampled_from(("whole", "whole", "part", "part", "wrong"))


def arguments_for(draw: DrawFn, tool: str, signature: ToolSignature) -> Any:
    """Draw the `arguments` of a call: most often what the tool's schema allows."""
    schema = signature.input_schema
    mood = draw(MOODS)
    given: dict[str, Any] = {}
    for name, inner in schema["properties"].items():
        if mood == "whole" or name in schema.get("required", ()) or draw(PERCENT) < 50:
            given[name] = _value(draw, tool, name, inner, schema)
    if mood == "wrong":
        _spoil(draw, given)
    return given


def _value(draw: DrawFn, tool: str, name: str, schema: Any, root: Mapping[str, Any]) -> Any:
    if name in ("kind", "kinds"):
        kinds = KINDS["raises" if tool.startswith("raises") else "result"]
        if name == "kind":
            return draw(st.sampled_from(kinds))
        return draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=4))
    return _fitting(draw, schema, root)


def _fitting(draw: DrawFn, schema: Any, root: Mapping[str, Any], depth: int = 0) -> Any:
    """Draw what the schema describes, as far as that can be said in a few lines."""
    if "$ref" in schema:
        return _fitting(draw, root["$defs"][schema["$ref"].rpartition("/")[2]], root, depth)
    if "anyOf" in schema:
        return _fitting(draw, draw(st.sampled_from(schema["anyOf"])), root, depth)
    if "enum" in schema:
        return draw(st.sampled_from(schema["enum"]))
    form = schema.get("format") or schema.get("contentEncoding") or schema.get("pattern")
    if form in FORMATS:
        return draw(st.sampled_from(FORMATS[form]))
    if "minimum" in schema:
        return draw(st.integers(schema["minimum"], schema.get("maximum")))
    kind = schema.get("type")
    if kind == "array" and depth < 4:
        return _array(draw, schema, root, depth + 1)
    if kind == "object" and depth < 4:
        return _object(draw, schema, root, depth + 1)
    return draw(PROPER.get(kind, odd))


def _array(draw: DrawFn, schema: Any, root: Mapping[str, Any], depth: int) -> Any:
    if "prefixItems" in schema:
        return [_fitting(draw, item, root, depth) for item in schema["prefixItems"]]
    items = schema.get("items", {})
    return [_fitting(draw, items, root, depth) for _ in range(draw(st.integers(0, 3)))]


def _object(draw: DrawFn, schema: Any, root: Mapping[str, Any], depth: int) -> Any:
    made: dict[str, Any] = {
        name: _fitting(draw, inner, root, depth)
        for name, inner in schema.get("properties", {}).items()
        if name in schema.get("required", ()) or draw(st.booleans())
    }
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        for name in draw(st.lists(texts, max_size=2)):
            made[name] = _fitting(draw, more, root, depth)
    return made


def _spoil(draw: DrawFn, given: dict[str, Any]) -> None:
    match draw(st.sampled_from(("remove", "add", "replace", "foreign"))):
        case "remove" if given:
            del given[draw(st.sampled_from(sorted(given)))]
        case "replace" if given:
            given[draw(st.sampled_from(sorted(given)))] = draw(wrong)
        case "foreign":
            given |= {"_trace_id": "1", "_parent_span": draw(scalars), "_mesh_headers": {"x": "y"}}
        case _:  # nothing to take, or something to add
            given[draw(texts)] = draw(wrong)
