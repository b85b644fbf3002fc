"""Makes tools of the functions that the tests write, without a manifest."""

from collections.abc import Callable
from typing import Any

from meshd.callables.tool import LoadedTool, Target, compile_tool
from meshd.diagnostics.model import Diagnostic
from meshd.domain.spec import NeedSpec, ParameterSpec, ResultSpec, ToolSpec
from tests.callables.project import loader


def without_hints(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function as one that was written without type hints."""
    function.__annotations__ = {}
    return function


def parameter(name: str, **said: Any) -> ParameterSpec:
    return ParameterSpec(name=name, has_default="default" in said, **said)


def need(name: str, **said: Any) -> NeedSpec:
    return NeedSpec(parameter=name, capability="a.b", **said)


def compile_with(
    function: Any, *said: ParameterSpec | NeedSpec | ResultSpec, **options: Any
) -> tuple[LoadedTool | None, tuple[Diagnostic, ...]]:
    """Compile a tool `m:f`; what the manifest says of it is told apart by its type."""
    results = [part for part in said if isinstance(part, ResultSpec)]
    spec = ToolSpec(
        callable=options.get("name", "m:f"),
        name="f",
        description=options.get("description"),
        parameters=tuple(part for part in said if isinstance(part, ParameterSpec)),
        needs=tuple(part for part in said if isinstance(part, NeedSpec)),
        result=results[0] if results else ResultSpec(),
    )
    target = Target(function, options.get("owner"))
    return compile_tool(spec, target, options.get("loader") or loader())


def tool_of(
    function: Callable[..., Any],
    *said: ParameterSpec | NeedSpec | ResultSpec,
    **options: Any,
) -> LoadedTool:
    """Compile a tool that has nothing wrong with it."""
    tool, diagnostics = compile_with(function, *said, **options)
    assert diagnostics == ()
    assert tool is not None
    return tool


def schema_of(function: Callable[..., Any], *said: Any, **options: Any) -> dict[str, Any]:
    """Return the input schema as a plain dict."""
    return dict(tool_of(function, *said, **options).signature.input_schema)


def properties_of(function: Callable[..., Any], *said: Any, **options: Any) -> dict[str, Any]:
    return schema_of(function, *said, **options)["properties"]


def problems_of(function: Any, *said: Any, **options: Any) -> list[tuple[str, str, str, str]]:
    """Return code, message, label and hint of each diagnostic."""
    _, diagnostics = compile_with(function, *said, **options)
    return [(d.code, d.message, d.label, d.hint) for d in diagnostics]


def call(tool: LoadedTool, arguments: dict[str, Any], **injected: Any) -> Any:
    """Validate and invoke."""
    return tool.invoke(tool.validate(arguments), injected)
