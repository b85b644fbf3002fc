"""What MCP Mesh's agents learn from heartbeats, step by step."""

import pytest

from meshd.domain.instance import Status
from meshd.errors import RegistryFull, StaleIncarnation
from meshd.registry.registered import Limits
from tests.registry.meshes import Mesh, needs, tool

UNRESOLVED = {"agent_id": "", "endpoint": "", "function_name": "", "status": "unresolved"}


def provider(identity: str, capability: str, **more: object) -> dict[str, object]:
    return {
        "agent_id": identity,
        "capability": capability,
        "endpoint": "http://10.0.0.7:8080",
        "function_name": f"do_{capability}",
        "status": "available",
        **more,
    }


def test_a_first_registration_is_answered_in_full() -> None:
    mesh = Mesh()
    mesh.post("b-1", tool("b", kwargs={"stream_type": "text"}))

    assert mesh.post(
        "a-1",
        tool("a", needs("x"), needs("b"), needs("x", tags=["t"]), needs("b", version=">=2")),
        tool("lone"),
    ) == {
        "status": "success",
        "timestamp": "2026-01-01T00:00:00Z",
        "message": "Agent registered via heartbeat",
        "agent_id": "a-1",
        "dependencies_resolved": {
            "do_a": [
                {**UNRESOLVED, "capability": "x"},
                provider("b-1", "b", kwargs={"stream_type": "text"}),
                {**UNRESOLVED, "capability": "x"},
                {**UNRESOLVED, "capability": "b"},
            ]
        },
        "llm_tools": {},
        "llm_providers": {},
    }


def test_an_instance_of_meshd_learns_all_upstreams_best_first() -> None:
    mesh = Mesh()
    mesh.post("b-2", tool("b"), name="b")
    mesh.post("b-1", tool("b", version="2.0.0"), name="better")

    answer = mesh.post("a-1", tool("a", needs("b")), meshd={"incarnation": 7})

    assert answer["meshd"] == {
        "revision": 4,
        "incarnation": 7,
        "interval_seconds": 5.0,
        "upstreams": {
            "do_a": [
                [
                    provider("b-1", "b", agent="better", rank=0),
                    provider("b-2", "b", agent="b", rank=1),
                ]
            ]
        },
    }
    assert answer["dependencies_resolved"] == {"do_a": [provider("b-1", "b")]}


def test_an_instance_of_meshd_learns_whose_instance_an_upstream_is() -> None:
    mesh = Mesh()
    mesh.post("prod--b-1", tool("b"), name="b", namespace="prod")
    answer = mesh.post("a-1", tool("a", needs("b", namespace="prod")), meshd={})
    assert answer["meshd"]["upstreams"]["do_a"] == [
        [provider("prod--b-1", "b", agent="prod/b", rank=0)]
    ]


def test_a_known_agent_is_updated_and_keeps_its_time_of_birth() -> None:
    mesh = Mesh()
    mesh.post("a-1", tool("a"))
    born = mesh.record("a-1").created_at
    mesh.wait(7)

    assert mesh.post("a-1", tool("a2"))["message"] == "Agent updated via heartbeat"
    assert mesh.availability("a-1") == {"a2": ""}
    assert (mesh.record("a-1").created_at, mesh.record("a-1").last_seen) == (born, mesh.now.wall)


def test_a_heartbeat_without_tools_only_renews() -> None:
    mesh = Mesh()
    mesh.post("a-1", tool("a"))
    mesh.wait(3)
    answer = mesh.post("a-1", tools=None)

    assert answer["status"] == "success"
    assert mesh.availability("a-1") == {"a": ""}
    assert mesh.record("a-1").last_seen == mesh.now.wall


def test_an_empty_list_of_tools_takes_them_all_back() -> None:
    mesh = Mesh()
    mesh.post("a-1", tool("a"))
    mesh.post("a-1")

    assert mesh.availability("a-1") == {}


def test_an_unknown_agent_has_to_register() -> None:
    assert Mesh().head("a-1") == "unknown"


def test_a_quick_heartbeat_moves_the_time_and_the_deadline() -> None:
    mesh = Mesh()
    mesh.post("a-1", tool("a"))
    mesh.wait(10)
    assert mesh.head("a-1") == "unchanged"
    mesh.wait(10)
    mesh.registry.expire(mesh.now)

    assert mesh.head("a-1") == "unchanged"
    assert mesh.record("a-1").last_seen == mesh.now.wall


def test_only_who_is_wired_anew_hears_of_a_change_until_it_registers_again() -> None:
    mesh = Mesh()
    needing = tool("a", needs("b"))
    mesh.post("a-1", needing)
    mesh.post("other-1", tool("o", needs("z")))
    mesh.post("b-1", tool("b"))
    assert (mesh.head("a-1"), mesh.head("a-1"), mesh.head("other-1"), mesh.head("b-1")) == (
        "changed",
        "changed",
        "unchanged",
        "unchanged",
    )
    mesh.post("a-1", needing)
    assert mesh.head("a-1") == "unchanged"

    mesh.post("b-2", tool("b"))
    assert mesh.head("a-1") == "unchanged"
    mesh.delete("b-1")
    assert mesh.head("a-1") == "changed"
    mesh.post("b-1", tool("b"))
    assert mesh.head("a-1") == "unchanged"


@pytest.mark.parametrize(
    "changed",
    [
        tool("b", kwargs={"timeout": 5}),
        tool("b", name="renamed"),
        tool("b", tags=["t"], name="renamed"),
        tool("c"),
    ],
)
def test_a_change_of_the_providers_tool_is_a_change_of_wiring(changed: dict[str, object]) -> None:
    mesh = Mesh()
    mesh.post("b-1", tool("b"))
    mesh.post("a-1", tool("a", needs("b")))
    mesh.post("b-1", changed)

    assert mesh.head("a-1") == "changed"


def test_an_instance_of_meshd_hears_of_every_upstream() -> None:
    mesh = Mesh()
    mesh.post("b-1", tool("b"))
    mesh.post("a-1", tool("a", needs("b")), meshd={})
    mesh.post("b-2", tool("b"))

    assert mesh.head("a-1") == "changed"


def test_a_change_behind_a_required_dependency_reaches_the_consumer() -> None:
    mesh = Mesh()
    mesh.post("c-1", tool("c"))
    mesh.post("b-1", tool("b", needs("c", required=True)))
    mesh.post("a-1", tool("a", needs("b")))
    mesh.delete("c-1")

    assert mesh.head("a-1") == "changed"


def test_a_lapsed_lease_makes_unhealthy_until_a_full_heartbeat() -> None:
    mesh = Mesh()
    mesh.post("a-1", tool("a"))
    seen = mesh.record("a-1").last_seen
    mesh.wait(15.9)
    mesh.registry.expire(mesh.now)
    assert mesh.record("a-1").instance.status is Status.HEALTHY
    mesh.wait(0.1)
    mesh.registry.expire(mesh.now)
    mesh.registry.expire(mesh.now)

    assert mesh.head("a-1") == "unknown"
    assert mesh.record("a-1").instance.status is Status.UNHEALTHY
    assert mesh.record("a-1").last_seen == seen
    assert mesh.post("a-1", tool("a"))["message"] == "Agent updated via heartbeat"
    assert mesh.record("a-1").instance.status is Status.HEALTHY
    assert mesh.events() == [
        ("register", "a-1", "first_heartbeat"),
        ("unhealthy", "a-1", "health_degradation"),
        ("recovered", "a-1", "recovery"),
    ]


def test_an_instance_that_is_gone_is_forgotten_after_a_while() -> None:
    mesh = Mesh()
    mesh.post("a-1", tool("a", needs("b"), needs("b", tags=["x"])))
    mesh.die("a-1")
    mesh.wait(59)
    mesh.registry.expire(mesh.now)
    assert [record.instance.id for record in mesh.registry.records()] == ["a-1"]
    mesh.wait(1)
    mesh.registry.expire(mesh.now)

    assert list(mesh.registry.records()) == []


def test_deregistering_is_idempotent_and_takes_the_provider_away() -> None:
    mesh = Mesh()
    mesh.post("b-1", tool("b"))
    mesh.post("a-1", tool("a", needs("b")))
    mesh.delete("unknown-1")
    mesh.delete("b-1")
    mesh.delete("b-1")
    mesh.registry.settle(mesh.now)

    assert mesh.listed("b-1")["status"] == "unhealthy"
    assert mesh.head("b-1") == "unknown"
    assert mesh.events() == [
        ("register", "b-1", "first_heartbeat"),
        ("register", "a-1", "first_heartbeat"),
        ("resolved", "a-1", "provider_found"),
        ("unregister", "b-1", "graceful_shutdown"),
        ("unresolved", "a-1", "provider_lost"),
    ]


def test_a_provider_that_gives_way_to_another_is_an_event_and_an_equal_heartbeat_is_none() -> None:
    mesh = Mesh()
    mesh.post("b-1", tool("b"))
    mesh.post("b-2", tool("b"))
    mesh.post("a-1", tool("a", needs("b", version=">=1", tags=[["x", "-y"]])))
    mesh.post("a-1", tool("a", needs("b")))
    mesh.delete("b-1")
    mesh.registry.settle(mesh.now)
    count = len(mesh.events())
    mesh.post("a-1", tool("a", needs("b")))

    assert mesh.events()[2:] == [
        ("register", "a-1", "first_heartbeat"),
        ("unresolved", "a-1", "no_provider"),
        ("update", "a-1", "registration_changed"),
        ("resolved", "a-1", "provider_found"),
        ("unregister", "b-1", "graceful_shutdown"),
        ("resolved", "a-1", "provider_changed"),
    ]
    assert len(mesh.events()) == count
    latest = next(iter(mesh.registry.events()))
    assert latest.details["prior_chosen"]["agent_id"] == "b-1"
    assert latest.details["chosen"] == {
        "agent_id": "b-2",
        "endpoint": "http://10.0.0.7:8080",
        "function_name": "do_b",
    }


def test_a_resolution_event_names_the_stages_and_who_fell_out() -> None:
    mesh = Mesh()
    mesh.post("b-1", tool("b"))
    mesh.post("a-1", tool("a", needs("b", tags=["t"])))

    details = next(iter(mesh.registry.events())).details
    assert [stage["stage"] for stage in details["stages"]] == [
        "health",
        "capability_match",
        "namespace",
        "tags",
        "version",
        "tiebreaker",
    ]
    assert details["stages"][3] == {
        "stage": "tags",
        "kept": [],
        "evicted": [{"id": "b-1.do_b", "reason": "MissingTag", "details": {"missing": ("t",)}}],
    }


def test_events_are_bounded_and_the_oldest_go() -> None:
    mesh = Mesh(limits=Limits(events=2))
    for name in ("a", "b", "c"):
        mesh.post(f"{name}-1", tool(name))

    assert [instance for _, instance, _ in mesh.events()] == ["b-1", "c-1"]


def test_an_older_start_of_an_instance_is_refused_while_a_newer_one_lives() -> None:
    mesh = Mesh()
    mesh.post("a-1", tool("a"), meshd={"incarnation": 2})
    with pytest.raises(StaleIncarnation):
        mesh.post("a-1", tool("a"), meshd={"incarnation": 1})
    with pytest.raises(StaleIncarnation):
        mesh.post("a-1", tool("a"))
    with pytest.raises(StaleIncarnation):
        mesh.delete("a-1", 1)
    assert (mesh.head("a-1", 1), mesh.head("a-1", 2)) == ("unknown", "unchanged")

    mesh.delete("a-1", 2)
    assert mesh.post("a-1", tool("a"))["status"] == "success"


def test_draining_lasts_until_the_end_of_the_incarnation() -> None:
    mesh = Mesh()
    needing = tool("a", needs("b"))
    mesh.post("b-1", tool("b"), meshd={"incarnation": 1})
    mesh.post("a-1", needing)
    for _ in range(2):
        mesh.post("b-1", tool("b"), meshd={"incarnation": 1, "draining": True})

    assert (mesh.head("a-1"), mesh.head("b-1", 1)) == ("changed", "unchanged")
    assert mesh.post("a-1", needing)["dependencies_resolved"] == {
        "do_a": [{**UNRESOLVED, "capability": "b"}]
    }
    for _ in range(5):
        mesh.wait(10)
        assert (mesh.head("a-1"), mesh.head("b-1", 1)) == ("unchanged", "unchanged")
        mesh.registry.expire(mesh.now)
    assert mesh.listed("b-1")["status"] == "draining"
    mesh.post("b-1", tool("b"), meshd={"incarnation": 1})
    assert mesh.listed("b-1")["status"] == "draining"

    mesh.post("b-1", tool("b"), meshd={"incarnation": 2})
    assert mesh.listed("b-1")["status"] == "healthy"
    assert mesh.head("a-1") == "changed"
    assert [each for each in mesh.events() if each[0] == "update"] == [
        ("update", "b-1", "draining"),
        ("update", "b-1", "registration_changed"),
    ]


def test_a_draining_instance_leaves_for_good_or_lapses() -> None:
    mesh = Mesh()
    for name in ("b-1", "b-2"):
        mesh.post(name, tool("b"), meshd={"incarnation": 1, "draining": True})
    mesh.delete("b-1", 1)
    mesh.die("b-2")

    assert [mesh.listed(name)["status"] for name in ("b-1", "b-2")] == ["unhealthy"] * 2


def test_who_restarts_elsewhere_is_news_and_its_past_is_none() -> None:
    mesh = Mesh()
    needing = tool("a", needs("b"))
    mesh.post("b-1", tool("b"), meshd={"incarnation": 1})
    mesh.post("a-1", needing)
    mesh.post("a-2", needing, meshd={})
    mesh.post("b-1", tool("b"), http_port=9090, meshd={"incarnation": 2})
    assert (mesh.head("a-1"), mesh.head("a-2")) == ("changed", "changed")
    moved = {**provider("b-1", "b"), "endpoint": "http://10.0.0.7:9090"}
    assert mesh.post("a-1", needing)["dependencies_resolved"] == {"do_a": [moved]}
    answer = mesh.post("a-2", needing, meshd={})
    assert answer["meshd"]["upstreams"] == {"do_a": [[{**moved, "agent": "b-1", "rank": 0}]]}

    before = mesh.listed("b-1"), mesh.record("b-1").lease, mesh.events()
    mesh.wait(1)
    assert mesh.head("b-1", 1) == "unknown"
    with pytest.raises(StaleIncarnation):
        mesh.delete("b-1", 1)
    with pytest.raises(StaleIncarnation):
        mesh.post("b-1", tool("b"), meshd={"incarnation": 1})
    assert (mesh.listed("b-1"), mesh.record("b-1").lease, mesh.events()) == before
    assert (mesh.head("a-1"), mesh.head("a-2")) == ("unchanged", "unchanged")


def test_a_start_that_is_not_registered_yet_does_not_live_on_the_lease_of_the_last() -> None:
    mesh = Mesh()
    mesh.post("b-1", tool("b"), meshd={"incarnation": 1})
    lease = mesh.record("b-1").lease
    mesh.wait(1)

    assert mesh.head("b-1", 2) == "unknown"
    assert mesh.record("b-1").lease == lease


def test_an_instance_names_its_own_interval() -> None:
    mesh = Mesh()
    slow = {"interval_seconds": 20}
    answer = mesh.post("slow-1", tool("a"), meshd=slow)
    mesh.post("fast-1", tool("a"), meshd={"interval_seconds": 1})
    mesh.post("usual-1", tool("a"))
    assert answer["meshd"]["interval_seconds"] == 20.0
    assert mesh.listed("slow-1")["meshd"] == {"incarnation": 0, "lease_seconds": 61.0}
    assert "meshd" not in mesh.listed("usual-1")

    lapsed: list[tuple[int, str]] = []
    for second in range(1, 65):
        mesh.wait(1)
        mesh.registry.expire(mesh.now)
        lapsed += [
            (second, each.instance.id)
            for each in mesh.registry.records()
            if each.gone_since == mesh.clock.seconds
        ]
    assert lapsed == [(4, "fast-1"), (16, "usual-1"), (61, "slow-1")]


def test_a_new_interval_counts_from_the_registration_that_says_it() -> None:
    mesh = Mesh()
    mesh.post("a-1", tool("a"), meshd={"interval_seconds": 60})
    mesh.post("a-1", tool("a"), meshd={"interval_seconds": 2})
    assert mesh.record("a-1").lease.expires_at == mesh.clock.seconds + 7
    assert mesh.post("a-1", tool("a"), meshd={})["meshd"]["interval_seconds"] == 5.0
    mesh.wait(6)
    mesh.head("a-1")
    assert mesh.record("a-1").lease.expires_at == mesh.clock.seconds + 16


def test_who_stood_still_is_withdrawn_once_and_back_once() -> None:
    mesh = Mesh()
    needing = tool("a", needs("b"))
    mesh.post("b-1", tool("b"), meshd={"incarnation": 1})
    mesh.post("a-1", needing)
    told: list[tuple[float, str]] = []

    def beat(seconds: int) -> None:
        """Let the consumer beat each second and register on every change."""
        for _ in range(seconds):
            mesh.wait(1)
            mesh.registry.expire(mesh.now)
            mesh.registry.settle(mesh.now)
            if mesh.head("a-1") == "changed":
                [entry] = mesh.post("a-1", needing)["dependencies_resolved"]["do_a"]
                told.append((mesh.clock.seconds - 1000, entry["status"]))

    beat(30)
    assert mesh.head("b-1", 1) == "unknown"
    mesh.post("b-1", tool("b"), meshd={"incarnation": 1})
    beat(10)
    mesh.post("b-1", tool("b"), meshd={"incarnation": 1})

    assert told == [(16.0, "unresolved"), (31.0, "available")]
    assert mesh.events()[2:] == [
        ("resolved", "a-1", "provider_found"),
        ("unhealthy", "b-1", "health_degradation"),
        ("unresolved", "a-1", "provider_lost"),
        ("recovered", "b-1", "recovery"),
        ("resolved", "a-1", "provider_found"),
    ]


def test_an_instance_leaves_for_the_reason_that_is_given() -> None:
    mesh = Mesh()
    mesh.post("b-1", tool("b"), meshd={"incarnation": 1})
    mesh.delete("b-1", 1, reason="process_died")
    mesh.delete("b-1", 1, reason="process_died")

    assert mesh.events()[1:] == [("unregister", "b-1", "process_died")]


def test_namespaces_keep_apart_and_are_crossed_by_name_only() -> None:
    mesh = Mesh()
    mesh.post("b-1", tool("b"), namespace="dev")
    answers = [
        mesh.post("a-1", tool("a", needs("b"))),
        mesh.post("a-2", tool("a", needs("b")), namespace="dev"),
        mesh.post("a-3", tool("a", needs("b", namespace="dev"))),
    ]

    assert [each["dependencies_resolved"]["do_a"][0]["agent_id"] for each in answers] == [
        "",
        "b-1",
        "b-1",
    ]


def test_equal_providers_go_by_the_id_of_the_instance() -> None:
    mesh = Mesh()
    mesh.post("b-9", tool("b"), name="alpha")
    mesh.post("b-1", tool("b"), name="zeta")

    found = mesh.post("a-1", tool("a", needs("b")))["dependencies_resolved"]["do_a"][0]
    assert found["agent_id"] == "b-1"


def test_an_agent_may_serve_itself() -> None:
    answer = Mesh().post("a-1", tool("a", needs("b")), tool("b"))

    assert answer["dependencies_resolved"]["do_a"] == [provider("a-1", "b")]


def test_a_full_registry_makes_room_by_those_that_are_gone_and_then_refuses() -> None:
    mesh = Mesh(limits=Limits(instances=2))
    mesh.post("a-1", tool("a"))
    mesh.post("b-1", tool("b"))
    with pytest.raises(RegistryFull):
        mesh.post("c-1", tool("c"))
    assert mesh.post("a-1", tool("a"))["status"] == "success"

    mesh.delete("b-1")
    mesh.post("c-1", tool("c"))
    assert [record.instance.id for record in mesh.registry.records()] == ["a-1", "c-1"]


def test_the_memory_of_registrations_is_bounded() -> None:
    mesh = Mesh(limits=Limits(total_bytes=700))
    mesh.post("a-1", tool("a"))
    mesh.delete("a-1")
    mesh.post("b-1", tool("b"))
    with pytest.raises(RegistryFull):
        mesh.post("b-1", tool("b", kwargs={"long": "x" * 700}))

    assert mesh.availability("b-1") == {"b": ""}
    # Nobody is forgotten in vain.
    assert [record.instance.id for record in mesh.registry.records()] == ["a-1", "b-1"]
    mesh.post("b-1", tool("b", kwargs={"long": "x" * 500}))
    assert [record.instance.id for record in mesh.registry.records()] == ["b-1"]


def test_tools_without_capability_are_found_by_nobody_and_may_have_needs() -> None:
    mesh = Mesh()
    mesh.post("b-1", tool("b"))
    answer = mesh.post("a-1", tool("", needs("b", required=True), name="plain"), meshd={})

    assert answer["dependencies_resolved"] == {"plain": [provider("b-1", "b")]}
    assert mesh.listed("a-1")["capabilities"] == []


def test_the_list_shows_an_instance_as_mcp_mesh_does() -> None:
    mesh = Mesh()
    mesh.post("b-1", tool("b"))
    mesh.post(
        "a-1",
        tool("a", needs("b", tags=["-x", ["+y", "-z"]]), needs("c", tags=["t"]), description="d"),
        name="a",
        description="does a",
        version="3.1.0",
    )
    mesh.wait(1)
    mesh.head("a-1")

    assert mesh.listed("a-1") == {
        "id": "a-1",
        "name": "a",
        "agent_type": "mcp_agent",
        "runtime": "python",
        "version": "3.1.0",
        "description": "does a",
        "namespace": "default",
        "a2a_producer": False,
        "a2a_consumer": False,
        "status": "healthy",
        "endpoint": "http://10.0.0.7:8080",
        "created_at": "2026-01-01T00:00:00Z",
        "last_seen": "2026-01-01T00:00:01Z",
        "total_dependencies": 2,
        "dependencies_resolved": 0,
        "capabilities": [
            {
                "name": "a",
                "version": "1.0.0",
                "function_name": "do_a",
                "tags": [],
                "description": "d",
                "available": True,
            }
        ],
        "dependency_resolutions": [
            {
                "function_name": "do_a",
                "capability": "b",
                "tags": ["-x", ["+y", "-z"]],
                "status": "unresolved",
            },
            {"function_name": "do_a", "capability": "c", "tags": ["t"], "status": "unresolved"},
        ],
        "llm_tool_resolutions": [],
        "llm_provider_resolutions": [],
    }


def test_what_an_instance_resolved_is_unavailable_when_it_is_gone() -> None:
    mesh = Mesh()
    mesh.post("b-1", tool("b"))
    mesh.post("a-1", tool("a", needs("b")))
    assert mesh.listed("a-1")["dependencies_resolved"] == 1
    mesh.delete("a-1")

    assert mesh.listed("a-1")["dependencies_resolved"] == 0
    assert mesh.listed("a-1")["dependency_resolutions"] == [
        {
            "function_name": "do_a",
            "capability": "b",
            "mcp_tool": "do_b",
            "provider_agent_id": "b-1",
            "endpoint": "http://10.0.0.7:8080",
            "status": "unavailable",
        }
    ]


def test_an_instance_of_meshd_learns_which_upstreams_are_equally_good() -> None:
    mesh = Mesh()
    mesh.post("b-1", tool("b", tags=["eu"], version="1.1.0"))
    mesh.post("b-2", tool("b", tags=["eu"]))
    mesh.post("b-3", tool("b", tags=["eu"]))
    mesh.post("b-4", tool("b", tags=["eu", "fast"]))
    answer = mesh.post("a-1", tool("a", needs("b", tags=["eu", "+fast"])), meshd={})
    [[upstreams]] = answer["meshd"]["upstreams"].values()
    assert [(each["agent_id"], each["rank"]) for each in upstreams] == [
        ("b-4", 0),
        ("b-1", 1),
        ("b-2", 2),
        ("b-3", 2),
    ]
