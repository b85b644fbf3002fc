"""When a capability is available, and the exact reason when it is not."""

import pytest

from meshd.errors import RegistrationRefused
from meshd.registry.offers import Offers
from tests.registry.meshes import Mesh, body, needs, read, tool


def test_an_optional_dependency_leaves_the_consumer_available() -> None:
    mesh = Mesh()
    mesh.post("b-1", tool("b"))
    mesh.post("a-1", tool("a", needs("b")))
    mesh.die("b-1")

    assert mesh.availability("a-1") == {"a": ""}
    assert mesh.listed("a-1")["dependency_resolutions"] == [
        {"function_name": "do_a", "capability": "b", "status": "unresolved"}
    ]


def test_a_required_dependency_takes_the_consumer_along_and_its_row_names_the_provider() -> None:
    mesh = Mesh()
    mesh.post("b-1", tool("b"))
    mesh.post("a-1", tool("a", needs("b", required=True)))
    assert mesh.availability("a-1") == {"a": ""}

    mesh.die("b-1")
    assert mesh.availability("b-1") == {"b": "agent unhealthy"}
    assert mesh.availability("a-1") == {
        "a": "required dep 'b' unavailable (provider b-1 unhealthy)"
    }

    for _ in range(12):
        mesh.wait(5)
        mesh.head("a-1")
    mesh.registry.expire(mesh.now)
    assert mesh.availability("a-1") == {"a": "required dep 'b' unresolved"}


def test_a_chain_of_required_dependencies_names_the_direct_edge() -> None:
    mesh = Mesh()
    mesh.post("c-1", tool("c"))
    mesh.post("b-1", tool("b", needs("c", required=True)))
    mesh.post("a-1", tool("a", needs("b", required=True)))
    mesh.die("c-1")

    assert mesh.availability("b-1") == {
        "b": "required dep 'c' unavailable (provider c-1 unhealthy)"
    }
    assert mesh.availability("a-1") == {
        "a": "required dep 'b' unavailable (provider b-1 unavailable)"
    }

    mesh.post("c-1", tool("c"))
    assert (mesh.availability("b-1"), mesh.availability("a-1")) == ({"b": ""}, {"a": ""})


@pytest.mark.parametrize(
    ("required", "reason"),
    [(True, "required dep 'right' unavailable (provider right-1 unhealthy)"), (False, "")],
)
def test_one_broken_leg_of_a_diamond(required: bool, reason: str) -> None:
    mesh = Mesh()
    mesh.post("base-1", tool("base"))
    mesh.post("left-1", tool("left", needs("base", required=True)))
    mesh.post("right-1", tool("right", needs("base", required=True)))
    mesh.post("top-1", tool("top", needs("left", required=True), needs("right", required=required)))
    assert mesh.availability("top-1") == {"top": ""}
    mesh.die("right-1")

    assert mesh.availability("top-1") == {"top": reason}


def test_a_provider_that_joins_later_makes_the_consumer_available() -> None:
    mesh = Mesh()
    mesh.post("a-1", tool("a", needs("b", required=True)))
    assert mesh.availability("a-1") == {"a": "required dep 'b' unresolved"}
    mesh.post("b-1", tool("b"))

    assert mesh.availability("a-1") == {"a": ""}


@pytest.mark.parametrize(
    ("need", "reason"),
    [
        ({"tags": ["needs-this-tag"]}, "tags=[needs-this-tag]"),
        ({"tags": ["x", ["p", "q"], "-z"]}, "tags=[x [p q] -z]"),
        ({"version": ">=2"}, "version >=2"),
        ({"version": ">=2", "tags": ["a", "b"]}, "tags=[a b], version >=2"),
    ],
)
def test_what_no_provider_matches_is_named_whatever_dead_ones_there_are(
    need: dict[str, object], reason: str
) -> None:
    mesh = Mesh()
    mesh.post("dead-1", tool("c-cap"))
    mesh.post("c-1", tool("c-cap"))
    mesh.die("dead-1")
    mesh.post("a-1", tool("a", needs("c-cap", required=True, **need)))

    assert mesh.availability("a-1") == {
        "a": f"required dep 'c-cap' unresolved (no provider matches {reason})"
    }


def test_an_unavailable_capability_is_no_provider() -> None:
    mesh = Mesh()
    mesh.post("b-1", tool("b", needs("c", required=True)))
    answer = mesh.post("a-1", tool("a", needs("b")))

    assert answer["dependencies_resolved"]["do_a"][0]["status"] == "unresolved"


def test_a_provider_in_another_namespace_is_none() -> None:
    mesh = Mesh()
    mesh.post("b-1", tool("b"), namespace="prod")
    mesh.post("a-1", tool("a", needs("b", required=True)))
    assert mesh.availability("a-1") == {"a": "required dep 'b' unresolved"}

    mesh.post("a-1", tool("a", needs("b", required=True, namespace="prod")))
    assert mesh.availability("a-1") == {"a": ""}


def test_a_draining_instance_is_not_found() -> None:
    mesh = Mesh()
    mesh.post("b-1", tool("b"))
    mesh.post("a-1", tool("a", needs("b", required=True)))
    mesh.post("b-1", tool("b"), meshd={"draining": True})

    assert mesh.availability("b-1") == {"b": "agent draining"}
    assert mesh.availability("a-1") == {
        "a": "required dep 'b' unavailable (provider b-1 unavailable)"
    }


def test_a_required_cycle_is_rejected_and_the_first_stays() -> None:
    mesh = Mesh()
    mesh.post("x-1", tool("x", needs("y", required=True)))
    with pytest.raises(RegistrationRefused) as caught:
        mesh.post("y-1", tool("y", needs("x", required=True)))

    assert str(caught.value) == "required dependency cycle: y → x → y"
    assert [record.instance.id for record in mesh.registry.records()] == ["x-1"]


def test_a_later_heartbeat_is_checked_for_cycles_too() -> None:
    mesh = Mesh()
    mesh.post("x-1", tool("x", needs("y", required=True)))
    mesh.post("y-1", tool("y"))
    mesh.post("z-1", tool("z", needs("y", required=True), needs("x", required=True)))

    with pytest.raises(RegistrationRefused, match="y → z → y"):
        mesh.post("y-1", tool("y", needs("z", required=True)))
    assert mesh.availability("z-1") == {"z": ""}


def test_a_cycle_within_one_instance_is_rejected() -> None:
    with pytest.raises(RegistrationRefused, match="p → q → p"):
        Mesh().post(
            "a-1", tool("p", needs("q", required=True)), tool("q", needs("p", required=True))
        )


@pytest.mark.parametrize("required", [True, False])
def test_a_cycle_through_an_optional_edge_is_accepted(required: bool) -> None:
    mesh = Mesh()
    mesh.post("x-1", tool("x", needs("y", required=required)))
    mesh.post("y-1", tool("y", needs("x", required=not required)))

    assert (mesh.availability("x-1"), mesh.availability("y-1")) == ({"x": ""}, {"y": ""})


def test_a_version_that_needs_an_older_one_of_itself_is_no_cycle() -> None:
    mesh = Mesh()
    mesh.post("old-1", tool("c", version="1.0.0"))
    mesh.post("new-1", tool("c", needs("c", required=True, version="<2"), version="2.0.0"))

    assert mesh.availability("new-1") == {"c": ""}


def test_tools_that_could_only_serve_each_other_are_closed_and_name_the_cycle() -> None:
    offers = Offers()
    bodies = [
        body("x-1", tool("x", needs("y", required=True))),
        body("y-1", tool("y")),
        body("z-1", tool("z", needs("x", required=True))),
    ]
    for each in bodies:
        offers.put(read(each).instance)
    assert offers.get("z-1", "do_z").provider.available

    offers.put(read(body("y-1", tool("y", needs("z", required=True)))).instance)

    assert {
        name: offers.get(f"{name}-1", f"do_{name}").provider.unavailable_reason for name in "xyz"
    } == {
        "x": "required dependency evaluation cycle at 'y'",
        "y": "required dependency evaluation cycle at 'z'",
        "z": "required dependency evaluation cycle at 'x'",
    }


@pytest.mark.timeout(30)  # seconds, on a machine that does other work
def test_a_long_chain_needs_no_recursion() -> None:
    mesh = Mesh()
    for number in range(3000):
        mesh.post(f"a-{number}", tool(f"c{number}", needs(f"c{number + 1}", required=True)))
    mesh.post("a-3000", tool("c3000"))
    assert mesh.availability("a-0") == {"c0": ""}
    mesh.delete("a-3000")

    assert mesh.availability("a-0") == {
        "c0": "required dep 'c1' unavailable (provider a-1 unavailable)"
    }
