"""A callable ready to be called over MCP: the live side of a `ToolSignature`.

Everything is compiled when the tool is loaded; a call then validates, runs and dumps in
microseconds. Loading reports every problem of the tool at once.
"""

import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from meshd.callables.arguments import Arguments
from meshd.callables.asks import asks_server
from meshd.callables.docstrings import read_docstring
from meshd.callables.expected import ExpectedResult, expected_types
from meshd.callables.inspection import EMPTY, Inspected, inspect_callable
from meshd.callables.load import Loader
from meshd.callables.references import printable
from meshd.callables.report import Report
from meshd.callables.result import ResultForm, result_form
from meshd.callables.select import path_problem
from meshd.callables.signature import compile_signature
from meshd.callables.types import KEYWORDS, CannotDescribe, adapter_of, schema_of, type_name
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
        expected: Mapping[str, ExpectedResult],
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
        if self._is_plain:
            return self.target(**{**bound, **injected}) if injected else self.target(**bound)
        values = {**bound, **injected} if injected else {**bound}
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
    report = Report()
    if problem := callable_problem(spec, target):
        label, hint = problem
        message = f"`{spec.callable}` cannot be called"
        report.error("M224", message, spec.at("callable"), label, hint)
        return None, tuple(report.diagnostics)
    inspected = inspect_callable(target.callable)
    text = read_docstring(inspected.documentation)
    names = TypeNames(loader, report)
    compiled = compile_signature(spec, inspected, text.parameters, names.find, report)
    form = _result_form(spec, inspected, names, report)
    expected = expected_types(spec.needs, inspected.parameters or (), names.find)
    contexts = compiled.contexts if compiled is not None else ()
    if problem := execution_problem(spec, inspected.mode, contexts):
        label, hint = problem
        message = f"`{spec.callable}` cannot run with `execution: {spec.execution}`"
        report.error("M254", message, spec.at("execution"), label, hint)
    if spec.call.streaming and not inspected.mode.is_generator:
        message = f"`{spec.callable}` makes no chunks that could be streamed"
        span = spec.call.at("streaming") or spec.at("callable")
        label = "the callable is no generator: its consumers get the result at once"
        report.warning("M255", message, span, label, "remove it, or let the callable yield")
    if compiled is None or form is None or has_errors(report.diagnostics):
        return None, tuple(report.diagnostics)
    signature = ToolSignature(
        description=text.description if spec.description is None else spec.description,
        input_schema=compiled.input_schema,
        output_schema=form.output_schema,
        mode=inspected.mode,
        injected=compiled.injected,
        context_parameters=compiled.contexts,
        accepts=compiled.accepts,
        mcp_content=form.mcp_content,
        asks_server=asks_server(target.callable),
    )
    tool = LoadedTool(target.callable, signature, compiled.arguments, form, expected)
    return tool, tuple(report.diagnostics)


def _result_form(
    spec: ToolSpec, inspected: Inspected, names: "TypeNames", report: Report
) -> ResultForm | None:
    result = spec.result
    declared = EMPTY
    if result.type is not None:
        declared = names.find(result.type, result.at("type"), "serialization")
    select = result.select
    paths = () if select is None else (select,) if isinstance(select, str) else select.values()
    for path in paths:
        if problem := path_problem(path):
            message = f"`{printable(path)}` is not a path into a result"
            hint = "write keys, attributes and indexes with dots between them"
            report.error("M251", message, result.at("select"), problem, hint)
    try:
        return result_form(inspected.returns, inspected.mode, result, declared)
    except CannotDescribe as reason:
        message = "the schema of the result is not a JSON Schema"
        report.error("M248", message, result.at("schema"), str(reason), "correct the schema")
        return None


def execution_problem(
    spec: ToolSpec, mode: Mode, contexts: Collection[str]
) -> tuple[str, str] | None:
    """Return why the callable cannot run where its tool says, and what to do, or None."""
    if spec.execution in ("thread", "process") and mode.is_async:
        return "it is async, and so runs on the event loop", "remove `execution`"
    if spec.execution == "process" and contexts:
        parameter = next(iter(contexts))
        return (
            f"the MCP context that `{parameter}` receives stays in the instance's own process",
            "choose `execution: thread`",
        )
    if spec.execution == "inline" and not mode.is_async and spec.needs:
        return (
            "it is not async: waiting for its needs would block the event loop",
            "choose `execution: thread`, or make it async",
        )
    return None


def callable_problem(spec: ToolSpec, target: Target) -> tuple[str, str] | None:
    """Return why the object cannot be called as it is, and what to do, or None."""
    value = target.callable
    if not callable(value):
        return (
            f"it is of type `{type_name(type(value))}`",
            "name a function, a method, a class or an object that can be called",
        )
    if not isinstance(value, types.FunctionType) or not isinstance(target.owner, type):
        return None
    if isinstance(_raw_attribute(target.owner, spec.callable.rpartition(".")[2]), staticmethod):
        return None
    first = next(iter(value.__code__.co_varnames[: value.__code__.co_argcount]), None)
    if first in {parameter.name for parameter in spec.parameters}:
        return None
    return (
        "it is a method and needs an object to be called on",
        "declare the object under `objects:` and write `object.method`",
    )


def _raw_attribute(owner: type, name: str) -> object:
    return next((vars(base)[name] for base in owner.__mro__ if name in vars(base)), None)


class TypeNames:
    """Finds the types that a manifest names, and reports those that are none."""

    def __init__(self, loader: Loader, report: Report) -> None:
        """Take what loads types, and what to report to."""
        self._loader = loader
        self._report = report

    def find(self, text: str, span: Span | None, mode: str = "validation") -> Any:
        """Return the type of that name, or `EMPTY` after reporting why there is none."""
        if text in KEYWORDS:
            return KEYWORDS[text]
        if ":" not in text:
            near = closest(text, KEYWORDS)
            hint = f"did you mean `{near}`?" if near else f"known: {', '.join(KEYWORDS)}"
            return self._complain(text, span, "it is neither known nor `module:Class`", hint)
        loaded = self._loader.load(text, span, as_type=True)
        if isinstance(loaded, Diagnostic):
            self._report.diagnostics.append(loaded)
            return EMPTY
        try:
            schema_of(adapter_of(loaded.value), loaded.value, mode)
        except CannotDescribe as reason:
            hint = "name a dataclass, a pydantic model, a TypedDict or an Enum"
            return self._complain(text, span, str(reason), hint)
        return loaded.value

    def _complain(self, text: str, span: Span | None, label: str, hint: str) -> Any:
        message = f"`{printable(text)}` is not a type for values"
        self._report.error("M247", message, span, label, hint)
        return EMPTY
