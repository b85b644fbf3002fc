"""A callable ready to be called over MCP: the live side of a `ToolSignature`.

Everything is compiled when the tool is loaded; a call then validates, runs and dumps in
microseconds. Loading reports every problem of the tool at once.
"""

import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from meshd.callables.arguments import Arguments
from meshd.callables.docstrings import read_docstring
from meshd.callables.expected import expected_types
from meshd.callables.inspection import EMPTY, inspect_callable
from meshd.callables.load import Loader
from meshd.callables.result import ResultForm, result_form
from meshd.callables.select import path_problem
from meshd.callables.signature import Compilation, Compiled
from meshd.callables.types import KEYWORDS, CannotDescribe, adapter_of, schema_of
from meshd.diagnostics.model import Diagnostic, Span, has_errors
from meshd.diagnostics.suggest import closest
from meshd.domain.signature import Mode, ToolSignature
from meshd.domain.spec import JsonValue, ToolSpec


class LoadedTool:
    """A callable with its schemas compiled.

    `expected` are, by injected parameter, the types that results of its proxy are converted to.
    """

    __slots__ = ("_arguments", "_form", "_is_plain", "expected", "signature", "target")

    def __init__(
        self,
        target: Callable[..., Any],
        signature: ToolSignature,
        arguments: Arguments,
        form: ResultForm,
        expected: Mapping[str, TypeAdapter[Any]],
    ) -> None:
        """Put the compiled parts together."""
        self.target = target
        self.signature = signature
        self.expected = expected
        self._arguments = arguments
        self._form = form
        self._is_plain = arguments.by_keyword

    def validate(self, arguments: Mapping[str, JsonValue]) -> dict[str, Any]:
        """Return converted values by Python name, only those given; raise `ArgumentsRejected`."""
        return self._arguments.validate(arguments)

    def validate_texts(self, arguments: Mapping[str, str]) -> dict[str, Any]:
        """Validate arguments that come as text, as those of prompts and resources do."""
        return self._arguments.validate(self._arguments.from_texts(arguments))

    def invoke(self, bound: Mapping[str, Any], injected: Mapping[str, Any] | None = None) -> Any:
        """Call the callable with what `validate` returned and the injected parameters.

        Returns what it returns: a value, a coroutine, a generator or an async generator, as
        `signature.mode` says. A `Mode.SYNC` callable may return an awaitable all the same (a
        decorated coroutine function, say), which the caller then awaits. Raises what it raises.
        """
        values = {**bound, **injected} if injected else {**bound}
        if self._is_plain:
            return self.target(**values)
        positional, keywords = self._arguments.arrange(values)
        return self.target(*positional, **keywords)

    def dump(self, value: Any) -> JsonValue:
        """Return the result as JSON values, or raise `ResultRejected`.

        For a generator, the value is the list of its chunks. MCP content is returned as it is.
        Iterators and properties of the result run here, so call this where the callable ran.
        """
        return self._form.dump(value)

    def dump_item(self, chunk: Any) -> JsonValue:
        """Return one chunk of a generator as JSON values, or raise `ResultRejected`."""
        return self._form.dump_item(chunk)


@dataclass(frozen=True, slots=True)
class Target:
    """A callable that was found for a tool; `owner` is the object that it was read from."""

    callable: Any
    owner: object = None


def compile_tool(
    spec: ToolSpec, target: Target, loader: Loader
) -> tuple[LoadedTool | None, tuple[Diagnostic, ...]]:
    """Make a tool of a callable, or say everything that keeps it from being one."""
    problem = callable_problem(spec, target)
    if problem is not None:
        return None, (problem,)
    inspected = inspect_callable(target.callable)
    text = read_docstring(inspected.documentation)
    diagnostics: list[Diagnostic] = []
    types_named = TypeNames(loader, diagnostics)
    compilation = Compilation(spec, inspected, text, types_named.find, diagnostics)
    compiled = compilation.run()
    declared = EMPTY
    if spec.result.type is not None:
        declared = types_named.find(spec.result.type, spec.result.at("type"), "serialization")
    diagnostics.extend(_select_problems(spec))
    expected = expected_types(spec.needs, inspected.parameters or (), types_named.find)
    try:
        form = result_form(inspected.returns, inspected.mode, spec.result, declared)
    except CannotDescribe as reason:
        diagnostics.append(
            Diagnostic(
                code="M248",
                message="the schema of the result is not a JSON Schema",
                span=spec.result.at("schema"),
                label=str(reason),
            )
        )
        return None, tuple(diagnostics)
    if compiled is None or has_errors(diagnostics):
        return None, tuple(diagnostics)
    signature = _signature(spec, inspected.mode, text.description, compiled, form)
    tool = LoadedTool(target.callable, signature, compiled.arguments, form, expected)
    return tool, tuple(diagnostics)


def _signature(
    spec: ToolSpec, mode: Mode, documentation: str, compiled: Compiled, form: ResultForm
) -> ToolSignature:
    return ToolSignature(
        description=documentation if spec.description is None else spec.description,
        input_schema=compiled.input_schema,
        output_schema=form.output_schema,
        mode=mode,
        injected=compiled.injected,
        context_parameters=compiled.contexts,
        accepts=compiled.accepts,
        mcp_content=form.mcp_content,
    )


def callable_problem(spec: ToolSpec, target: Target) -> Diagnostic | None:
    """Return why the object cannot be called as it is, or None."""
    value = target.callable
    label, hint = "", ""
    if not callable(value):
        label = f"it is of type `{type(value).__name__}`"
        hint = "name a function, a method, a class or an object that can be called"
    elif isinstance(value, types.FunctionType) and isinstance(target.owner, type):
        name = spec.callable.rpartition(".")[2]
        first = next(iter(value.__code__.co_varnames[: value.__code__.co_argcount]), None)
        is_static = isinstance(_raw_attribute(target.owner, name), staticmethod)
        if not is_static and first not in {parameter.name for parameter in spec.parameters}:
            label = "it is a method and needs an object to be called on"
            hint = "declare the object under `objects:` and write `object.method`"
    if not label:
        return None
    return Diagnostic(
        code="M224",
        message=f"`{spec.callable}` cannot be called",
        span=spec.at("callable"),
        label=label,
        hint=hint,
    )


def _raw_attribute(owner: type, name: str) -> object:
    return next((vars(base)[name] for base in owner.__mro__ if name in vars(base)), None)


class TypeNames:
    """Finds the types that a manifest names, and reports those that are none."""

    def __init__(self, loader: Loader, diagnostics: list[Diagnostic]) -> None:
        """Report into the given list."""
        self._loader = loader
        self._diagnostics = diagnostics

    def find(self, text: str, span: Span | None, mode: str = "validation") -> Any:
        """Return the type of that name, or `EMPTY` after reporting why there is none."""
        if ":" not in text:
            if text not in KEYWORDS:
                near = closest(text, KEYWORDS)
                hint = f"did you mean `{near}`?" if near else f"known: {', '.join(KEYWORDS)}"
                return self._report(
                    text, span, "it is neither a known type nor `module:Class`", hint
                )
            return KEYWORDS[text]
        loaded = self._loader.load(text, span, as_type=True)
        if isinstance(loaded, Diagnostic):
            self._diagnostics.append(loaded)
            return EMPTY
        try:
            schema_of(adapter_of(loaded.value), loaded.value, mode)
        except CannotDescribe as reason:
            hint = "name a dataclass, a pydantic model, a TypedDict or an Enum"
            return self._report(text, span, str(reason), hint)
        return loaded.value

    def _report(self, text: str, span: Span | None, label: str, hint: str) -> Any:
        self._diagnostics.append(
            Diagnostic(
                code="M247",
                message=f"`{text}` is not a type for values",
                span=span,
                label=label,
                hint=hint,
            )
        )
        return EMPTY


def _select_problems(spec: ToolSpec) -> list[Diagnostic]:
    select = spec.result.select
    paths = () if select is None else (select,) if isinstance(select, str) else select.values()
    return [
        Diagnostic(
            code="M251",
            message=f"`{path}` is not a path into a result",
            span=spec.result.at("select"),
            label=problem,
            hint="write keys, attributes and indexes with dots between them",
        )
        for path in paths
        if (problem := path_problem(path))
    ]
