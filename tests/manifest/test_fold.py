from dataclasses import fields

from meshd.diagnostics.model import Span
from meshd.domain.spec import (
    AgentSpec,
    CallSettings,
    Hints,
    MeshSpec,
    NeedSpec,
    ObjectSpec,
    ParameterSpec,
    PromptSpec,
    ResourceSpec,
    ResultSpec,
    ToolSpec,
)
from tests.manifest.reading import ROOT, agent, manifests

WHOLE = """\
apiVersion: meshd.dev/v1
kind: Mesh
metadata: {name: trip}
spec:
  defaults: {call: {timeout: 10s}}
---
apiVersion: meshd.dev/v1
kind: Agent
metadata: {name: planner, namespace: travel, labels: {team: a}}
spec:
  version: 1.4.0
  description: Plans
  python: {path: [src, ./lib/../more]}
  lifespan: trip.app:lifespan
  objects: {cart: {class: "trip.cart:Cart", arguments: {limit: 10}}}
  http: {host: localhost, port: 8001}
  tools:
    - callable: cart.add
    - callable: trip.plan:Plan.make
      name: plan_trip
      capability: trip.plan
      version: 2.0.0
      tags: [fast]
      description: Makes a plan
      hints: {title: Plan, readOnly: true, destructive: false, idempotent: true, openWorld: false}
      parameters:
        units: {schema: {enum: [metric, 1]}, default: null, description: Units, rename: system}
        since: {type: datetime, hide: true}
      result: {type: "trip:Trip", schema: {type: object}, select: {a: b.c}}
      needs:
        weather:
          capability: weather.now
          version: ">=1"
          tags: [+fast, [a, b]]
          namespace: default
          required: true
          expects: trip:Weather
          call: {timeout: 3s}
        other: {capability: other}
      call: {timeout: 1m}
  resources: [{uri: "a://b", callable: "a:b", mimeType: text/plain}]
  prompts: [{callable: "a:b.c", description: Prompt}]
"""


def test_a_whole_mesh() -> None:
    found = manifests(WHOLE)
    assert found.diagnostics == ()
    assert found.mesh == MeshSpec(
        name="trip",
        project_root=ROOT,
        agents=(
            AgentSpec(
                name="planner",
                namespace="travel",
                labels={"team": "a"},
                version="1.4.0",
                description="Plans",
                roots=(f"{ROOT}/src", f"{ROOT}/more"),
                lifespan="trip.app:lifespan",
                objects=(
                    ObjectSpec(
                        name="cart", class_reference="trip.cart:Cart", arguments={"limit": 10}
                    ),
                ),
                host="localhost",
                port=8001,
                tools=(
                    ToolSpec(
                        callable="cart.add", name="add", call=CallSettings(timeout_seconds=10.0)
                    ),
                    ToolSpec(
                        callable="trip.plan:Plan.make",
                        name="plan_trip",
                        capability="trip.plan",
                        version="2.0.0",
                        tags=("fast",),
                        description="Makes a plan",
                        hints=Hints(
                            title="Plan",
                            read_only=True,
                            destructive=False,
                            idempotent=True,
                            open_world=False,
                        ),
                        parameters=(
                            ParameterSpec(
                                name="units",
                                schema={"enum": ["metric", 1]},
                                has_default=True,
                                default=None,
                                description="Units",
                                rename="system",
                            ),
                            ParameterSpec(name="since", type="datetime", hide=True),
                        ),
                        result=ResultSpec(
                            type="trip:Trip", schema={"type": "object"}, select={"a": "b.c"}
                        ),
                        needs=(
                            NeedSpec(
                                parameter="weather",
                                capability="weather.now",
                                namespace="default",
                                version=">=1",
                                tags=("+fast", ("a", "b")),
                                required=True,
                                expects="trip:Weather",
                                call=CallSettings(timeout_seconds=3.0),
                            ),
                            NeedSpec(parameter="other", capability="other", namespace="travel"),
                        ),
                        call=CallSettings(timeout_seconds=60.0),
                    ),
                ),
                resources=(
                    ResourceSpec(uri="a://b", callable="a:b", name="b", mime_type="text/plain"),
                ),
                prompts=(PromptSpec(name="c", callable="a:b.c", description="Prompt"),),
            ),
        ),
    )


def lines(origins: dict[str, Span]) -> dict[str, tuple[int, int]]:
    return {name: (span.line, span.column) for name, span in origins.items()}


def test_every_value_that_is_set_has_its_place() -> None:
    mesh = manifests(WHOLE).mesh
    assert mesh is not None
    (spec,) = mesh.agents
    assert lines(dict(mesh.origins)) == {"name": (3, 18)}
    assert spec.origin == Span("mesh.yaml", 9, 18, 25)
    assert lines(dict(spec.origins)) == {
        "name": (9, 18),
        "namespace": (9, 38),
        "labels": (9, 54),
        "version": (11, 12),
        "description": (12, 16),
        "roots": (13, 18),
        "lifespan": (14, 13),
        "objects": (15, 12),
        "host": (16, 16),
        "port": (16, 33),
        "tools": (18, 5),
        "resources": (41, 14),
        "prompts": (42, 12),
    }
    add, plan = spec.tools
    assert lines(dict(add.origins)) == {"callable": (18, 17), "call.timeout_seconds": (5, 30)}
    assert lines(dict(plan.origins)) == {
        "callable": (19, 17),
        "name": (20, 13),
        "capability": (21, 19),
        "version": (22, 16),
        "tags": (23, 13),
        "description": (24, 20),
        "hints": (25, 14),
        "hints.title": (25, 22),
        "hints.read_only": (25, 38),
        "hints.destructive": (25, 57),
        "hints.idempotent": (25, 76),
        "hints.open_world": (25, 93),
        "parameters": (27, 9),
        "result": (29, 15),
        "result.type": (29, 22),
        "result.schema": (29, 43),
        "result.select": (29, 67),
        "needs": (31, 9),
        "call": (40, 13),
        "call.timeout_seconds": (40, 23),
    }
    weather, other = plan.needs
    assert weather.origin == Span("mesh.yaml", 31, 9, 16)
    assert lines(dict(weather.origins)) == {
        "parameter": (31, 9),
        "capability": (32, 23),
        "version": (33, 20),
        "tags": (34, 17),
        "namespace": (35, 22),
        "required": (36, 21),
        "expects": (37, 20),
        "call": (38, 17),
        "call.timeout_seconds": (38, 27),
    }
    assert lines(dict(other.origins)) == {"parameter": (39, 9), "capability": (39, 29)}
    (cart,) = spec.objects
    assert (cart.origin, lines(dict(cart.origins))) == (
        Span("mesh.yaml", 15, 13, 17),
        {"class_reference": (15, 27), "arguments": (15, 56)},
    )
    units, since = plan.parameters
    assert lines(dict(units.origins)) == {
        "schema": (27, 25),
        "default": (27, 55),
        "description": (27, 74),
        "rename": (27, 89),
    }
    assert since.at("rename") == Span("mesh.yaml", 28, 9, 14)


def test_origins_are_named_as_the_fields_are() -> None:
    mesh = manifests(WHOLE).mesh
    assert mesh is not None
    (spec,) = mesh.agents
    for value in (mesh, spec, *spec.objects, *spec.resources, *spec.prompts):
        assert set(value.origins) <= {field.name for field in fields(value)}
    for tool in spec.tools:
        named = {name.partition(".")[0] for name in tool.origins}
        assert named <= {field.name for field in fields(tool)}


def test_the_nearest_timeout_wins() -> None:
    mesh = "apiVersion: meshd.dev/v1\nkind: Mesh\nspec: {defaults: {call: {timeout: 1s}}}\n"
    defaults = "  defaults: {call: {timeout: 2s}}\n"
    tools = "  tools: [{callable: 'a:b'}, {callable: 'a:c', call: {timeout: 3s}}]\n"
    head = "---\napiVersion: meshd.dev/v1\nkind: Agent\nmetadata: {name: a}\nspec:\n"

    def timeouts(text: str) -> list[tuple[float | None, int]]:
        read = manifests(text).mesh
        assert read is not None
        places = [tool.call.origins.get("timeout_seconds") for tool in read.agents[0].tools]
        found = [tool.call.timeout_seconds for tool in read.agents[0].tools]
        return [
            (seconds, place.line if place else 0)
            for seconds, place in zip(found, places, strict=True)
        ]

    assert timeouts(mesh + head + defaults + tools) == [(2.0, 9), (3.0, 10)]
    assert timeouts(mesh + head + tools) == [(1.0, 3), (3.0, 9)]
    assert timeouts(head + tools) == [(None, 0), (3.0, 6)]


def test_values_are_plain() -> None:
    body = "  objects: {a: {class: 'a:B', arguments: {n: 1, f: 1.5, t: [x, true, null]}}}\n"
    mesh = agent(body).mesh
    assert mesh is not None
    arguments = mesh.agents[0].objects[0].arguments
    assert [type(arguments[name]) for name in ("n", "f")] == [int, float]
    assert arguments["t"] == ["x", True, None]
