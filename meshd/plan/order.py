"""Order in directed graphs: what must come first, and where there is no first.

A graph maps each node to those that it depends on. Nothing here recurses, so that a chain of any
length is fine, and no result depends on the order in which a graph was built.
"""

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from typing import TypeVar

Node = TypeVar("Node", bound="str | tuple[str, ...]")

Graph = Mapping[Node, Collection[Node]]


def components(graph: Graph[Node]) -> list[tuple[Node, ...]]:
    """Return the strongly connected components, dependencies first; each is sorted.

    Tarjan's algorithm with a stack of its own.
    """
    found: list[tuple[Node, ...]] = []
    index: dict[Node, int] = {}
    low: dict[Node, int] = {}
    stack: list[Node] = []
    on_stack: set[Node] = set()
    for root in sorted(graph):
        if root in index:
            continue
        visits: list[tuple[Node, Iterator[Node]]] = []
        entered: Node | None = root
        while entered is not None or visits:
            if entered is not None:
                index[entered] = low[entered] = len(index)
                stack.append(entered)
                on_stack.add(entered)
                visits.append((entered, iter(sorted(graph.get(entered, ())))))
            node, successors = visits[-1]
            entered = _next_unseen(node, successors, index, low, on_stack)
            if entered is not None:
                continue
            visits.pop()
            if visits:
                parent = visits[-1][0]
                low[parent] = min(low[parent], low[node])
            if low[node] == index[node]:
                found.append(_popped(stack, on_stack, node))
    return found


def start_order(graph: Graph[Node]) -> tuple[Node, ...]:
    """Return all nodes, each after those that it depends on as far as cycles allow."""
    return tuple(node for component in components(graph) for node in component)


def cycles(graph: Graph[Node]) -> tuple[tuple[Node, ...], ...]:
    """Return a shortest cycle through the first node of each knot of cycles, that node first."""
    found = [
        _shortest_cycle(graph, component)
        for component in components(graph)
        if len(component) > 1 or any(node in graph.get(node, ()) for node in component)
    ]
    return tuple(sorted(found))


def _next_unseen(
    node: Node,
    successors: Iterator[Node],
    index: dict[Node, int],
    low: dict[Node, int],
    on_stack: set[Node],
) -> Node | None:
    """Return the next successor that was never entered; note how far back the others reach."""
    for successor in successors:
        if successor not in index:
            return successor
        if successor in on_stack:
            low[node] = min(low[node], index[successor])
    return None


def _popped(stack: list[Node], on_stack: set[Node], root: Node) -> tuple[Node, ...]:
    members: list[Node] = []
    while not members or members[-1] != root:
        members.append(stack.pop())
    on_stack.difference_update(members)
    return tuple(sorted(members))


def _shortest_cycle(graph: Graph[Node], component: tuple[Node, ...]) -> tuple[Node, ...]:
    """Return the nodes of a shortest cycle through the component's first node, by breadth first."""
    first = component[0]
    members = set(component)
    came_from: dict[Node, Node] = {}
    queue: deque[Node] = deque([first])
    while first not in came_from:
        node = queue.popleft()
        for successor in sorted(graph.get(node, ())):
            if successor in members and successor not in came_from:
                came_from[successor] = node
                queue.append(successor)
    path = [came_from[first]]
    while path[-1] != first:
        path.append(came_from[path[-1]])
    return tuple(reversed(path))
