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
    SecretSpec,
    ToolSpec,
)
from tests.manifest.reading import ROOT, FakeInputs, agent, manifests

WHOLE = """\
apiVersion: meshd.dev/v1
kind: Mesh
metadata: {name: trip}
spec:
  defaults: {call: {timeout: 10s}}
  registry: {url: "http://registry:8000/"}
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
  http: {host: localhost, port: 8001, advertise: "planner:80"}
  replicas: 3
  process: trips
  env:
    MODE: prod
    KEY: {env: PLANNER_KEY}
    CERT: {file: ../keys/cert}
    TOKEN: {file: /run/secrets/token}
  heartbeat: {interval: 1m}
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
        registry_url="http://registry:8000",
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
                advertise="planner:80",
                replicas=3,
                process="trips",
                env={
                    "MODE": "prod",
                    "KEY": SecretSpec(env="PLANNER_KEY"),
                    "CERT": SecretSpec(file="/keys/cert"),
                    "TOKEN": SecretSpec(file="/run/secrets/token"),
                },
                heartbeat_seconds=60.0,
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
    assert mesh.origin == Span("mesh.yaml", 2, 7, 11)
    assert lines(dict(mesh.origins)) == {"name": (3, 18), "registry_url": (6, 19)}
    assert spec.origin == Span("mesh.yaml", 10, 18, 25)
    assert lines(dict(spec.origins)) == {
        "name": (10, 18),
        "namespace": (10, 38),
        "labels": (10, 54),
        "version": (12, 12),
        "description": (13, 16),
        "roots": (14, 18),
        "lifespan": (15, 13),
        "objects": (16, 12),
        "host": (17, 16),
        "port": (17, 33),
        "advertise": (17, 50),
        "replicas": (18, 13),
        "process": (19, 12),
        "env": (21, 5),
        "env.MODE": (21, 11),
        "env.KEY": (22, 10),
        "env.CERT": (23, 11),
        "env.TOKEN": (24, 12),
        "heartbeat_seconds": (25, 25),
        "tools": (27, 5),
        "resources": (50, 14),
        "prompts": (51, 12),
    }
    cert = spec.env["CERT"]
    assert isinstance(cert, SecretSpec)
    assert (cert.origin, lines(dict(cert.origins))) == (
        Span("mesh.yaml", 23, 5, 9),
        {"file": (23, 18)},
    )
    add, plan = spec.tools
    assert lines(dict(add.origins)) == {"callable": (27, 17), "call.timeout_seconds": (5, 30)}
    assert lines(dict(plan.origins)) == {
        "callable": (28, 17),
        "name": (29, 13),
        "capability": (30, 19),
        "version": (31, 16),
        "tags": (32, 13),
        "description": (33, 20),
        "hints": (34, 14),
        "hints.title": (34, 22),
        "hints.read_only": (34, 38),
        "hints.destructive": (34, 57),
        "hints.idempotent": (34, 76),
        "hints.open_world": (34, 93),
        "parameters": (36, 9),
        "result": (38, 15),
        "result.type": (38, 22),
        "result.schema": (38, 43),
        "result.select": (38, 67),
        "needs": (40, 9),
        "call": (49, 13),
        "call.timeout_seconds": (49, 23),
    }
    weather, other = plan.needs
    assert weather.origin == Span("mesh.yaml", 40, 9, 16)
    assert lines(dict(weather.origins)) == {
        "parameter": (40, 9),
        "capability": (41, 23),
        "version": (42, 20),
        "tags": (43, 17),
        "namespace": (44, 22),
        "required": (45, 21),
        "expects": (46, 20),
        "call": (47, 17),
        "call.timeout_seconds": (47, 27),
    }
    assert lines(dict(other.origins)) == {"parameter": (48, 9), "capability": (48, 29)}
    (cart,) = spec.objects
    assert (cart.origin, lines(dict(cart.origins))) == (
        Span("mesh.yaml", 16, 13, 17),
        {"class_reference": (16, 27), "arguments": (16, 56)},
    )
    units, since = plan.parameters
    assert lines(dict(units.origins)) == {
        "schema": (36, 25),
        "default": (36, 55),
        "description": (36, 74),
        "rename": (36, 89),
    }
    assert since.at("rename") == Span("mesh.yaml", 37, 9, 14)


def test_origins_are_named_as_the_fields_are() -> None:
    mesh = manifests(WHOLE).mesh
    assert mesh is not None
    (spec,) = mesh.agents
    secrets = [value for value in spec.env.values() if isinstance(value, SecretSpec)]
    for value in (mesh, *secrets, *spec.objects, *spec.resources, *spec.prompts):
        assert set(value.origins) <= {field.name for field in fields(value)}
    for value in (spec, *spec.tools):
        named = {name.partition(".")[0] for name in value.origins}
        assert named <= {field.name for field in fields(value)}


def test_only_what_a_document_says_is_compared() -> None:
    mesh = manifests(WHOLE).mesh
    moved = manifests(f"# moved\n\n{WHOLE}".replace("prod", '"prod"   ')).mesh
    assert mesh is not None
    assert moved is not None
    assert moved == mesh
    assert moved.agents[0].env == mesh.agents[0].env
    assert moved.agents[0].origin != mesh.agents[0].origin
    assert moved.agents[0].origins != mesh.agents[0].origins


def test_what_is_shown_of_a_spec_names_secrets_only() -> None:
    body = "  env: {KEY: {env: PLANNER_KEY}, TEXT: '${env:PLANNER_KEY}'}\n"
    read = agent(body, FakeInputs({"PLANNER_KEY": "hush"}))
    assert read.mesh is not None
    (spec,) = read.mesh.agents
    assert spec.env["TEXT"] == "hush"
    assert repr(spec.env["KEY"]) == "SecretSpec(env='PLANNER_KEY', file=None)"


def test_variables_are_text() -> None:
    body = """\
  env:
    A: ""
    B: no
    C: "1"
    D: "${env:NUMBER}"
    E: a ${env:NUMBER}
    F: $HOME
    G: |
      two
      lines
  replicas: ${env:NUMBER}
  heartbeat: {interval: "${env:NUMBER}s"}
"""
    mesh = agent(body, FakeInputs({"NUMBER": "2"})).mesh
    assert mesh is not None
    (spec,) = mesh.agents
    expected = {"A": "", "B": "no", "C": "1", "D": "2", "E": "a 2", "F": "$HOME"}
    assert spec.env == expected | {"G": "two\nlines\n"}
    assert {type(value) for value in spec.env.values()} == {str}
    assert (spec.replicas, spec.heartbeat_seconds) == (2, 2.0)


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
