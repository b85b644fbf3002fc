"""Nodes come after what they depend on; cycles are found, however deep the graph."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.plan.order import components, cycles, start_order

GraphOfNames = dict[str, list[str]]


@pytest.mark.parametrize(
    ("graph", "order", "found"),
    [
        ({}, (), ()),
        ({"a": [], "b": []}, ("a", "b"), ()),
        ({"a": ["b"], "b": ["c"], "c": []}, ("c", "b", "a"), ()),
        ({"a": ["b"]}, ("b", "a"), ()),
        ({"a": ["a"]}, ("a",), (("a",),)),
        ({"b": ["a"], "a": ["b"]}, ("a", "b"), (("a", "b"),)),
        ({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, ("d", "b", "c", "a"), ()),
        (
            {"x": ["a"], "a": ["b"], "b": ["c"], "c": ["a"]},
            ("a", "b", "c", "x"),
            (("a", "b", "c"),),
        ),
        ({"a": ["b"], "b": ["c", "a"], "c": ["a"]}, ("a", "b", "c"), (("a", "b"),)),
        (
            {"d": ["c"], "c": ["d", "a"], "b": ["a"], "a": ["b"]},
            ("a", "b", "c", "d"),
            (("a", "b"), ("c", "d")),
        ),
    ],
)
def test_graphs(
    graph: GraphOfNames, order: tuple[str, ...], found: tuple[tuple[str, ...], ...]
) -> None:
    assert start_order(graph) == order
    assert cycles(graph) == found


def test_a_chain_of_any_length() -> None:
    length = 50_000
    chain = {f"n{n:05}": [f"n{n + 1:05}"] for n in range(length)}
    assert start_order(chain) == tuple(f"n{n:05}" for n in range(length, -1, -1))
    ring = {**chain, f"n{length:05}": ["n00000"]}
    assert len(cycles(ring)[0]) == length + 1


names = st.sampled_from("abcdefgh")
graphs = st.dictionaries(names, st.lists(names, max_size=4, unique=True), max_size=8)


def reachable(graph: GraphOfNames, start: str) -> set[str]:
    seen: set[str] = set()
    waiting = list(graph.get(start, ()))
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting.extend(graph.get(node, ()))
    return seen


@given(graphs)
def test_components_are_the_sets_of_nodes_that_reach_each_other(graph: GraphOfNames) -> None:
    nodes = {*graph, *(node for successors in graph.values() for node in successors)}
    reach = {node: reachable(graph, node) | {node} for node in nodes}
    expected = {tuple(sorted(b for b in nodes if b in reach[a] and a in reach[b])) for a in nodes}
    found = components(graph)
    assert sorted(found) == sorted(expected)
    place = {node: i for i, component in enumerate(found) for node in component}
    assert all(place[b] <= place[a] for a in nodes for b in graph.get(a, ()))


@given(graphs)
def test_each_cycle_is_one_and_none_is_missed(graph: GraphOfNames) -> None:
    found = cycles(graph)
    for cycle in found:
        assert len(set(cycle)) == len(cycle)
        assert all(b in graph[a] for a, b in zip(cycle, (*cycle[1:], cycle[0]), strict=True))
    on_cycles = {node for node in graph if node in reachable(graph, node)}
    assert bool(on_cycles) == bool(found)
    for node in on_cycles:
        assert any(node in reachable(graph, cycle[0]) for cycle in found)


@given(graphs, st.integers(0, 7))
def test_the_order_of_building_does_not_matter(graph: GraphOfNames, turn: int) -> None:
    items = [(node, successors[::-1]) for node, successors in graph.items()]
    turned = dict(items[turn:] + items[:turn])
    assert start_order(turned) == start_order(graph)
    assert cycles(turned) == cycles(graph)
