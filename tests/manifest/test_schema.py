import copy
import json
import re
from collections.abc import Iterator
from typing import Any, cast

import pydantic_core
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError, validators

from meshd.manifest import model
from meshd.manifest.model import KINDS, AgentDocument
from meshd.manifest.schema import SCHEMA_ID, manifest_schema, schema_text
from meshd.manifest.sections import Setting
from meshd.manifest.values import Later
from tests.manifest.reading import manifests
from tests.tools.manifest_reference import manifest_reference

EXAMPLE = """\
apiVersion: meshd.dev/v1
kind: Mesh
metadata: {name: trip}
spec:
  registry: {url: "${env:MCP_MESH_REGISTRY_URL:-}"}
  sessions: {redis: "${env:REDIS_URL:-}"}
  defaults:
    call: {timeout: 30s, retries: {max: 2, budget: 20%}, breaker: {failures: 5, open: 15s}}
---
apiVersion: meshd.dev/v1
kind: Agent
metadata: {name: planner, namespace: default, labels: {team: travel}}
spec:
  version: 1.4.0
  description: Plans a trip
  replicas: 2
  python: {path: ../src}
  env: {DB_URL: {env: PLANNER_DB_URL}, MODE: prod}
  lifespan: trip.app:lifespan
  objects: {cart: {class: "trip.cart:Cart", arguments: {limit: 10}}}
  http: {host: 127.0.0.1, port: 0}
  heartbeat: {interval: 5s}
  tools:
    - callable: trip.plan:plan
      name: plan_trip
      capability: trip.plan
      version: 2.0.0
      tags: [fast, metric]
      hints: {readOnly: true, idempotent: true}
      parameters:
        units: {schema: {enum: [metric, imperial]}, default: metric, description: Units}
        since: {type: datetime}
      result: {type: "trip.models:Trip"}
      needs:
        weather:
          capability: weather.forecast
          version: ">=1.2,<2"
          tags: ["+fast", "-beta"]
          required: true
          call: {timeout: 3s}
      call:
        timeout: 60s
        retries: {max: 3}
        streaming: true
        auth: {bearer: {env: PLANNER_TOKEN}}
        headers: {X-Service: trip}
      session: {argument: session_id, required: true, ttl: 30m}
      health: trip.plan:check
"""
DOCUMENTS: list[Any] = list(yaml.safe_load_all(EXAMPLE))


def pattern_keyword(
    validator: Any, pattern: str, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    """Check a pattern as ECMAScript does, where a last `$` never stands before a line break."""
    anchored = re.sub(r"\$\Z", r"\\Z", pattern)
    if isinstance(instance, str) and not re.search(anchored, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


SCHEMA = manifest_schema()
EcmaScript = cast("Any", validators).extend(Draft202012Validator, {"pattern": pattern_keyword})
VALIDATOR = EcmaScript(SCHEMA)


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"] == SCHEMA_ID
    assert json.loads(schema_text()) == SCHEMA
    assert schema_text().endswith("}\n")


def test_the_whole_language_is_in_the_schema() -> None:
    assert [list(VALIDATOR.iter_errors(document)) for document in DOCUMENTS] == [[], []]


def test_what_is_not_supported_yet_is_all_that_is_wrong_with_the_whole_language() -> None:
    codes = {problem.code for problem in manifests(EXAMPLE.replace("../src", "src")).diagnostics}
    assert codes == {"M190"}


def sections() -> dict[str, dict[str, Setting]]:
    found: dict[str, dict[str, Setting]] = {}
    waiting: list[Any] = list(KINDS.values())
    while waiting:
        section = waiting.pop()
        if section.__name__ in found:
            continue
        found[section.__name__] = section.known_keys()
        names = re.findall(r'"#/\$defs/(\w+)"', json.dumps(SCHEMA["$defs"][section.__name__]))
        waiting += [vars(model)[name] for name in names if name != "Interpolation"]
    return found


SECTIONS = sections()


def test_every_field_says_what_it_is() -> None:
    for name, keys in SECTIONS.items():
        properties = SCHEMA["$defs"][name]["properties"]
        assert list(properties) == list(keys)
        for key, declared in keys.items():
            said = properties[key]
            assert said["description"] == declared.about
            assert said["description"].endswith("."), (name, key)
            assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", said["x-since"])
            assert said["x-change"] in {"none", "rewire", "reload", "restart"}
            assert said.get("x-later", False) is declared.later


def test_every_default_in_the_schema_fits_its_field() -> None:
    for name in SECTIONS:
        for key, said in SCHEMA["$defs"][name]["properties"].items():
            if "default" in said:
                field = {"$defs": SCHEMA["$defs"], **said}
                assert EcmaScript(field).is_valid(said["default"]), (name, key)


def test_the_reference_tells_of_every_field() -> None:
    text = manifest_reference()
    for name, keys in SECTIONS.items():
        part = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        rows = [line for line in part.splitlines() if line.startswith("| `")]
        assert [row.split("`")[1] for row in rows] == list(keys)
    assert "| `callable` | `module:name` or `object.method` | required | restart |" in text
    assert '| `ttl` | duration, such as `30s` | `"30m"` | restart |' in text
    assert "Address of a Redis server; empty: in memory. Not supported yet. |" in text


VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 65536, 1.5, "", "a", "A", "1.0.0", "1.0", "30s", "30", "1m30s"),
    *(
        "20%",
        "a.b",
        "a:b",
        "a.b:c.d",
        "a..b",
        ":a",
        "a b",
        "a\n",
        "a-b",
        "a--b",
        "-a",
        "a-",
        "x" * 60,
    ),
    *(
        "${env:A}",
        "a ${file:b}",
        "$${env:A}",
        "datetime",
        "é",
        "1a",
        "meshd.dev/v1",
        "Agent",
        "Mesh",
    ),
    *(
        [],
        ["a"],
        [1],
        [["a"]],
        [None],
        {},
        {"a": "b"},
        {"a": 1},
        {"a": {}},
        {"env": "A"},
        {"x-a": 1},
    ),
    *({"callable": "a:b"}, [{"callable": "a:b"}], {"capability": "a"}, {"timeout": "1s"}),
]
KEYS = sorted({key for keys in SECTIONS.values() for key in keys} | {"x-a", "y-a", "a", "text"})


Path = tuple[str | int, ...]


def children(value: Any) -> list[tuple[str | int, Any]]:
    if isinstance(value, dict):
        return list(cast("dict[str, Any]", value).items())
    return list(enumerate(cast("list[Any]", value))) if isinstance(value, list) else []


def paths_of(value: Any, path: Path = ()) -> list[Path]:
    below = [paths_of(item, (*path, step)) for step, item in children(value)]
    return [path, *(one for paths in below for one in paths)]


def at(document: Any, path: Path) -> Any:
    for step in path:
        document = document[step]
    return document


def shape_problems(document: Any) -> list[str]:
    text = yaml.safe_dump(document, allow_unicode=True)
    codes = [problem.code for problem in manifests(text).diagnostics]
    return [code for code in codes if code.startswith("M12")]


def assert_same_verdict(document: Any) -> None:
    problems = shape_problems(document)
    errors: list[str] = [error.message for error in VALIDATOR.iter_errors(document)]
    assert bool(problems) == bool(errors), (problems, errors, document)


def as_read(value: Any) -> Any:
    """Return the value as the interpolation leaves it when nothing is known yet."""
    if isinstance(value, dict):
        return {key: as_read(item) for key, item in children(cast("Any", value))}
    if isinstance(value, list):
        return [as_read(item) for _, item in children(cast("Any", value))]
    if isinstance(value, str) and value in {"${env:A}", "a ${file:b}"}:
        return Later(value)
    return value


@pytest.mark.parametrize("name", SECTIONS)
def test_every_field_judges_a_value_as_the_schema_does(name: str) -> None:
    section = vars(model)[name]
    for key in SECTIONS[name]:
        said = SCHEMA["$defs"][name]["properties"][key]
        validator = EcmaScript({"$defs": SCHEMA["$defs"], **said})
        for value in VALUES:
            try:
                section.read({key: as_read(value)})
            except pydantic_core.ValidationError as error:
                is_valid = all(one["loc"][0] != key for one in error.errors())
            else:
                is_valid = True
            assert validator.is_valid(value) == is_valid, (name, key, value)


@settings(max_examples=150)
@given(st.data())
def test_mutations_are_judged_as_the_schema_judges_them(data: st.DataObject) -> None:
    document = copy.deepcopy(data.draw(st.sampled_from(DOCUMENTS)))
    for _ in range(data.draw(st.integers(1, 4))):
        path = data.draw(st.sampled_from([path for path in paths_of(document) if path]))
        holder = at(document, path[:-1])
        change = data.draw(st.sampled_from(["replace", "remove", "add"]))
        if change == "remove" and len(holder) > 1:
            del holder[path[-1]]
        elif change == "add" and isinstance(holder, dict):
            key = data.draw(st.sampled_from(KEYS))
            holder[key] = copy.deepcopy(data.draw(st.sampled_from(VALUES)))
        else:
            holder[path[-1]] = copy.deepcopy(data.draw(st.sampled_from(VALUES)))
    assert_same_verdict(document)


def test_a_value_that_is_wrong_for_a_kind_gives_errors_of_that_kind() -> None:
    errors: list[Any] = list(VALIDATOR.iter_errors({**DOCUMENTS[1], "metadata": {"name": "A"}}))
    assert [list(error.absolute_path) for error in errors] == [["metadata", "name"]]
    assert AgentDocument.known_keys()["metadata"].is_required
