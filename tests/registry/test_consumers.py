"""Whose wiring a change concerns, and what is remembered of who serves a need."""

import pytest

from meshd.domain.instance import Dependency, Instance, OfferedTool
from meshd.domain.resolve import Want
from meshd.registry.consumers import Consumers
from meshd.registry.offers import Offers


def consumer(identity: str, *wants: Want) -> Instance:
    dependencies = tuple(Dependency(want=want) for want in wants)
    tool = OfferedTool(name="f", capability="", dependencies=dependencies)
    return Instance(id=identity, agent="a", endpoint="http://h:1", tools=(tool,))


def provider(identity: str, *capabilities: str, namespace: str = "default") -> Instance:
    tools = tuple(OfferedTool(name=f"do_{each}", capability=each) for each in capabilities)
    return Instance(id=identity, agent="b", namespace=namespace, endpoint="http://h:2", tools=tools)


def test_only_who_searches_a_place_is_marked() -> None:
    consumers = Consumers()
    consumers.put(consumer("here-1", Want(capability="b")), None)
    consumers.put(consumer("prod-1", Want(capability="b", namespace="prod")), None)
    consumers.put(consumer("any-1", Want(capability="b", namespace=None)), None)
    consumers.put(consumer("other-1", Want(capability="c")), None)
    assert consumers.marked() == ("here-1", "prod-1", "any-1", "other-1")

    def marked_by(*places: tuple[str, str]) -> set[str]:
        for name in consumers.marked():
            consumers.unmark(name)
        consumers.mark(places)
        return set(consumers.marked())

    assert marked_by(("b", "default")) == {"here-1", "any-1"}
    assert marked_by(("b", "prod"), ("c", "prod")) == {"prod-1", "any-1"}
    assert marked_by(("x", "default")) == set()


def test_who_needs_something_else_now_is_not_marked_for_what_it_needed() -> None:
    consumers = Consumers()
    before = consumer("a-1", Want(capability="b"))
    consumers.put(before, None)
    after = consumer("a-1", Want(capability="c"))
    consumers.put(after, before)
    consumers.unmark("a-1")
    consumers.mark([("b", "default")])
    assert not consumers.is_marked("a-1")
    consumers.mark([("c", "default")])
    assert consumers.is_marked("a-1")
    consumers.remove(after)
    consumers.mark([("c", "default")])
    assert consumers.marked() == ()


def test_what_serves_a_need_is_remembered_until_its_capability_changes() -> None:
    offers = Offers()
    want = Want(capability="b")
    assert offers.upstreams(want) == ()
    assert offers.put(provider("b-1", "b", "c")) == {("b", "default"), ("c", "default")}
    found = offers.upstreams(want)
    assert [each.instance for each in found] == ["b-1"]

    assert offers.put(provider("c-1", "c", namespace="prod")) == {("c", "prod")}
    assert offers.put(provider("b-1", "b", "c")) == set()
    assert offers.upstreams(want) is found
    offers.put(provider("b-2", "b"))
    assert [each.instance for each in offers.upstreams(want)] == ["b-1", "b-2"]
    assert offers.remove("b-1") == {("b", "default"), ("c", "default")}
    assert [each.instance for each in offers.upstreams(want)] == ["b-2"]
    assert offers.upstreams(Want(capability="c")) == ()
    everywhere = Want(capability="c", namespace=None)
    assert [each.instance for each in offers.upstreams(everywhere)] == ["c-1"]


def test_no_more_is_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshd.registry.offers.MAX_REMEMBERED", 10)
    offers = Offers()
    offers.put(provider("b-1", "b"))
    for number in range(11):
        offers.upstreams(Want(capability="b", version=f">={number}"))

    assert len(offers._found) == 0  # pyright: ignore[reportPrivateUsage]
    assert [each.instance for each in offers.upstreams(Want(capability="b"))] == ["b-1"]
