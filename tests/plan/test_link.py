"""The linker binds each need to the tools that serve it, and explains each that it cannot bind."""

from dataclasses import replace

import pytest

from meshd.diagnostics.codes import CODES
from meshd.diagnostics.model import Diagnostic, Related, Severity
from meshd.domain.call import BUILT_IN
from meshd.domain.resolve import OtherNamespace, VersionConstraintFailed
from meshd.domain.spec import AgentSpec, CallSettings, Hints, MeshSpec, SecretSpec
from meshd.plan.link import agent_graph, link
from meshd.plan.model import AgentPlan, Binding, Eviction, Plan, ProviderRef, ToolPlan
from meshd.plan.order import start_order
from tests.plan.meshes import SIGNATURE, agent, at, mesh, need, signatures, tool


def linked(spec: MeshSpec) -> tuple[Plan, tuple[Diagnostic, ...]]:
    return link(spec, signatures(spec))


def test_a_need_is_bound_to_all_that_serve_it_best_first() -> None:
    weather = need("weather", "weather.forecast", version=">=1", tags=("+fast",), timeout=3.0)
    plan_trip = tool("plan_trip", weather)
    get = tool("get", capability="weather.forecast", version="1.4.0", timeout=60.0)
    quick = tool(
        "quick", capability="weather.forecast", version="1.2.0", tags=("fast",), timeout=60.0
    )
    old = tool("old", capability="weather.forecast", version="0.9.0")
    spec = mesh(agent("planner", plan_trip), agent("weather", get, quick, old))
    assert linked(spec) == (
        Plan(
            mesh="trip",
            project_root="/project",
            agents=(
                AgentPlan(name="planner", tools=(ToolPlan(spec=plan_trip, signature=SIGNATURE),)),
                AgentPlan(
                    name="weather",
                    tools=tuple(ToolPlan(spec=t, signature=SIGNATURE) for t in (get, quick, old)),
                ),
            ),
            bindings=(
                Binding(
                    id="planner.plan_trip#weather",
                    consumer="planner",
                    tool="plan_trip",
                    parameter="weather",
                    need=weather,
                    providers=(
                        ProviderRef(
                            agent="weather",
                            namespace="default",
                            tool="quick",
                            capability="weather.forecast",
                            version="1.2.0",
                            tags=("fast",),
                            score=10,
                        ),
                        ProviderRef(
                            agent="weather",
                            namespace="default",
                            tool="get",
                            capability="weather.forecast",
                            version="1.4.0",
                        ),
                    ),
                    call=replace(BUILT_IN, timeout_seconds=3.0),
                    evicted=(
                        Eviction(
                            id="weather.old",
                            stage="version",
                            reason=VersionConstraintFailed("0.9.0", ">=1"),
                        ),
                    ),
                ),
            ),
        ),
        (),
    )


@pytest.mark.parametrize(
    ("of_need", "of_tool", "expected"), [(3.0, 60.0, 3.0), (None, 60.0, 60.0), (None, None, 30.0)]
)
def test_call_settings_of_the_need_win_over_those_of_the_provider(
    of_need: float | None, of_tool: float | None, expected: float
) -> None:
    spec = mesh(
        agent("a", tool("t", need("p", "c", timeout=of_need))),
        agent("b", tool("t", capability="c", timeout=of_tool)),
    )
    plan, _ = linked(spec)
    assert plan.bindings[0].call == replace(BUILT_IN, timeout_seconds=expected)


def test_a_required_need_that_nothing_provides() -> None:
    spec = mesh(
        agent("planner", tool("plan", need("w", "weather.forecats", 7))),
        agent("weather", tool("get", capability="weather.forecast", version="1.4.0", line=20)),
    )
    plan, found = linked(spec)
    assert found == (
        Diagnostic(
            code="M301",
            message="nothing provides `weather.forecats`, which `planner.plan` requires",
            span=at(7),
            label="no tool offers this capability",
            hint="did you mean `weather.forecast`?",
            related=(Related(at(20), "`weather.get` offers `weather.forecast` 1.4.0"),),
        ),
    )
    assert plan.bindings[0].status == "unresolved"
    assert plan.bindings[0].misses == (
        "`weather.forecats` is one edit away from `weather.forecast` (agent `weather`)",
    )


def test_providers_that_do_not_fit_are_the_hint() -> None:
    spec = mesh(
        agent("planner", tool("plan", need("w", "forecast", 7, version=">=2"))),
        agent("weather", tool("get", capability="forecast", version="1.4.0", line=20)),
        agent("other", tool("get", capability="forecast", version="2.0.0"), namespace="prod"),
    )
    plan, found = linked(spec)
    assert [(d.code, d.message, d.label, d.hint) for d in found] == [
        (
            "M301",
            "nothing provides `forecast` `>=2`, which `planner.plan` requires",
            "no tool that offers it fits",
            (
                "the nearest: "
                "`forecast` 2.0.0 of `prod/other` is in namespace `prod`, not `default`; "
                "`forecast` 1.4.0 of `weather` fails `>=2`"
            ),
        )
    ]
    assert plan.bindings[0].evicted == (
        Eviction(id="prod/other.get", stage="namespace", reason=OtherNamespace("prod")),
        Eviction(id="weather.get", stage="version", reason=VersionConstraintFailed("1.4.0", ">=2")),
    )


def test_an_optional_need_that_nothing_provides_is_a_warning() -> None:
    spec = mesh(agent("planner", tool("plan", need("w", "forecast", 7, required=False))))
    plan, found = linked(spec)
    assert found == (
        Diagnostic(
            code="M303",
            severity=Severity.WARNING,
            message="nothing provides `forecast`, so `planner.plan` receives None as `w`",
            span=at(7),
            label="no tool offers this capability",
            hint="let a tool offer `forecast`, or remove the need",
        ),
    )
    assert plan.bindings[0].providers == ()


def test_a_tool_without_capability_provides_nothing() -> None:
    spec = mesh(agent("a", tool("t", need("p", "c")), tool("c")))
    _, found = linked(spec)
    assert [(d.code, d.hint) for d in found] == [
        ("M301", "let a tool offer `c`, or make the need optional")
    ]


def test_needs_search_their_own_namespace() -> None:
    spec = mesh(
        agent("a", tool("t", need("p", "c", namespace="prod")), namespace="prod"),
        agent("b", tool("t", capability="c"), namespace="prod"),
        agent("b", tool("t", capability="c")),
    )
    plan, found = linked(spec)
    assert found == ()
    assert [(b.id, [p.id for p in b.providers]) for b in plan.bindings] == [
        ("prod/a.t#p", ["prod/b.t"])
    ]


def test_a_cycle_of_required_needs_shows_its_way_and_every_need() -> None:
    spec = mesh(
        agent("b", tool("y", need("p", "cz", 5), capability="cy")),
        agent("a", tool("x", need("p", "cy", 3), capability="cx")),
        agent(
            "c", tool("z", need("p", "cx", 9), need("q", "cy", 8, required=False), capability="cz")
        ),
    )
    _, found = linked(spec)
    assert found == (
        Diagnostic(
            code="M302",
            message="required needs form a cycle: `a.x → b.y → c.z → a.x`",
            span=at(3),
            label="`a.x` requires `cy`",
            hint="make one of these needs optional with `required: false`",
            related=(
                Related(at(5), "`b.y` requires `cz`"),
                Related(at(9), "`c.z` requires `cx`"),
            ),
        ),
    )


@pytest.mark.parametrize(("required", "codes"), [(True, ["M302"]), (False, [])])
def test_a_tool_may_serve_itself_only_where_it_can_do_without(
    required: bool, codes: list[str]
) -> None:
    spec = mesh(agent("a", tool("t", need("p", "c", required=required), capability="c")))
    plan, found = linked(spec)
    assert [d.code for d in found] == codes
    assert [p.id for p in plan.bindings[0].providers] == ["a.t"]


def test_an_optional_need_breaks_a_cycle_and_so_does_a_better_provider() -> None:
    optional = mesh(
        agent("a", tool("x", need("p", "cy"), capability="cx")),
        agent("b", tool("y", need("p", "cx", required=False), capability="cy")),
    )
    better = mesh(
        agent("a", tool("x", need("p", "cy"), capability="cx")),
        agent("b", tool("y", need("p", "cx"), capability="cy")),
        agent("c", tool("y", capability="cy", version="2.0.0")),
    )
    assert linked(optional)[1] == linked(better)[1] == ()


def test_two_knots_are_two_diagnostics_and_all_come_in_file_order() -> None:
    def pair(first: str, second: str, line: int) -> tuple[AgentSpec, AgentSpec]:
        return (
            agent(first, tool("t", need("p", f"c{second}", line), capability=f"c{first}")),
            agent(second, tool("t", need("p", f"c{first}", line + 1), capability=f"c{second}")),
        )

    lone = agent("f", tool("t", need("p", "nothing", 20)))
    spec = mesh(*pair("a", "b", 40), *pair("d", "e", 10), lone)
    _, found = linked(spec)
    assert [(d.code, d.span) for d in found] == [
        ("M302", at(10)),
        ("M301", at(20)),
        ("M302", at(40)),
    ]


def test_a_tool_that_did_not_load_still_provides_but_is_not_planned() -> None:
    spec = mesh(agent("a", tool("t", need("p", "c"))), agent("b", tool("u", capability="c")))
    plan, found = link(spec, {("a", "t"): SIGNATURE})
    assert found == ()
    assert [(a.key, [t.spec.name for t in a.tools]) for a in plan.agents] == [
        ("a", ["t"]),
        ("b", []),
    ]


def test_the_plan_does_not_depend_on_the_order_of_documents() -> None:
    agents = (
        agent("b", tool("t", need("p", "c"), need("o", "d", required=False))),
        agent("c", tool("t", capability="c")),
        agent("a", tool("t", capability="c"), tool("u", need("q", "c"))),
        agent("a", tool("t", capability="c"), namespace="x"),
    )
    plan, _ = linked(mesh(*agents))
    assert linked(mesh(*agents[::-1]))[0] == plan
    assert [a.key for a in plan.agents] == ["a", "b", "c", "x/a"]
    assert [b.id for b in plan.bindings] == ["a.u#q", "b.t#o", "b.t#p"]
    assert [b.id for b in plan.bindings_of("b", "t")] == ["b.t#o", "b.t#p"]


def test_agents_start_after_those_that_serve_them() -> None:
    spec = mesh(
        agent("a", tool("t", need("p", "cz"), need("q", "ca"), capability="ca")),
        agent("m", tool("t", capability="cm")),
        agent("z", tool("t", need("p", "cm"), capability="cz")),
    )
    plan, _ = linked(spec)
    assert agent_graph(plan) == {"a": {"z"}, "m": set(), "z": {"m"}}
    assert start_order(agent_graph(plan)) == ("m", "z", "a")


def test_every_code_of_wiring_has_a_meaning() -> None:
    assert {"M301", "M302", "M303"} <= set(CODES)


def long_chain(length: int) -> MeshSpec:
    tools = [
        tool(f"t{n}", need("p", f"c{(n + 1) % length}", n), capability=f"c{n}")
        for n in range(length)
    ]
    return mesh(*(agent(f"a{n}", *tools[n::100]) for n in range(100)))


@pytest.mark.timeout(30)
def test_a_cycle_through_ten_thousand_tools_is_found() -> None:
    _, found = linked(long_chain(10_000))
    assert [d.code for d in found] == ["M302"]
    assert found[0].message.startswith("required needs form a cycle: `a0.t0 → a1.t1 → ")
    assert found[0].message.endswith(" → a10.t10 → 9988 more → a99.t9999 → a0.t0`")


def test_the_plan_says_how_an_agent_runs() -> None:
    env = {"MODE": "prod", "KEY": SecretSpec(env="KEY", origin=at(3))}
    spec = AgentSpec(
        name="a",
        host="::1",
        port=8001,
        advertise="planner",
        replicas=2,
        process="trips",
        env=env,
        heartbeat_seconds=1.0,
    )
    plan, problems = linked(mesh(spec))
    assert problems == ()
    assert plan.agents == (
        AgentPlan(
            name="a",
            host="::1",
            port=8001,
            advertise="planner",
            replicas=2,
            process="trips",
            env=env,
            heartbeat_seconds=1.0,
        ),
    )


@pytest.mark.parametrize(
    ("call", "hints", "messages"),
    [
        (CallSettings(hedge_seconds=0.1), Hints(), ["`a.b` is never asked twice"]),
        (CallSettings(hedge_seconds=0.1), Hints(read_only=True), []),
        (
            CallSettings(retries_on=("lost", "busy")),
            Hints(),
            ["`a.b` is never tried again after it may have run"],
        ),
        (CallSettings(retries_on=("lost",)), Hints(idempotent=True), []),
        (CallSettings(retries_on=("busy",)), Hints(), []),
        (CallSettings(retries_max=3), Hints(), []),
    ],
)
def test_what_no_provider_allows_has_no_effect(
    call: CallSettings, hints: Hints, messages: list[str]
) -> None:
    wanting = replace(need("peer", "a.b"), call=call)
    offering = replace(tool("offer", capability="a.b"), hints=hints)
    spec = mesh(agent("one", tool("ask", wanting)), agent("two", offering))
    _, diagnostics = linked(spec)
    assert [one.message for one in diagnostics] == messages
    assert {one.severity for one in diagnostics} <= {Severity.WARNING}
