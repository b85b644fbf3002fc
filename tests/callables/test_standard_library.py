from dataclasses import replace
from typing import Any

import pytest

from meshd.callables.agent import load_agent
from meshd.callables.tool import LoadedTool
from meshd.domain.spec import AgentSpec, ParameterSpec, ResultSpec, ToolSpec
from tests.callables.project import loader
from tests.callables.standard_library import ALLOWED, CASES, Case


def spec(case: Case) -> ToolSpec:
    """Return what the manifest reader would make of the case."""
    parameters: dict[str, dict[str, Any]] = case.more.get("parameters", {})
    return ToolSpec(
        callable=case.callable,
        name=case.tool,
        parameters=tuple(ParameterSpec(name=name, **said) for name, said in parameters.items()),
        result=ResultSpec(**case.more.get("result", {})),
    )


def load(case: Case, allowed: tuple[str, ...] = ALLOWED) -> LoadedTool:
    agent, diagnostics = load_agent(AgentSpec(name="a", tools=(spec(case),)), loader(allow=allowed))
    assert diagnostics == ()
    assert agent is not None
    return agent.tools[case.tool]


def test_the_list_is_long_enough() -> None:
    assert len({case.callable for case in CASES}) >= 40


@pytest.mark.parametrize("case", CASES, ids=[case.callable for case in CASES])
def test_a_function_gives_the_right_answer(case: Case) -> None:
    tool = load(case)
    answer = tool.dump(tool.invoke(tool.validate(case.arguments)))
    assert repr(answer) == repr(case.answer)


@pytest.mark.parametrize("case", CASES, ids=[case.callable for case in CASES])
def test_a_function_refuses_an_argument_that_it_does_not_have(case: Case) -> None:
    with pytest.raises(ValueError, match="`no_such_argument` is not a parameter"):
        load(case).validate({**case.arguments, "no_such_argument": 1})


@pytest.mark.parametrize(
    ("callable_name", "origin"),
    [
        ("os.path:join", "posixpath"),
        ("hashlib:sha256", "_hashlib"),
        ("bisect:bisect_left", "_bisect"),
        ("json:dumps", None),
        ("math:sqrt", None),
    ],
)
def test_a_function_that_reports_another_module_needs_the_exact_form(
    callable_name: str, origin: str | None
) -> None:
    pattern = f"{callable_name.partition(':')[0].partition('.')[0]}.*"
    agent, diagnostics = load_agent(
        AgentSpec(name="a", tools=(ToolSpec(callable=callable_name, name="t"),)),
        loader(allow=(pattern,)),
    )
    hints = [(d.code, d.label, d.hint) for d in diagnostics]
    exact = f'if it is meant, write `"{callable_name}"` in meshd.toml\'s allow list'
    assert hints == ([("M213", f"it comes from `{origin}`", exact)] if origin else [])
    assert (agent is None) == bool(origin)


def test_a_function_without_a_signature_needs_its_parameters_described() -> None:
    case = next(case for case in CASES if case.callable == "builtins:max")
    tool = replace(spec(case), parameters=())
    agent, diagnostics = load_agent(AgentSpec(name="a", tools=(tool,)), loader(allow=ALLOWED))
    assert agent is None
    assert [(d.code, d.message, d.hint) for d in diagnostics] == [
        (
            "M252",
            "the parameters of `builtins:max` are not known",
            "describe its arguments under `parameters`, in the order of the call",
        )
    ]
