"""Everything of one agent that is user code: objects, lifespan, tools, resources and prompts.

In: an AgentSpec and a Loader. Out: live values and all diagnostics at once; no value if one of
them is an error. Makes the objects, which runs the user's constructors.
"""

import contextlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from meshd.callables.allow import origin_of
from meshd.callables.inspection import (
    POSITIONAL_ONLY,
    VAR_KEYWORD,
    VAR_POSITIONAL,
    inspect_callable,
)
from meshd.callables.load import Failure, Loader
from meshd.callables.objects import make_object
from meshd.callables.references import chain_problem, printable
from meshd.callables.report import Report
from meshd.callables.tool import LoadedTool, Target, compile_tool
from meshd.diagnostics.model import Diagnostic, Span, has_errors, in_file_order
from meshd.diagnostics.suggest import closest
from meshd.domain.spec import AgentSpec, PromptSpec, ResourceSpec, ToolSpec

Lifespan = Callable[[], contextlib.AbstractAsyncContextManager[Any]]


@dataclass(frozen=True, slots=True)
class LoadedAgent:
    """The live side of an agent: tools and prompts by name, resources by URI.

    `lifespan` makes the context manager to serve within; the objects are already bound to it.
    """

    spec: AgentSpec
    tools: Mapping[str, LoadedTool]
    resources: Mapping[str, LoadedTool]
    prompts: Mapping[str, LoadedTool]
    objects: Mapping[str, Any]
    lifespan: Lifespan | None


def load_agent(
    agent: AgentSpec, loader: Loader
) -> tuple[LoadedAgent | None, tuple[Diagnostic, ...]]:
    """Load everything of an agent; the diagnostics are in file order."""
    loading = _Loading(agent, loader)
    loading.make_objects()
    lifespan = loading.lifespan()
    tools = {tool.name: loading.tool(tool) for tool in agent.tools}
    resources = {resource.uri: loading.resource(resource) for resource in agent.resources}
    prompts = {prompt.name: loading.tool(_as_tool(prompt)) for prompt in agent.prompts}
    diagnostics = in_file_order(loading.report.diagnostics)
    if has_errors(diagnostics):
        return None, diagnostics
    loaded = LoadedAgent(
        spec=agent,
        tools=_present(tools),
        resources=_present(resources),
        prompts=_present(prompts),
        objects=loading.objects,
        lifespan=lifespan,
    )
    return loaded, diagnostics


def _present(loaded: Mapping[str, LoadedTool | None]) -> dict[str, LoadedTool]:
    return {name: tool for name, tool in loaded.items() if tool is not None}


@dataclass(slots=True)
class _Loading:
    """The loading of one agent, with what has been made and what is wrong."""

    agent: AgentSpec
    loader: Loader
    report: Report = field(default_factory=Report)
    objects: dict[str, Any] = field(default_factory=dict[str, Any])

    def make_objects(self) -> None:
        """Make the objects in the order written."""
        for spec in self.agent.objects:
            made = make_object(spec, self.loader)
            if isinstance(made, Diagnostic):
                self.report.diagnostics.append(made)
            else:
                self.objects[spec.name] = made.value

    def tool(self, spec: ToolSpec) -> LoadedTool | None:
        """Load one tool."""
        target = self._target(spec.callable, spec.at("callable"))
        if target is None:
            return None
        tool, diagnostics = compile_tool(spec, target, self.loader)
        self.report.diagnostics.extend(diagnostics)
        return tool

    def resource(self, spec: ResourceSpec) -> LoadedTool | None:
        """Load one resource; the parameters of its URI must be those of its callable."""
        tool = self.tool(_as_tool(spec))
        if tool is None:
            return None
        schema = tool.signature.input_schema
        given, known = uri_parameters(spec.uri), list(schema["properties"])
        for name in given:
            if name not in known:
                near = closest(name, known)
                hint = f"did you mean `{near}`?" if near else "remove it from the URI"
                self._complain_of_uri(spec, f"`{spec.callable}` has no parameter `{name}`", hint)
        for name in schema.get("required", ()):
            if name not in given:
                hint = f"add `{{{name}}}` to the URI, or give the parameter a default"
                self._complain_of_uri(spec, f"`{spec.callable}` needs `{name}`", hint)
        return tool

    def _complain_of_uri(self, spec: ResourceSpec, label: str, hint: str) -> None:
        message = f"the URI `{printable(spec.uri)}` does not fit its callable"
        self.report.error("M253", message, spec.at("uri"), label, hint)

    def lifespan(self) -> Lifespan | None:
        """Load the lifespan and bind the objects that its parameters name."""
        text = self.agent.lifespan
        if text is None:
            return None
        span = self.agent.at("lifespan")
        target = self._target(text, span)
        if target is None:
            return None
        function: Any = target.callable
        problem = _lifespan_problem(function)
        if problem:
            hint = "decorate an async generator function with `contextlib.asynccontextmanager`"
            self.report.error("M227", f"`{text}` is no lifespan", span, problem, hint)
            return None
        by_position: list[str] = []
        by_keyword: list[str] = []
        for parameter in inspect_callable(function).parameters or ():
            if parameter.kind in (VAR_POSITIONAL, VAR_KEYWORD):
                continue
            if parameter.name in {spec.name for spec in self.agent.objects}:
                names = by_position if parameter.kind is POSITIONAL_ONLY else by_keyword
                names.append(parameter.name)
            elif parameter.default is inspect.Parameter.empty:
                near = closest(parameter.name, self.objects)
                hint = f"did you mean `{near}`?" if near else "declare it under `objects:`"
                label = f"its parameter `{parameter.name}` is not the name of an object"
                self.report.error("M227", f"`{text}` is no lifespan", span, label, hint)
        objects = self.objects
        return lambda: function(
            *(objects[name] for name in by_position), **{name: objects[name] for name in by_keyword}
        )

    def _target(self, text: str, span: Span | None) -> Target | None:
        """Return what a reference names: in a module, or in an object of the agent."""
        if ":" in text:
            loaded = self.loader.load(text, span)
            if isinstance(loaded, Diagnostic):
                self.report.diagnostics.append(loaded)
                return None
            return Target(loaded.value, loaded.owner)
        return self._target_in_object(text, span)

    def _target_in_object(self, text: str, span: Span | None) -> Target | None:
        problem = chain_problem(text) or ("" if "." in text else "it is a single name")
        if problem:
            message = f"`{printable(text)}` does not name a callable"
            hint = "write `package.module:name`, or `object.method`"
            self.report.error("M210", message, span, problem, hint)
            return None
        name, *path = text.split(".")
        declared = [spec.name for spec in self.agent.objects]
        if name not in declared:
            near = closest(name, declared)
            hint = f"did you mean `{near}`?" if near else "write `package.module:name`"
            label = "the agent has no such object under `objects:`"
            self.report.error("M226", f"there is no object `{name}`", span, label, hint)
            return None
        if name not in self.objects:
            return None
        instance = self.objects[name]
        reached = self.loader.walk(instance, path, name)
        if isinstance(reached, Failure):
            self.report.diagnostics.append(reached.at(span))
            return None
        origin = origin_of(reached.found) or ""
        own = type(instance).__module__.partition(".")[0]
        if origin.partition(".")[0] != own and not self.loader.policy.covers(origin):
            self.report.error(
                "M213",
                f"`{text}` is not an object of `{own}`",
                span,
                f"it comes from `{origin}`",
                "name a method of the object's own class",
            )
            return None
        return Target(reached.found, reached.owner)


def uri_parameters(uri: str) -> list[str]:
    """Return the names in a URI template: `{name}`, `{path*}`, `{?a,b}`."""
    parts = re.findall(r"\{\??([^{}]*)\}", uri)
    return [name.strip().removesuffix("*") for part in parts for name in part.split(",")]


def _lifespan_problem(function: object) -> str:
    inner = inspect.unwrap(function) if callable(function) else function
    if not callable(function):
        return f"it is of type `{type(function).__name__}`"
    if inspect.isasyncgenfunction(function):
        return "it is an async generator function, not an async context manager"
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(inner):
        return "it is not an async context manager"
    return ""


def _as_tool(spec: ResourceSpec | PromptSpec) -> ToolSpec:
    """Return a resource or prompt as the tool that it is compiled like."""
    return ToolSpec(
        callable=spec.callable,
        name=spec.name,
        description=spec.description,
        origin=spec.origin,
        origins=spec.origins,
    )
