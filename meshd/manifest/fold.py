"""Valid documents to a MeshSpec: defaults folded, paths absolute, every value with its origin.

`origins` are keyed by the names of the spec's own fields, those of nested values with dots
(`call.timeout_seconds`); what the user did not set is not in them.
"""

from collections.abc import Callable, Sequence
from collections.abc import Mapping as Dictionary
from dataclasses import fields
from functools import cache
from typing import Any, cast

from meshd.diagnostics.model import Span
from meshd.domain.call import nearest
from meshd.domain.spec import (
    AgentSpec,
    CallSettings,
    Execution,
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
from meshd.domain.tokens import with_provider_tokens
from meshd.manifest import model
from meshd.manifest.documents import Placed, agents_of, effective_name, meshes_of
from meshd.manifest.model import AgentDocument, Document
from meshd.manifest.nodes import Node, Step, find, key_span, value_span
from meshd.manifest.paths import absolute
from meshd.manifest.sections import Section, settings_of
from meshd.manifest.values import Later

Origins = dict[str, Span]


def fold(documents: Sequence[Placed[Document]], project_root: str) -> MeshSpec:
    """Return the mesh that the documents describe; of wrong ones, with `Broken` in it.

    Its origin is its document's, if it has one.
    """
    meshes = meshes_of(documents)
    if not meshes:
        agents = tuple(_agent(placed, CallSettings()) for placed in agents_of(documents))
        return MeshSpec(project_root=project_root, agents=with_provider_tokens(agents))
    place, mesh = _document(meshes[0]), meshes[0].document
    defaults = _call(mesh.spec.defaults.call, place.below("spec", "defaults", "call"))
    registry = place.below("spec", "registry")
    return MeshSpec(
        name=mesh.metadata.name,
        project_root=project_root,
        registry_url=mesh.spec.registry.url.removesuffix("/"),
        agents=with_provider_tokens(
            tuple(_agent(placed, defaults) for placed in agents_of(documents))
        ),
        origin=place.value("kind"),
        origins=place.below("metadata").origins(mesh.metadata, {})
        | registry.origins(mesh.spec.registry, {"url": "registry_url"}),
    )


class _Place:
    """A part of a document: its node, and the way to it from the node above."""

    def __init__(self, node: Node | None, above: Node, path: tuple[Step, ...] = ()) -> None:
        self.node = node
        self._above = above
        self._path = path

    def below(self, *path: Step) -> "_Place":
        """Return the place of what stands below."""
        if self.node is None:
            return self
        return _Place(find(self.node, *path), self.node, path)

    @property
    def folder(self) -> str:
        """The folder of the file, which paths are relative to."""
        return self._above.source.folder

    @property
    def key(self) -> Span:
        """Where the key stands, or the nearest thing above it that exists."""
        return key_span(self._above, *self._path)

    def value(self, key: str) -> Span:
        """Where the value of a key stands."""
        return self.key if self.node is None else value_span(self.node, key)

    def origins(self, section: Section, names: Dictionary[str, str]) -> Origins:
        """Return the places of the fields that are set, under their names in the spec."""
        keys = _keys(type(section))
        return {names.get(name, name): self.value(keys[name]) for name in section.fields_set}


@cache
def _keys(section: type[Section]) -> dict[str, str]:
    return {name: declared.key or name for name, declared in settings_of(section).items()}


def _document(placed: Placed[Any]) -> _Place:
    return _Place(placed.node, placed.node)


def _nested(prefix: str, origins: Dictionary[str, Span]) -> Origins:
    return {f"{prefix}.{name}": span for name, span in origins.items()}


def _agent(placed: Placed[AgentDocument], mesh_defaults: CallSettings) -> AgentSpec:
    metadata, spec = placed.document.metadata, placed.document.spec
    document = _document(placed)
    named, place = document.below("metadata"), document.below("spec")
    defaults = nearest(_call(spec.defaults.call, place.below("defaults", "call")), mesh_defaults)
    http, python = place.below("http"), place.below("python")
    folder = placed.node.source.folder
    roots = [spec.python.path] if isinstance(spec.python.path, str) else spec.python.path
    origins = named.origins(metadata, {}) | place.origins(spec, {})
    origins |= http.origins(spec.http, {"max_request": "max_request_bytes"}) | python.origins(
        spec.python, {"path": "roots"}
    )
    heartbeat = place.below("heartbeat").origins(spec.heartbeat, {"interval": "heartbeat_seconds"})
    env = place.below("env")
    origins = {name: span for name, span in (origins | heartbeat).items() if name in _AGENT_FIELDS}
    return AgentSpec(
        name=metadata.name,
        namespace=metadata.namespace,
        labels=metadata.labels,
        version=spec.version,
        description=spec.description,
        roots=tuple(absolute(folder, root) for root in roots),
        lifespan=spec.lifespan,
        objects=tuple(
            _object(name, section, place.below("objects", name))
            for name, section in spec.objects.items()
        ),
        host=spec.http.host,
        port=spec.http.port,
        advertise=spec.http.advertise,
        replicas=spec.replicas,
        process=spec.process,
        env={name: _variable(value, env.below(name)) for name, value in spec.env.items()},
        heartbeat_seconds=spec.heartbeat.interval,
        max_request_bytes=spec.http.max_request,
        tools=tuple(
            _tool(tool, place.below("tools", index), metadata.namespace, defaults)
            for index, tool in enumerate(spec.tools)
        ),
        resources=tuple(
            _resource(resource, place.below("resources", index))
            for index, resource in enumerate(spec.resources)
        ),
        prompts=tuple(
            _prompt(prompt, place.below("prompts", index))
            for index, prompt in enumerate(spec.prompts)
        ),
        origin=named.value("name"),
        origins=origins | {f"env.{name}": env.value(name) for name in spec.env},
    )


_AGENT_FIELDS = frozenset(field.name for field in fields(AgentSpec))


def _variable(value: str | model.SecretReference, place: _Place) -> str | SecretSpec:
    return value if isinstance(value, str) else _secret(value, place)


def _secret(value: model.SecretReference, place: _Place) -> SecretSpec:
    file = value.file
    if file is not None and not isinstance(file, Later):
        file = absolute(place.folder, file)
    return SecretSpec(env=value.env, file=file, origin=place.key, origins=place.origins(value, {}))


def _object(name: str, section: model.ObjectSection, place: _Place) -> ObjectSpec:
    return ObjectSpec(
        name=name,
        class_reference=section.class_reference,
        arguments=section.arguments,
        origin=place.key,
        origins=place.origins(section, {}),
    )


def _resource(resource: model.Resource, place: _Place) -> ResourceSpec:
    return ResourceSpec(
        uri=resource.uri,
        callable=resource.callable,
        name=effective_name(resource.callable, resource.name),
        description=resource.description,
        mime_type=resource.mime_type,
        origin=place.value("uri"),
        origins=place.origins(resource, {}),
    )


def _prompt(prompt: model.Prompt, place: _Place) -> PromptSpec:
    return PromptSpec(
        name=effective_name(prompt.callable, prompt.name),
        callable=prompt.callable,
        description=prompt.description,
        origin=place.value("callable"),
        origins=place.origins(prompt, {}),
    )


def _tool(tool: model.Tool, place: _Place, namespace: str, defaults: CallSettings) -> ToolSpec:
    call = nearest(_call(tool.call, place.below("call")), defaults)
    hints = _hints(tool.hints, place.below("hints"))
    result = _result(tool.result, place.below("result"))
    concurrency = tool.concurrency
    origins = place.origins(tool, {})
    if concurrency is not None:
        names = {"max": "concurrency_max", "queue": "concurrency_queue"}
        origins |= place.below("concurrency").origins(concurrency, names)
    origins |= _nested("call", call.origins) | _nested("hints", hints.origins)
    return ToolSpec(
        callable=tool.callable,
        name=effective_name(tool.callable, tool.name),
        capability=tool.capability,
        version=tool.version,
        tags=tuple(tool.tags),
        description=tool.description,
        hints=hints,
        parameters=tuple(
            _parameter(name, parameter, place.below("parameters", name))
            for name, parameter in tool.parameters.items()
        ),
        result=result,
        needs=tuple(
            _need(name, need, place.below("needs", name), namespace)
            for name, need in tool.needs.items()
        ),
        call=call,
        execution=cast("Execution | None", tool.execution),
        concurrency_max=None if concurrency is None else concurrency.max,
        concurrency_queue=0 if concurrency is None else concurrency.queue,
        origin=place.value("callable"),
        origins=origins | _nested("result", result.origins),
    )


def _parameter(name: str, parameter: model.Parameter, place: _Place) -> ParameterSpec:
    return ParameterSpec(
        name=name,
        schema=parameter.json_schema,
        type=parameter.type,
        has_default="default" in parameter.fields_set,
        default=parameter.default,
        description=parameter.description,
        hide=parameter.hide,
        rename=parameter.rename,
        origin=place.key,
        origins=place.origins(parameter, {"json_schema": "schema"}),
    )


def _result(result: model.Result, place: _Place) -> ResultSpec:
    return ResultSpec(
        type=result.type,
        schema=result.json_schema,
        select=result.select,
        origin=place.key,
        origins=place.origins(result, {"json_schema": "schema"}),
    )


def _hints(hints: model.Hints, place: _Place) -> Hints:
    return Hints(
        title=hints.title,
        read_only=hints.read_only,
        destructive=hints.destructive,
        idempotent=hints.idempotent,
        open_world=hints.open_world,
        origin=place.key,
        origins=place.origins(hints, {}),
    )


def _need(parameter: str, need: model.Need, place: _Place, namespace: str) -> NeedSpec:
    call = _call(need.call, place.below("call"))
    return NeedSpec(
        parameter=parameter,
        capability=need.capability,
        namespace=need.namespace or namespace,
        version=need.version,
        tags=tuple(tuple(tag) if isinstance(tag, list) else tag for tag in need.tags),
        required=need.required,
        expects=need.expects,
        call=call,
        origin=place.key,
        origins={"parameter": place.key} | place.origins(need, {}) | _nested("call", call.origins),
    )


def _call(call: model.Call, place: _Place) -> CallSettings:
    """Return what one level says about calls; the levels are folded by `nearest`."""
    values: dict[str, Any] = {}
    origins: Origins = {}
    for section, where, names in (
        (call, place, _CALL),
        (call.retries, place.below("retries"), _RETRIES),
        (call.breaker, place.below("breaker"), _BREAKER),
    ):
        said = {name: getattr(section, name) for name in section.fields_set & names.keys()}
        said = {name: value for name, value in said.items() if value is not None}
        values |= {names[name]: value for name, value in said.items()}
        origins |= {names[name]: where.value(name) for name in said}
    if not values and call.auth is None:
        return CallSettings()
    for name, convert in _CONVERSIONS.items():
        if name in values:
            values[name] = convert(values[name])
    if call.auth is not None:
        bearer = place.below("auth", "bearer")
        values["auth"] = _secret(call.auth.bearer, bearer)
        origins["auth"] = bearer.key
    return CallSettings(**values, origin=place.key, origins=origins)


_CALL = {
    "timeout": "timeout_seconds",
    "balance": "balance",
    "concurrency": "concurrency",
    "hedge": "hedge_seconds",
    "streaming": "streaming",
    "headers": "headers",
    "propagate": "propagate",
}
_RETRIES = {
    "max": "retries_max",
    "on": "retries_on",
    "timeout": "retries_timeout_seconds",
    "backoff": "retries_backoff_seconds",
    "budget": "retries_budget",
}
_BREAKER = {"failures": "breaker_failures", "open": "breaker_open_seconds"}
_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "retries_on": tuple,
    "propagate": lambda names: tuple(name.lower() for name in names),
}
