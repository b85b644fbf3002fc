"""Agents of one mesh are told apart by port, and agree about the process that they share."""

from collections.abc import Mapping

import pytest

from meshd.diagnostics.model import Diagnostic, Related, Span
from meshd.domain.spec import AgentSpec, SecretSpec
from meshd.domain.together import together_problems


def at(line: int) -> Span:
    return Span("m.yaml", line, 1, 2)


def listening(name: str, host: str, port: int, line: int = 1) -> AgentSpec:
    return AgentSpec(name=name, host=host, port=port, origins={"port": at(line)})


def sharing(
    name: str,
    line: int = 1,
    *,
    replicas: int | None = None,
    env: Mapping[str, str | SecretSpec] | None = None,
) -> AgentSpec:
    origins = {"process": at(line), **{f"env.{key}": at(line + 2) for key in env or ()}}
    if replicas is not None:
        origins["replicas"] = at(line + 1)
    return AgentSpec(
        name=name, process="trips", replicas=replicas or 1, env=env or {}, origins=origins
    )


def problems(*agents: AgentSpec) -> list[Diagnostic]:
    return list(together_problems(agents))


OVERLAPPING = [
    ("127.0.0.1", "127.0.0.1"),
    ("127.0.0.1", "localhost"),
    ("127.0.0.1", "0.0.0.0"),  # noqa: S104
    ("0.0.0.0", "10.0.0.1"),  # noqa: S104
    ("0.0.0.0", "::"),  # noqa: S104
    ("127.0.0.1", "::"),
    ("::1", "::"),
    ("::1", "0:0:0:0:0:0:0:1"),
    ("planner.example.org", "0.0.0.0"),  # noqa: S104
    ("planner.example.org", "planner.example.org"),
]
APART = [
    ("127.0.0.1", "127.0.0.2"),
    ("127.0.0.1", "::1"),
    ("0.0.0.0", "::1"),  # noqa: S104
    ("a.example.org", "b.example.org"),
]


@pytest.mark.parametrize(("first", "second"), [*OVERLAPPING, *(pair[::-1] for pair in OVERLAPPING)])
def test_one_port_on_hosts_that_overlap(first: str, second: str) -> None:
    shown = f"[{second}]" if ":" in second else second
    on = "" if first == second else f", on `{first}`"
    assert problems(listening("a", first, 8001, 3), listening("b", second, 8001, 7)) == [
        Diagnostic(
            code="M206",
            message=f"two agents listen on `{shown}:8001`",
            span=at(7),
            hint="use another port, or 0 for any free one",
            related=(Related(at(3), f"first here{on}"),),
        )
    ]


@pytest.mark.parametrize(("first", "second"), [*APART, *(pair[::-1] for pair in APART)])
def test_one_port_on_hosts_that_do_not_overlap(first: str, second: str) -> None:
    assert problems(listening("a", first, 8001), listening("b", second, 8001)) == []


def test_ports_that_are_free_or_differ_never_clash() -> None:
    fixed = [listening("c", "::", 1), listening("d", "::", 2)]
    assert problems(listening("a", "::", 0), listening("b", "::", 0), *fixed) == []


def test_each_later_agent_is_told_once() -> None:
    agents = [listening(name, "127.0.0.1", 1, line) for line, name in enumerate("abc", 1)]
    found = [(one.span, one.related[0].span) for one in problems(*agents)]
    assert found == [(at(2), at(1)), (at(3), at(1))]


def test_replicas_of_one_process_are_equal() -> None:
    assert problems(sharing("a", 10), sharing("b", 20, replicas=1)) == []
    assert problems(sharing("a", 10), sharing("b", 20, replicas=2), sharing("c", 30)) == [
        Diagnostic(
            code="M230",
            message="agents `a` and `b` share process `trips`, but have different numbers of "
            "replicas",
            span=at(21),
            label="`b` has 2",
            hint="say the same `replicas` for both, or another `process` for one",
            related=(Related(at(10), "`a` has 1 by default"),),
        )
    ]


def test_variables_of_one_process_are_equal_and_never_shown() -> None:
    secret = SecretSpec(env="KEY", origin=at(1))
    same = SecretSpec(env="KEY", origin=at(2))
    first = sharing("a", 10, env={"KEY": secret, "MODE": "hush", "ONLY_A": "1"})
    assert problems(first, sharing("b", 20, env={"KEY": same, "MODE": "hush", "ONLY_B": "2"})) == []
    found = problems(first, sharing("b", 20, env={"MODE": "hush hush"}), sharing("c", 30))
    assert found == [
        Diagnostic(
            code="M231",
            message="agents `a` and `b` share process `trips`, but set `MODE` differently",
            span=at(22),
            hint="let both say the same, or say another `process` for one",
            related=(Related(at(12), "first here"),),
        )
    ]
    for other in ("KEY", SecretSpec(env="OTHER"), SecretSpec(file="/KEY")):
        codes = [one.code for one in problems(first, sharing("b", env={"KEY": other}))]
        assert codes == ["M231"]


def test_agents_of_other_processes_need_not_agree() -> None:
    shared = sharing("a", replicas=2, env={"MODE": "prod"})
    alone = AgentSpec(name="trips", replicas=3, env={"MODE": "test"})
    other = AgentSpec(name="c", process="other", replicas=4, env={"MODE": "dev"})
    assert problems(shared, alone, other) == []


def test_what_is_not_known_yet_is_passed_over() -> None:
    agents = [
        sharing("a", replicas=2, env={"A": "later", "B": SecretSpec(file="later")}),
        sharing("b", replicas=2, env={"A": "1", "B": SecretSpec(file="/b")}),
    ]
    assert [one.code for one in problems(*agents)] == ["M231", "M231"]
    assert list(together_problems(agents, lambda value: value == "later")) == []
    assert list(together_problems([*agents, sharing("c")], lambda value: value == "trips")) == []
    ports = [listening("a", "::", 1), listening("b", "::", 1)]
    assert list(together_problems(ports, lambda value: value == "::")) == []
    assert list(together_problems(ports, lambda value: value == 1)) == []
