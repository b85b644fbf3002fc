"""Names are accepted or refused with a reason that shows what is wrong."""

import pytest

from meshd.domain import names


@pytest.mark.parametrize("name", ["a", "planner", "a-b", "0", "a1-b2", "x" * 50])
def test_agent_names(name: str) -> None:
    assert names.agent_name_problem(name) is None
    assert names.namespace_problem(name) is None


@pytest.mark.parametrize(
    "name",
    ["", "-a", "a-", "A", "a_b", "a.b", "a--b", "a b", "a\n", "é", "a/b", "x" * 64, "\u0661"],
)
def test_names_that_are_no_labels(name: str) -> None:
    assert names.agent_name_problem(name) is not None
    assert names.namespace_problem(name) is not None


def test_an_agent_has_at_most_50_characters_and_a_namespace_63() -> None:
    assert names.agent_name_problem("x" * 51) == (
        f"an agent's name may have 50 characters, `{'x' * 51}` has 51"
    )
    assert names.namespace_problem("x" * 63) is None


def test_the_double_hyphen_is_explained() -> None:
    assert names.agent_name_problem("a--b") == (
        "`a--b` is not an agent's name: `--` separates namespace and agent in instance ids"
    )


def test_a_reason_stays_on_one_line_and_short() -> None:
    reason = names.agent_name_problem("a\n" + "b" * 10_000) or ""
    assert "\n" not in reason
    assert len(reason) < 200


@pytest.mark.parametrize("name", ["a", "plan_trip", "Plan-Trip", "0", "__x", "x" * 128])
def test_tool_names(name: str) -> None:
    assert names.tool_name_problem(name) is None


@pytest.mark.parametrize("name", ["", "a.b", "a b", "a\n", "a/b", "é", "x" * 129])
def test_names_that_are_no_tools(name: str) -> None:
    assert names.tool_name_problem(name) is not None


@pytest.mark.parametrize(
    ("agent", "namespace", "expected"),
    [("planner", "default", "planner-2"), ("planner", "prod", "prod--planner-2")],
)
def test_instance_ids(agent: str, namespace: str, expected: str) -> None:
    assert names.instance_id(agent, 2, namespace) == expected


@pytest.mark.parametrize(
    ("namespace", "node", "expected"),
    [
        ("default", "", "planner-2"),
        ("default", "k3x9", "planner-k3x9-2"),
        ("prod", "rack-7", "prod--planner-rack-7-2"),
    ],
)
def test_instance_ids_of_a_node(namespace: str, node: str, expected: str) -> None:
    assert names.instance_id("planner", 2, namespace, node) == expected


def test_nodes_and_processes_have_names_like_agents() -> None:
    assert [names.node_problem(name) for name in ("a", "rack-7", "x" * 20)] == [None] * 3
    assert names.node_problem("x" * 21) == (
        f"a node's name may have 20 characters, `{'x' * 21}` has 21"
    )
    assert [names.process_name_problem(name) for name in ("a", "x" * 50)] == [None] * 2
    assert names.process_name_problem("x" * 51) is not None
    for name in ("", "A", "a--b", "a.b", "-a", "a/b", "a:b", "a\n"):
        assert names.node_problem(name) is not None
        assert names.process_name_problem(name) is not None


def test_ids_that_grow_too_long_are_told() -> None:
    assert names.instance_id_problem("a" * 50, "default", "n" * 7) is None
    assert len(names.instance_id("a" * 50, 9999, "default", "n" * 7)) == 63
    assert names.instance_id_problem("a" * 50, "n" * 6, "") is None
    assert names.instance_id_problem("a" * 50, "default", "n" * 9) == (
        f"the ids of `{'a' * 50}` on node `{'n' * 9}` are 2 characters too long"
    )
    assert names.instance_id_problem("a", "prod", "n" * 20) is None


@pytest.mark.parametrize(
    ("agent", "namespace", "expected"),
    [("planner", "default", "planner"), ("planner", "prod", "prod/planner")],
)
def test_agent_keys(agent: str, namespace: str, expected: str) -> None:
    assert names.agent_key(agent, namespace) == expected


def test_namespace_and_agent_leave_room_for_a_number() -> None:
    assert names.qualified_name_problem("a" * 50, "default") is None
    assert names.qualified_name_problem("a" * 50, "n" * 6) is None
    assert len(names.instance_id("a" * 50, 9999, "n" * 6)) == 63
    assert names.qualified_name_problem("a" * 50, "n" * 7) == (
        f"`{'n' * 7}--{'a' * 50}` has 59 characters; namespace and agent may have 58 together"
    )


@pytest.mark.parametrize(
    "name",
    [
        "greeting", "smart_greet", "weather-report", "a", "media.caption", "a.b", "a.b.c",
        "llm.chat", "a1.b2_c-3", "x" * 100,
    ],
)  # fmt: skip
def test_capabilities(name: str) -> None:
    assert names.capability_problem(name) is None


@pytest.mark.parametrize(
    "name",
    ["", ".a", "a.", "a..b", "a.-b", "1a.b", "a.1b", ".", "a.b.", "a b", "a.b\n", "é", "x" * 101],
)
def test_names_that_are_no_capabilities(name: str) -> None:
    assert names.capability_problem(name) is not None


def test_a_line_break_in_a_capability_is_shown() -> None:
    assert names.capability_problem("a.b\n") == (
        "`a.b\\n` is not a capability: use words of letters, digits, `_` and `-` that begin with "
        "a letter, dots between"
    )
