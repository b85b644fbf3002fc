"""What callables of every kind become: schemas, the call, and what is said of misfits."""

import datetime
import functools
import inspect
import json
import math
import operator
import textwrap
import types
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any, Optional, cast

import fastmcp
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.domain.signature import Mode
from meshd.errors import ArgumentsRejected
from tests.callables.compiling import (
    call,
    compile_with,
    need,
    parameter,
    problems_of,
    properties_of,
    schema_of,
    tool_of,
)


def plain(a: int, b: str = "x") -> str:
    return f"{a}{b}"


def identity(a: Any) -> Any:
    return a


async def asynchronous(a: int) -> int:
    return a


def generator(a: int) -> Iterator[int]:
    yield a


async def asynchronous_generator(a: int) -> AsyncIterator[int]:
    yield a


class Counter:
    """Counts from a start."""

    def __init__(self, start: int = 0) -> None:
        self.start = start

    def add(self, step: int) -> int:
        """Add a step."""
        return self.start + step

    async def later(self, step: int) -> int:
        return self.start + step

    @classmethod
    def made(cls, start: int) -> int:
        return cls(start).start

    @staticmethod
    def twice(value: int) -> int:
        return 2 * value

    def __call__(self, value: int) -> int:
        """Add a value."""
        return self.start + value


class AsynchronousCall:
    async def __call__(self, value: int) -> int:
        return value


COUNTER = Counter(10)


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


CALLABLES: list[Any] = [
    (plain, {"a": 1}, "1x", Mode.SYNC),
    (decorated(plain), {"a": 1, "b": "y"}, "1y", Mode.SYNC),
    (COUNTER.add, {"step": 1}, 11, Mode.SYNC),
    (Counter.made, {"start": 3}, 3, Mode.SYNC),
    (Counter.twice, {"value": 3}, 6, Mode.SYNC),
    (COUNTER, {"value": 2}, 12, Mode.SYNC),
    (functools.partial(plain, b="z"), {"a": 1}, "1z", Mode.SYNC),
    (functools.partial(functools.partial(plain, 7), b="z"), {}, "7z", Mode.SYNC),
    (identity, {"a": [1]}, [1], Mode.SYNC),
    (math.pow, {"x": 2, "y": 3}, 8.0, Mode.SYNC),
    (len, {"obj": [1, 2]}, 2, Mode.SYNC),
    (sorted, {"iterable": [2, 1], "reverse": True}, [2, 1], Mode.SYNC),
    (str.upper, {"self": "a"}, "A", Mode.SYNC),
    ("a,b".split, {"sep": ","}, ["a", "b"], Mode.SYNC),
    (json.dumps, {"obj": {"a": 1}, "kw": {}}, '{"a": 1}', Mode.SYNC),
    (textwrap.shorten, {"text": "a b c", "width": 4, "kwargs": {"placeholder": ""}}, "a b", None),
    (operator.add, {"a": 1, "b": 2}, 3, Mode.SYNC),
]


@pytest.mark.parametrize(("function", "arguments", "result", "mode"), CALLABLES)
def test_calls_every_kind_of_callable(
    function: Callable[..., Any], arguments: dict[str, Any], result: Any, mode: Mode | None
) -> None:
    tool = tool_of(function)
    assert call(tool, arguments) == result
    assert tool.signature.mode is (mode or Mode.SYNC)


@pytest.mark.parametrize(
    ("function", "mode"),
    [
        (asynchronous, Mode.ASYNC),
        (functools.partial(asynchronous, 1), Mode.ASYNC),
        (COUNTER.later, Mode.ASYNC),
        (AsynchronousCall(), Mode.ASYNC),
        (generator, Mode.GENERATOR),
        (asynchronous_generator, Mode.ASYNC_GENERATOR),
        (functools.partial(asynchronous_generator, 1), Mode.ASYNC_GENERATOR),
        (Counter, Mode.SYNC),
    ],
)
def test_knows_how_a_callable_runs(function: Callable[..., Any], mode: Mode) -> None:
    tool, _ = compile_with(function)
    assert tool is not None
    assert tool.signature.mode is mode


async def test_gives_back_what_runs() -> None:
    assert await call(tool_of(asynchronous), {"a": 1}) == 1
    assert list(call(tool_of(generator), {"a": 1})) == [1]
    assert [item async for item in call(tool_of(asynchronous_generator), {"a": 1})] == [1]


def test_a_class_is_a_callable_that_makes_its_instances() -> None:
    tool = tool_of(Counter)
    assert tool.signature.description == "Counts from a start."
    assert properties_of(Counter) == {"start": {"type": "integer", "default": 0}}
    assert call(tool, {"start": 4}).start == 4


def test_schema_of_typed_parameters() -> None:
    assert schema_of(plain) == {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "string", "default": "x"}},
        "required": ["a"],
        "additionalProperties": False,
    }


def every_kind(a: Any, /, b: Any, *rest: Any, c: Any = 1, **more: Any) -> Any:
    return (a, b, rest, c, more)


def test_schema_of_every_kind_of_parameter() -> None:
    assert schema_of(every_kind) == {
        "type": "object",
        "properties": {
            "a": {},
            "b": {},
            "rest": {"type": "array", "items": {}},
            "c": {"default": 1},
            "more": {"type": "object", "additionalProperties": True},
        },
        "required": ["a", "b"],
        "additionalProperties": False,
    }
    assert tool_of(every_kind).signature.accepts == ("a", "b", "rest", "c", "more")


ARGUMENTS_OF_EVERY_KIND: list[Any] = [
    ({"a": 1, "b": 2}, (1, 2, (), 1, {})),
    ({"b": 2, "a": 1, "rest": [3, 4]}, (1, 2, (3, 4), 1, {})),
    ({"a": 1, "b": 2, "c": 3, "more": {"d": 4}}, (1, 2, (), 3, {"d": 4})),
    # A positional-only name is free for `**more`.
    ({"a": 1, "b": 2, "more": {"a": 3}}, (1, 2, (), 1, {"a": 3})),
    ({"a": 1, "b": 2, "rest": [], "more": {}}, (1, 2, (), 1, {})),
]


@pytest.mark.parametrize(
    ("arguments", "result"),
    ARGUMENTS_OF_EVERY_KIND,
)
def test_calls_with_every_kind_of_parameter(arguments: dict[str, Any], result: Any) -> None:
    assert call(tool_of(every_kind), arguments) == result


def positional_only(a: Any = "A", b: Any = "B", /, *rest: Any) -> Any:
    return (a, b, *rest)


@pytest.mark.parametrize(
    ("arguments", "result"),
    [
        ({}, ("A", "B")),
        ({"a": 1}, (1, "B")),
        ({"b": 1}, ("A", 1)),
        ({"rest": [1]}, ("A", "B", 1)),
        ({"b": 2, "rest": [3]}, ("A", 2, 3)),
    ],
)
def test_gaps_before_positions_are_filled_with_defaults(
    arguments: dict[str, Any], result: Any
) -> None:
    assert call(tool_of(positional_only), arguments) == result


def test_what_is_not_given_is_not_passed() -> None:
    def spy(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    spy.__signature__ = inspect.signature(plain)
    tool = tool_of(spy)
    assert call(tool, {"a": 1}) == ((), {"a": 1})
    assert call(tool, {"a": 1, "b": "x"}) == ((), {"a": 1, "b": "x"})


def test_a_missing_signature_is_described_by_the_manifest() -> None:
    tool = tool_of(min, parameter("first", type="int"), parameter("second", type="int"))
    assert schema_of(min, parameter("first", type="int")) == {
        "type": "object",
        "properties": {"first": {"type": "integer"}},
        "required": ["first"],
        "additionalProperties": False,
    }
    assert call(tool, {"first": 3, "second": 2}) == 2
    with_default = tool_of(max, parameter("first"), parameter("second", default=5))
    assert call(with_default, {"first": 3}) == 5


def test_a_missing_signature_that_nobody_describes() -> None:
    assert problems_of(max) == [
        (
            "M252",
            "the parameters of `m:f` are not known",
            "Python knows no signature of it",
            "describe its arguments under `parameters`, in the order of the call",
        )
    ]


class OddSignature:
    @property
    def __signature__(self) -> Any:
        raise RuntimeError

    def __call__(self) -> int:
        return 1


def test_a_signature_that_raises_is_one_that_is_missing() -> None:
    assert [problem[0] for problem in problems_of(OddSignature())] == ["M252"]


class TakesNothing:
    """A C function whose documentation says that it takes nothing."""

    __signature__ = "none"
    __name__ = "tick"

    def __init__(self, documentation: str) -> None:
        self.__doc__ = documentation

    def __call__(self) -> int:
        return 1


@pytest.mark.parametrize("first_line", ["tick() -> int", "clock.tick()\n\nTick."])
def test_a_c_function_that_documents_that_it_takes_nothing(first_line: str) -> None:
    tool = tool_of(TakesNothing(first_line))
    assert call(tool, {}) == 1


def test_documentation_of_a_callable_object() -> None:
    assert tool_of(COUNTER).signature.description == "Add a value."
    assert tool_of(COUNTER, description="Mine").signature.description == "Mine"
    assert tool_of(functools.partial(COUNTER.add, 1)).signature.description == "Add a step."
    assert tool_of(AsynchronousCall()).signature.description == ""


def odd_defaults(  # noqa: PLR0917
    when: datetime.datetime = datetime.datetime(2020, 1, 1),  # noqa: DTZ001
    marker: object = object(),
    number: float = math.nan,
    key: Any = b"abc",
    kind: Any = Mode.SYNC,
    pair: Any = (1, 2),
    members: set[int] = {1},  # noqa: B006
    text: str = cast("str", 5),
    nothing: int = cast("int", None),
) -> Any:
    return (when, marker, number, key, kind, pair, members, text, nothing)


def test_defaults_that_json_cannot_say_stay_optional() -> None:
    assert schema_of(odd_defaults) == {
        "type": "object",
        "properties": {
            "when": {"type": "string", "format": "date-time", "default": "2020-01-01T00:00:00"},
            "marker": {},
            "number": {"type": "number"},
            "key": {},
            "kind": {"default": "sync"},
            "pair": {"default": [1, 2]},
            "members": {
                "type": "array",
                "items": {"type": "integer"},
                "uniqueItems": True,
                "default": [1],
            },
            "text": {"type": "string"},
            "nothing": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        },
        "additionalProperties": False,
    }
    assert call(tool_of(odd_defaults), {})[:2] == odd_defaults()[:2]


def undescribable(number: int, module: types.ModuleType = math) -> Any:
    return (number, module)


def undescribable_and_required(module: types.ModuleType) -> Any:
    return module


HINT = "say what callers send with `parameters.module.type` or `parameters.module.schema`"


def test_what_cannot_be_described_but_has_a_default_is_left_out() -> None:
    tool, diagnostics = compile_with(undescribable)
    assert [(d.code, d.severity, d.message, d.label, d.hint) for d in diagnostics] == [
        (
            "M241",
            "warning",
            "parameter `module` of `m:f` is left out",
            "`module` has no JSON form, so it keeps its default",
            f"hide it, or {HINT}",
        )
    ]
    assert tool is not None
    assert list(tool.signature.input_schema["properties"]) == ["number"]
    assert call(tool, {"number": 1}) == (1, math)


def test_hidden_parameters_need_no_description() -> None:
    assert call(tool_of(undescribable, parameter("module", hide=True)), {"number": 1}) == (1, math)


@pytest.mark.parametrize(
    ("said", "code", "label"),
    [
        ([], "M240", "`module` has no JSON form"),
        ([parameter("module", default=1)], "M240", "`module` has no JSON form"),
        (
            [parameter("module", hide=True)],
            "M245",
            "callers cannot set it, and nothing else does",
        ),
        (
            [parameter("module", type="modul")],
            "M247",
            "it is neither known nor `module:Class`",
        ),
    ],
)
def test_what_cannot_be_described_and_has_no_default(
    said: list[Any], code: str, label: str
) -> None:
    found = problems_of(undescribable_and_required, *said)
    assert [(problem[0], problem[2]) for problem in found] == [(code, label)]


def test_a_schema_describes_what_has_no_json_form() -> None:
    tool = tool_of(undescribable_and_required, parameter("module", schema={"type": "string"}))
    assert call(tool, {"module": "math"}) == "math"
    with pytest.raises(ArgumentsRejected, match="is not of type 'string'"):
        tool.validate({"module": 1})


def unresolvable(a: Any, b: "int" = 1) -> Any:
    return (a, b)


unresolvable.__annotations__ |= {"a": "Nowhere", "return": "Elsewhere"}


def test_forward_references_that_mean_nothing_are_warnings() -> None:
    tool, diagnostics = compile_with(unresolvable)
    assert [(d.code, d.severity, d.message, d.label) for d in diagnostics] == [
        (
            "M242",
            "warning",
            f"the type of {what} of `m:f` cannot be resolved",
            f"`{hint}` means nothing there, so any value will do",
        )
        for what, hint in [("parameter `a`", "Nowhere"), ("the result", "Elsewhere")]
    ]
    assert tool is not None
    assert tool.signature.input_schema["properties"] == {
        "a": {},
        "b": {"type": "integer", "default": 1},
    }
    assert call(tool, {"a": [1]}) == ([1], 1)


def everything(a: int, b: Any = None, *, c: float = 1.5) -> Any:
    return (a, b, c)


def test_the_manifest_says_more_of_parameters() -> None:
    said = [
        parameter("a", rename="first", description="The first."),
        parameter("b", schema={"enum": ["x", "y"], "description": "From the schema."}),
        parameter("c", hide=True, default=2.5),
    ]
    assert schema_of(everything, *said) == {
        "type": "object",
        "properties": {
            "first": {"type": "integer", "description": "The first."},
            "b": {"enum": ["x", "y"], "description": "From the schema."},
        },
        "required": ["first"],
        "additionalProperties": False,
    }
    tool = tool_of(everything, *said)
    assert call(tool, {"first": 1, "b": "x"}) == (1, "x", 2.5)
    assert tool.signature.accepts == ("a", "b", "c")
    with pytest.raises(ArgumentsRejected, match="`c` is not a parameter"):
        tool.validate({"first": 1, "c": 1.0})


def test_a_default_of_the_manifest_makes_a_parameter_optional_and_is_converted() -> None:
    said = parameter("a", type="datetime", default="2020-01-02T03:04:05")
    assert properties_of(everything, said)["a"] == {
        "type": "string",
        "format": "date-time",
        "default": "2020-01-02T03:04:05",
    }
    assert call(tool_of(everything, said), {})[0] == datetime.datetime(2020, 1, 2, 3, 4, 5)  # noqa: DTZ001


def test_a_default_that_can_be_changed_is_new_for_each_call() -> None:
    untyped = tool_of(everything, parameter("b", default=[1]))
    typed = tool_of(everything, parameter("b", type="set", default=[1]))
    for tool in (untyped, typed):
        first, second = tool.validate({"a": 1})["b"], tool.validate({"a": 1})["b"]
        assert first == second
        assert first is not second


def test_a_schema_with_a_reference_into_itself_holds_where_it_is_put() -> None:
    schema = {
        "type": "object",
        "properties": {"next": {"$ref": "#"}, "n": {"$ref": "#/$defs/n"}},
        "additionalProperties": False,
        "$defs": {"n": {"type": "integer"}},
    }
    said = parameter("b", schema=schema, rename="a/b~c")
    assert properties_of(everything, said)["a/b~c"]["properties"] == {
        "next": {"$ref": "#/properties/a~1b~0c"},
        "n": {"$ref": "#/properties/a~1b~0c/$defs/n"},
    }
    tool = tool_of(everything, said)
    arguments = {"a": 1, "a/b~c": {"next": {"n": 1}}}
    jsonschema.validate(arguments, tool.signature.input_schema)
    assert call(tool, arguments)[1] == {"next": {"n": 1}}
    with pytest.raises(ArgumentsRejected, match=r"`a/b~c\.next\.n`: 'x' is not of type 'integer'"):
        tool.validate({"a": 1, "a/b~c": {"next": {"n": "x"}}})


def test_a_schema_with_an_identity_is_left_as_it_is() -> None:
    schema = {"$id": "urn:x", "$schema": "https://json-schema.org/draft/2020-12/schema"}
    own: dict[str, Any] = {**schema, "$defs": {"n": {}}, "properties": {"a": {"$ref": "#/$defs/n"}}}
    placed = properties_of(everything, parameter("b", schema=own))["b"]
    assert placed == {key: value for key, value in own.items() if key != "$schema"}


@pytest.mark.parametrize(
    ("said", "code", "message", "label", "hint"),
    [
        (
            parameter("aa"),
            "M243",
            "`m:f` has no parameter `aa`",
            "it has `a`, `b`, `c`",
            "did you mean `a`?",
        ),
        (
            need("weather"),
            "M244",
            "`m:f` has no parameter `weather`",
            "it has `a`, `b`, `c`",
            "name one of its parameters",
        ),
        (
            parameter("a", type="datetim"),
            "M247",
            "`datetim` is not a type for values",
            "it is neither known nor `module:Class`",
            "did you mean `datetime`?",
        ),
        (
            parameter("a", hide=True),
            "M245",
            "parameter `a` is hidden but has no default",
            "callers cannot set it, and nothing else does",
            "give it a `default`",
        ),
        (
            parameter("a", rename="b"),
            "M246",
            "parameters `a` and `b` have the same public name",
            "both are called `b`",
            "rename one of them to something else",
        ),
        (
            parameter("a", schema={"type": "nope"}),
            "M248",
            "the schema of parameter `a` is not a JSON Schema",
            "schema.type: 'nope' is not valid under any of the given schemas",
            "correct the schema",
        ),
        (
            parameter("a", schema={"items": [{"$ref": "http://example.com/x"}]}),
            "M248",
            "the schema of parameter `a` is not a JSON Schema",
            "schema.items: [{'$ref': 'http://example.com/x'}] is not of type 'object', 'boolean'",
            "correct the schema",
        ),
        (
            parameter("a", schema={"anyOf": [{"$ref": "http://example.com/x"}]}),
            "M248",
            "the schema of parameter `a` is not a JSON Schema",
            "it refers to `http://example.com/x`, which is outside of it",
            "correct the schema",
        ),
        (
            parameter("a", schema={"$ref": "#/$defs/x"}),
            "M248",
            "the schema of parameter `a` is not a JSON Schema",
            "it refers to `#/$defs/x`, which it does not hold",
            "correct the schema",
        ),
        (
            parameter("a", default="x"),
            "M249",
            "the default of parameter `a` does not fit",
            "`default` should be a valid integer, unable to parse string as an integer",
            "give a default that a caller could send",
        ),
    ],
)
def test_what_is_wrong_with_a_parameter(
    said: Any, code: str, message: str, label: str, hint: str
) -> None:
    assert problems_of(everything, said) == [(code, message, label, hint)]


def test_everything_wrong_is_said_at_once() -> None:
    said = [parameter("a", type="nope"), parameter("x"), need("y"), parameter("c", hide=True)]
    found = problems_of(everything, *said, parameter("b", schema={"type": 1}))
    assert [problem[0] for problem in found] == ["M243", "M244", "M247", "M248"]


def test_a_callable_without_parameters_says_so() -> None:
    assert problems_of(lambda: 1, parameter("x"))[0][2] == "it has none"


@pytest.mark.parametrize(
    ("function", "owner", "name", "label"),
    [
        (5, None, "m:f", "it is of type `int`"),
        (Counter.add, Counter, "m:Counter.add", "it is a method and needs an object to be called"),
    ],
)
def test_what_cannot_be_called(function: Any, owner: Any, name: str, label: str) -> None:
    [(code, message, said, _)] = problems_of(function, owner=owner, name=name)
    assert (code, message) == ("M224", f"`{name}` cannot be called")
    assert said.startswith(label)


def test_methods_that_need_no_object() -> None:
    class Text:
        def upper(self) -> str:
            return str(self).upper()

    twice = tool_of(Counter.twice, owner=Counter, name="m:Counter.twice")
    assert call(twice, {"value": 4}) == 8
    said = parameter("self", type="str")
    upper = tool_of(Text.upper, said, owner=Text, name="m:Text.upper")
    assert call(upper, {"self": "a"}) == "A"


def consumer(place: str, weather: Any, *, clock: Any = None) -> Any:
    return (place, weather, clock)


def positional_consumer(place: str, weather: Any, /, clock: Any = None) -> Any:
    return (place, weather, clock)


@pytest.mark.parametrize("function", [consumer, positional_consumer])
def test_needs_are_hidden_and_injected(function: Callable[..., Any]) -> None:
    tool = tool_of(function, need("weather"), need("clock"))
    assert schema_of(function, need("weather"), need("clock")) == {
        "type": "object",
        "properties": {"place": {"type": "string"}},
        "required": ["place"],
        "additionalProperties": False,
    }
    assert tool.signature.injected == ("weather", "clock")
    assert call(tool, {"place": "Oslo"}, weather=1, clock=2) == ("Oslo", 1, 2)
    assert call(tool, {"place": "Oslo"}, weather=None, clock=None) == ("Oslo", None, None)
    with pytest.raises(ArgumentsRejected) as caught:
        tool.validate({"place": "Oslo", "weather": 1})
    assert str(caught.value) == "arguments rejected: `weather` is not a parameter"


def test_needs_reach_keywords() -> None:
    def open_function(**more: Any) -> Any:
        return more

    tool = tool_of(open_function, need("weather"), parameter("unit", default="C"))
    assert call(tool, {"more": {"a": 1}}, weather=7) == {"a": 1, "weather": 7, "unit": "C"}
    assert list(tool.signature.input_schema["properties"]) == ["unit", "more"]
    assert call(tool_of(open_function, parameter("unit")), {}) == {}
    with pytest.raises(ArgumentsRejected, match="`more` may not hold `weather`"):
        tool.validate({"more": {"weather": 1}})


MISFIT_NEEDS: list[Any] = [
    (
        consumer,
        [need("wether")],
        (
            "M244",
            "`m:f` has no parameter `wether`",
            "it has `place`, `weather`, `clock`",
            "did you mean `weather`?",
        ),
    ),
    (
        consumer,
        [need("weather"), parameter("weather", type="str")],
        (
            "M250",
            "parameter `weather` receives a need, so callers cannot set it",
            "it is described under `parameters` too",
            "remove it from `parameters`",
        ),
    ),
    (
        lambda *rest: rest,  # pyright: ignore[reportUnknownLambdaType]
        [need("rest")],
        (
            "M250",
            "parameter `rest` takes many values, so it cannot receive a need",
            "it is `*rest`",
            "name a parameter that takes one value",
        ),
    ),
]


@pytest.mark.parametrize(
    ("function", "said", "problem"),
    MISFIT_NEEDS,
)
def test_needs_that_fit_no_parameter(
    function: Callable[..., Any], said: list[Any], problem: tuple[str, ...]
) -> None:
    assert problems_of(function, *said) == [problem]


def with_context(a: int, ctx: fastmcp.Context, other: Optional[fastmcp.Context] = None) -> Any:  # noqa: UP045
    return (a, ctx, other)


def test_context_parameters_are_injected() -> None:
    tool = tool_of(with_context)
    assert tool.signature.context_parameters == ("ctx", "other")
    assert list(tool.signature.input_schema["properties"]) == ["a"]
    assert call(tool, {"a": 1}, ctx="c", other="o") == (1, "c", "o")
    found = problems_of(with_context, parameter("ctx"))
    assert [(problem[0], problem[1]) for problem in found] == [
        ("M250", "parameter `ctx` receives the MCP context, so callers cannot set it")
    ]


def iterates(lines: Iterable[str]) -> list[str]:
    return list(lines)


def test_iterables_are_lists() -> None:
    assert properties_of(iterates) == {"lines": {"type": "array", "items": {"type": "string"}}}
    assert call(tool_of(iterates), {"lines": ["a"]}) == ["a"]
    assert isinstance(tool_of(iterates).validate({"lines": ["a"]})["lines"], list)


def test_a_gap_that_nothing_fills_is_an_error() -> None:
    def gap(a: Any, /, b: Any = 1, *rest: Any) -> Any:
        return (a, b, rest)

    described = [parameter("first", default=None), parameter("second")]
    with pytest.raises(ArgumentsRejected, match="`second` is missing"):
        tool_of(max, *described).validate({"first": 1})
    assert call(tool_of(gap), {"a": 1, "rest": [2]}) == (1, 1, (2,))


KINDS = [
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
    inspect.Parameter.KEYWORD_ONLY,
    inspect.Parameter.VAR_KEYWORD,
]


@st.composite
def signatures(draw: st.DrawFn) -> inspect.Signature:
    """Draw a signature of up to eight parameters of all kinds."""
    counts = draw(
        st.tuples(*[st.integers(0, 2)] * 2, st.booleans(), st.integers(0, 2), st.booleans())
    )
    parameters: list[inspect.Parameter] = []
    must_default = False
    for kind, count in zip(KINDS, counts, strict=True):
        is_single = kind.name.startswith("VAR")
        for _ in range(int(count)):
            default = inspect.Parameter.empty
            is_positional = kind in KINDS[:2]
            if not is_single and (draw(st.booleans()) or (must_default and is_positional)):
                default = f"default {len(parameters)}"
                must_default = must_default or is_positional
            parameters.append(inspect.Parameter(f"p{len(parameters)}", kind, default=default))
    return inspect.Signature(parameters)


@given(st.data())
def test_a_call_passes_exactly_what_was_given(data: st.DataObject) -> None:
    signature = data.draw(signatures())

    def spy(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return dict(bound.arguments)

    spy.__signature__ = signature
    given_arguments: dict[str, Any] = {}
    expected: dict[str, Any] = {}
    for name, declared in signature.parameters.items():
        if declared.kind is inspect.Parameter.VAR_POSITIONAL:
            expected[name], value = (), data.draw(st.lists(st.integers(), max_size=2))
        elif declared.kind is inspect.Parameter.VAR_KEYWORD:
            keys = st.sampled_from(["x", "y"])
            expected[name], value = {}, data.draw(st.dictionaries(keys, st.integers()))
        else:
            expected[name], value = declared.default, data.draw(st.integers())
        if expected[name] is inspect.Parameter.empty or data.draw(st.booleans()):
            given_arguments[name] = value
            is_rest = declared.kind is inspect.Parameter.VAR_POSITIONAL
            expected[name] = tuple(cast("list[int]", value)) if is_rest else value
    assert call(tool_of(spy), given_arguments) == expected


def test_a_default_that_does_not_fit_is_not_shown() -> None:
    def sample(number: int) -> int:
        return number

    said = parameter("number", schema={"type": "number"}, default="hunter2")
    [problem] = problems_of(sample, said)
    assert problem[0] == "M249"
    assert 'it does not match `{"type": "number"}`' in problem
    assert "hunter2" not in str(problem)


def test_a_manifest_names_the_only_parameter_of_a_c_function_on_every_python() -> None:
    # From Python 3.13 on, `keyword.iskeyword` has a signature: `(object, /)`.
    def iskeyword(object: Any, /) -> bool:  # noqa: A002  (the name that Python gives it)
        return object == "if"

    tool = tool_of(iskeyword, parameter("word", type="str"))
    assert call(tool, {"word": "if"}) is True
    assert tool.signature.input_schema["required"] == ["word"]
