"""Rules within one agent's document: values that are well-formed alone, but cannot work here."""

from collections.abc import Iterable, Iterator
from typing import Any

from meshd.diagnostics.model import Diagnostic, Span
from meshd.diagnostics.suggest import closest
from meshd.diagnostics.text import shortened
from meshd.domain.names import qualified_name_problem, tool_name_problem
from meshd.domain.version import constraint_problem
from meshd.manifest.addresses import MAX_PORT, advertised_problem, host_problem, registry_problem
from meshd.manifest.call_rules import call_problems, tool_call_problems
from meshd.manifest.documents import effective_name
from meshd.manifest.model import AgentDocument, Call, Http, MeshDocument, Need, Tool
from meshd.manifest.nodes import Node, Step, key_span, value_span
from meshd.manifest.paths import absolute, is_absolute, is_within
from meshd.manifest.values import Later
from meshd.manifest.variables import variable_problems

SHORTEST_INTERVAL_SECONDS = 1.0
LONGEST_INTERVAL_SECONDS = 3600.0


def agent_problems(document: AgentDocument, node: Node, project_root: str) -> Iterator[Diagnostic]:
    """Yield what is wrong within the agent; the project root is an absolute folder."""
    spec, rules = document.spec, _Rules(node)
    yield from rules.name(document)
    yield from rules.roots(spec.python.path, project_root)
    yield from variable_problems(spec.env, node)
    yield from rules.http(spec.http)
    yield from rules.heartbeat(spec.heartbeat.interval)
    yield from rules.call(spec.defaults.call, ("spec", "defaults", "call"))
    yield from rules.objects(spec.objects)
    for index, tool in enumerate(spec.tools):
        path = ("spec", "tools", index)
        yield from rules.callable(tool.callable, spec.objects, path)
        yield from rules.default_name(tool, path, "tool")
        yield from rules.tool(tool, path)
    for index, prompt in enumerate(spec.prompts):
        path = ("spec", "prompts", index)
        yield from rules.callable(prompt.callable, spec.objects, path)
        yield from rules.default_name(prompt, path, "prompt")
    for index, resource in enumerate(spec.resources):
        yield from rules.callable(resource.callable, spec.objects, ("spec", "resources", index))


def mesh_problems(document: MeshDocument, node: Node) -> Iterator[Diagnostic]:
    """Yield what is wrong within the document of the mesh."""
    url = document.spec.registry.url
    if url and not isinstance(url, Later) and (problem := registry_problem(url)):
        yield Diagnostic(
            code="M140",
            message="`url` is not the address of a registry",
            span=value_span(node, "spec", "registry", "url"),
            label=problem,
            hint="write it as `http://127.0.0.1:8000`",
        )
    yield from call_problems(document.spec.defaults.call, node, ("spec", "defaults", "call"))


class _Rules:
    """The rules over one document's nodes."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def name(self, document: AgentDocument) -> Iterator[Diagnostic]:
        metadata = document.metadata
        if _is_later(metadata.name, metadata.namespace):
            return
        if problem := qualified_name_problem(metadata.name, metadata.namespace):
            span = self._value("metadata", "name")
            yield Diagnostic(code="M205", message=problem, span=span, hint="shorten one of them")

    def roots(self, paths: str | list[str], project_root: str) -> Iterator[Diagnostic]:
        listed = [paths] if isinstance(paths, str) else paths
        for index, path in enumerate(listed):
            step: tuple[Step, ...] = () if isinstance(paths, str) else (index,)
            span = self._value("spec", "python", "path", *step)
            if isinstance(path, Later):
                continue
            if is_absolute(path):
                message = f"the import root `{shortened(path)}` is absolute"
                hint = "write it relative to this file"
                yield Diagnostic(code="M214", message=message, span=span, hint=hint)
            elif not is_within(absolute(self._node.source.folder, path), project_root):
                message = f"the import root `{shortened(path)}` is outside of the project"
                hint = f"keep it inside `{project_root}`"
                yield Diagnostic(code="M214", message=message, span=span, hint=hint)

    def http(self, http: Http) -> Iterator[Diagnostic]:
        if not isinstance(http.host, Later) and (problem := host_problem(http.host)):
            yield Diagnostic(
                code="M131",
                message="`host` is nothing to listen on",
                span=self._value("spec", "http", "host"),
                label=problem,
                hint="write an address such as 127.0.0.1, or 0.0.0.0 for all of IPv4",
            )
        if not isinstance(http.port, Later) and not 0 <= http.port <= MAX_PORT:
            yield Diagnostic(
                code="M132",
                message=f"there is no port {http.port}",
                span=self._value("spec", "http", "port"),
                hint=f"use one up to {MAX_PORT}, or 0 for any free one",
            )
        said = http.advertise
        if said and not isinstance(said, Later) and (problem := advertised_problem(said)):
            yield Diagnostic(
                code="M139",
                message="`advertise` is no address that others can be told",
                span=self._value("spec", "http", "advertise"),
                label=problem,
                hint="write it as `planner.example.org` or `10.0.0.7:8080`",
            )

    def heartbeat(self, interval_seconds: float) -> Iterator[Diagnostic]:
        if isinstance(interval_seconds, Later):
            return
        if not SHORTEST_INTERVAL_SECONDS <= interval_seconds <= LONGEST_INTERVAL_SECONDS:
            is_short = interval_seconds < SHORTEST_INTERVAL_SECONDS
            yield Diagnostic(
                code="M138",
                message=f"a heartbeat is too {'fast' if is_short else 'slow'}",
                span=self._value("spec", "heartbeat", "interval"),
                hint="write a time from `1s` to `1h`",
            )

    def objects(self, objects: Iterable[str]) -> Iterator[Diagnostic]:
        for name in objects:
            if not name.isidentifier():
                message = f"`{shortened(name)}` cannot name an object"
                hint = "use letters, digits and `_`, as in Python"
                span = key_span(self._node, "spec", "objects", name)
                yield Diagnostic(code="M133", message=message, span=span, hint=hint)

    def callable(
        self, reference: str, objects: Iterable[str], path: tuple[Step, ...]
    ) -> Iterator[Diagnostic]:
        if isinstance(reference, Later) or ":" in reference:
            return
        name = reference.partition(".")[0]
        known = list(objects)
        if name not in known:
            near = closest(name, known)
            yield Diagnostic(
                code="M226",
                message=f"there is no object `{shortened(name)}`",
                span=self._value(*path, "callable"),
                label="the agent has no such object under `objects`",
                hint=f"did you mean `{near}`?" if near else "write `package.module:name`",
            )

    def default_name(self, offer: Any, path: tuple[Step, ...], what: str) -> Iterator[Diagnostic]:
        if offer.name is not None or isinstance(offer.callable, Later):
            return
        if tool_name_problem(name := effective_name(offer.callable, None)):
            yield Diagnostic(
                code="M205",
                message=f"the callable's name `{shortened(name)}` cannot name a {what}",
                span=self._value(*path, "callable"),
                hint="give it a `name` of letters, digits, `_` and `-`",
            )

    def tool(self, tool: Tool, path: tuple[Step, ...]) -> Iterator[Diagnostic]:
        yield from self.call(tool.call, (*path, "call"))
        yield from tool_call_problems(tool, self._node, path)
        for index, tag in enumerate(tool.tags):
            if not isinstance(tag, Later) and (problem := _tag_problem(tag)):
                hint = "a tool has plain tags; needs say `+` and `-`"
                span = self._value(*path, "tags", index)
                yield Diagnostic(code="M208", message=problem, span=span, hint=hint)
        for parameter, need in tool.needs.items():
            yield from self.need(need, (*path, "needs", parameter))
            if parameter in tool.parameters:
                yield Diagnostic(
                    code="M250",
                    message=f"`{shortened(parameter)}` is both a need and a parameter of callers",
                    span=key_span(self._node, *path, "parameters", parameter),
                    hint="remove one of the two",
                )

    def need(self, need: Need, path: tuple[Step, ...]) -> Iterator[Diagnostic]:
        yield from self.call(need.call, (*path, "call"))
        if not isinstance(need.version, Later) and (problem := constraint_problem(need.version)):
            hint = 'write one such as ">=1.2,<2" or "^1.4"'
            span = self._value(*path, "version")
            yield Diagnostic(code="M207", message=problem, span=span, hint=hint)
        for place, tag in _wanted_tags(need):
            bare = tag[1:] if tag[:1] in {"+", "-"} else tag
            if not isinstance(tag, Later) and (problem := _tag_problem(bare)):
                hint = "write `tag`, `+tag` or `-tag`"
                span = self._value(*path, "tags", *place)
                yield Diagnostic(code="M208", message=problem, span=span, hint=hint)

    def call(self, call: Call, path: tuple[Step, ...]) -> Iterator[Diagnostic]:
        yield from call_problems(call, self._node, path)

    def _value(self, *path: Step) -> Span:
        return value_span(self._node, *path)


def _wanted_tags(need: Need) -> Iterator[tuple[tuple[Step, ...], str]]:
    """Yield each tag of a need with its place; an empty group gives an empty tag."""
    for index, tag in enumerate(need.tags):
        if isinstance(tag, str):
            yield (index,), tag
        elif not tag:
            yield (index,), ""
        else:
            yield from (((index, place), one) for place, one in enumerate(tag))


def _is_later(*values: Any) -> bool:
    return any(isinstance(value, Later) for value in values)


def _tag_problem(tag: str) -> str | None:
    if not tag:
        return "a tag must not be empty"
    if tag[0] in "+-" or any(c.isspace() or not c.isprintable() for c in tag) or "," in tag:
        return f"`{shortened(tag)}` is not a tag"
    return None
