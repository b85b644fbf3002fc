from pathlib import Path

import pytest

from meshd.callables.clashes import clashes, references
from meshd.diagnostics.model import Diagnostic, Related, Span
from meshd.domain.spec import (
    AgentSpec,
    NeedSpec,
    ObjectSpec,
    ParameterSpec,
    PromptSpec,
    ResourceSpec,
    ResultSpec,
    ToolSpec,
)
from tests.callables.project import loader, write


def agent(name: str, line: int, *roots: Path, tool: str) -> AgentSpec:
    span = Span("m.yaml", line, 1, 2)
    spec = ToolSpec(callable=tool, name="t", origins={"callable": span})
    place = Span("m.yaml", line - 1, 1, 2)
    return AgentSpec(name=name, roots=tuple(map(str, roots)), tools=(spec,), origin=place)


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    files = {"app.py": "from shared import f\n", "shared.py": "def f(): pass\n"}
    first = write(tmp_path / "first", {**files, "only_first.py": ""})
    second = write(tmp_path / "second", {**files, "only_second.py": ""})
    return first, second


def test_two_agents_that_use_different_modules_of_one_name_clash(roots: tuple[Path, Path]) -> None:
    first, second = roots
    found = clashes([agent("a", 5, first, tool="app:f"), agent("b", 9, second, tool="app:f")])
    assert found == (
        Diagnostic(
            code="M216",
            message="agents `a` and `b` both have a module `app`",
            span=Span("m.yaml", 9, 1, 2),
            label=f"`b` has {second / 'app.py'}",
            hint="rename one of the two `app`",
            related=(Related(Span("m.yaml", 5, 1, 2), f"`a` has {first / 'app.py'}"),),
        ),
    )


def test_a_module_that_only_one_agent_names_clashes_too(roots: tuple[Path, Path]) -> None:
    # The second agent's own imports would get the first agent's module.
    first, second = roots
    (found,) = clashes(
        [agent("a", 5, first, tool="app:f"), agent("b", 9, second, tool="only_second:f")]
    )
    assert (found.code, found.span) == ("M216", Span("m.yaml", 8, 1, 2))


def test_a_module_that_was_imported_without_being_named_clashes(roots: tuple[Path, Path]) -> None:
    first, second = roots
    agents = [agent("a", 5, first, tool="only_first:f"), agent("b", 9, second, tool="x.y")]
    assert clashes(agents) == ()
    loader(first).load("app:f")
    assert [(d.code, d.message) for d in clashes(agents)] == [
        ("M216", "agents `a` and `b` both have a module `app`"),
        ("M216", "agents `a` and `b` both have a module `shared`"),
    ]


def test_agents_without_a_place_can_clash(roots: tuple[Path, Path]) -> None:
    tool = ToolSpec(callable="app:f", name="t")
    first, second = (
        AgentSpec(name=name, roots=(str(root),), tools=(tool,))
        for name, root in zip("ab", roots, strict=True)
    )
    (found,) = clashes([first, second])
    assert (found.span, found.related) == (None, ())


def test_agents_with_the_same_file_do_not_clash(roots: tuple[Path, Path]) -> None:
    first, second = roots
    same = [agent("a", 5, first, tool="app:f"), agent("b", 9, first, tool="app:f")]
    more = [agent("a", 5, first, tool="app:f"), agent("b", 9, first, second, tool="app:f")]
    apart = [
        agent("a", 5, first, tool="only_first:f"),
        agent("b", 9, second, tool="only_second:f"),
    ]
    assert [clashes(same), clashes(more), clashes(apart), clashes([])] == [(), (), (), ()]


def test_every_reference_of_an_agent_is_known() -> None:
    spec = AgentSpec(
        name="a",
        lifespan="m:lifespan",
        objects=(ObjectSpec(name="o", class_reference="m:Class"),),
        resources=(ResourceSpec(uri="a://b", name="r", callable="m:resource"),),
        prompts=(PromptSpec(name="p", callable="m:prompt"),),
        tools=(
            ToolSpec(
                callable="m:tool",
                name="t",
                parameters=(ParameterSpec(name="x", type="m:P"), ParameterSpec(name="y")),
                result=ResultSpec(type="m:R"),
                needs=(
                    NeedSpec(parameter="n", capability="c", expects="m:E"),
                    NeedSpec(parameter="k", capability="c"),
                ),
            ),
        ),
    )
    assert [text for text, _ in references(spec)] == [
        f"m:{name}" for name in ("lifespan", "Class", "resource", "prompt", "tool", "R", "P", "E")
    ]
