"""What the registry says becomes upstreams, once, and patiently."""

import asyncio
import operator
import random
from dataclasses import replace
from typing import Any

import pytest

from meshd.domain.call import BUILT_IN
from meshd.domain.signature import Mode
from meshd.domain.spec import CallSettings, JsonValue, NeedSpec, ToolSpec
from meshd.plan.model import AgentPlan, Binding, ToolPlan, binding_id
from meshd.runtime.agent import Parts, RunningAgent
from meshd.runtime.client import McpClient
from meshd.runtime.edge import Edge
from meshd.runtime.heartbeat import Callbacks, Heartbeat, RegistryState
from meshd.runtime.membership import PATIENCE_INTERVALS, EdgeState, Membership
from meshd.runtime.registration import Answer, Identity, Slot, UpstreamRef, digest_of
from meshd.runtime.registry_client import Standing
from meshd.runtime.upstreams import HttpUpstream, InProcessUpstream, Traits
from meshd.runtime.workers import Workers
from tests.runtime.fakes import FakeBody, FakeClock, settle
from tests.runtime.servers import free_endpoint, plain, result_of, serving

SLOT: Slot = ("tool", "other")
INTERVAL = 5.0


def running(name: str, clock: FakeClock) -> RunningAgent:
    need = NeedSpec(parameter="other", capability="c.thing")
    body = FakeBody(_double, Mode.ASYNC)
    plan = AgentPlan(
        name=name,
        tools=(
            ToolPlan(
                spec=ToolSpec(
                    callable="m:tool",
                    name="tool",
                    capability="c.thing",
                    needs=(need,),
                    call=CallSettings(timeout_seconds=9.0),
                ),
                signature=body.signature,
            ),
        ),
    )
    binding = Binding(
        id=binding_id(name, "tool", "other"),
        consumer=name,
        tool="tool",
        parameter="other",
        need=need,
        call=BUILT_IN,
    )
    edges = {SLOT: Edge(binding, None, _as_it_is, clock, settle_seconds=5)}
    return RunningAgent(plan, f"{name}-1", Parts(bodies={"tool": body}), edges, Workers())


async def _double(**arguments: Any) -> Any:
    arguments.pop("other", None)
    return arguments


def _as_it_is(value: Any, _: str) -> JsonValue:
    return value


def ref(instance: str, endpoint: str = "http://h:1", tool: str = "tool") -> UpstreamRef:
    agent = instance.rpartition("-")[0]
    return UpstreamRef(
        instance=instance, agent=agent, endpoint=endpoint, tool=tool, kwargs={"timeout": 4}
    )


def answer(*providers: UpstreamRef, forgotten: bool = False) -> Answer:
    wiring = {SLOT: providers}
    return Answer(wiring, digest_of(wiring), is_meshd=True, was_forgotten=forgotten)


class Member:
    """A membership under test."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.agent = running("here", self.clock)
        self.other = running("beside", self.clock)
        self.told: list[tuple[EdgeState, ...]] = []
        self.client = McpClient()
        identity = Identity(
            instance="here-1", incarnation=1, endpoint="http://h:9", interval_seconds=INTERVAL
        )
        local = {"here-1": self.agent, "beside-1": self.other}
        self.membership = Membership(
            self.agent, identity, self.client, local, self.told.append, self.clock
        )

    @property
    def upstreams(self) -> tuple[Any, ...]:
        return self.agent.edges[SLOT].upstreams


@pytest.fixture
async def member() -> Member:
    return Member()


async def test_before_the_first_word_a_need_waits(member: Member) -> None:
    [state] = member.membership.edges()
    assert (state.status, state.providers) == ("waiting", ())


async def test_providers_elsewhere_are_called_over_http(member: Member) -> None:
    assert member.membership.apply(answer(ref("far-1"), ref("far-2", "http://h:2")))
    assert [type(one) for one in member.upstreams] == [HttpUpstream, HttpUpstream]
    assert [one.provider for one in member.upstreams] == ["far.tool", "far.tool"]
    assert member.upstreams[0].traits.call == CallSettings(timeout_seconds=4)
    [[state]] = member.told
    assert (state.status, state.providers) == (
        "resolved",
        (ref("far-1"), ref("far-2", "http://h:2")),
    )


async def test_a_provider_in_the_process_is_called_directly_and_so_is_the_agent_itself(
    member: Member,
) -> None:
    member.membership.apply(answer(ref("beside-1"), ref("here-1")))
    beside, itself = member.upstreams
    assert isinstance(beside, InProcessUpstream)
    assert beside.provider == "beside.tool"
    assert itself.provider == "here.tool"
    assert beside.traits.call == CallSettings(timeout_seconds=9.0)


async def test_an_earlier_start_of_a_neighbour_with_other_tools_is_called_over_http(
    member: Member,
) -> None:
    member.membership.apply(answer(ref("beside-1", tool="gone")))
    assert isinstance(member.upstreams[0], HttpUpstream)


async def test_what_says_the_same_touches_nothing(member: Member) -> None:
    member.membership.apply(answer(ref("far-1")))
    before = member.upstreams
    assert member.membership.apply(answer(ref("far-1")))
    assert all(map(operator.is_, member.upstreams, before))
    assert len(member.told) == 1


async def test_what_is_gone_is_unwired(member: Member) -> None:
    member.membership.apply(answer(ref("far-1")))
    assert member.membership.apply(answer())
    assert member.upstreams == ()
    assert [state.status for [state] in member.told] == ["resolved", "unresolved"]


async def test_a_registry_that_forgot_everybody_is_given_time(member: Member) -> None:
    member.membership.apply(answer(ref("far-1")))
    assert not member.membership.apply(answer(forgotten=True))
    assert [one.provider for one in member.upstreams] == ["far.tool"]
    member.clock.seconds += PATIENCE_INTERVALS * INTERVAL - 0.1
    assert not member.membership.apply(answer())
    member.clock.seconds += 0.2
    assert member.membership.apply(answer())
    assert member.upstreams == ()


async def test_what_it_knows_by_then_holds_at_once(member: Member) -> None:
    member.membership.apply(answer(ref("far-1")))
    member.membership.apply(answer(forgotten=True))
    assert member.membership.apply(answer(ref("near-1")))
    assert [one.provider for one in member.upstreams] == ["near.tool"]


async def test_it_says_who_it_is(member: Member) -> None:
    body = member.membership.describe()
    assert body["agent_id"] == "here-1"
    assert body["tools"][0]["capability"] == "c.thing"
    read = member.membership.read({"dependencies_resolved": {}})
    assert read.wiring == {SLOT: ()}


class ForgetfulRegistry:
    """A registry that begins anew: it knows who has come back, and nobody else."""

    url = "http://registry"

    def __init__(self) -> None:
        self.providers: list[dict[str, Any]] = []
        self.knows_who_asks = False
        self.posts = 0

    async def beat(self, instance: str, incarnation: int) -> Standing:
        return "unchanged" if self.knows_who_asks else "unknown"

    async def register(self, body: dict[str, Any]) -> Any:
        self.posts += 1
        self.knows_who_asks = True
        return {"meshd": {"upstreams": {"tool": [list(self.providers)]}}}

    async def leave(self, instance: str, incarnation: int, reason: str = "") -> None: ...


FAR: dict[str, Any] = {
    "agent_id": "far-1",
    "agent": "far",
    "endpoint": "http://h:1",
    "function_name": "tool",
    "status": "available",
}


async def beaten(member: Member, registry: ForgetfulRegistry) -> asyncio.Task[None]:
    one = member.membership

    def ignore(_: RegistryState) -> None: ...

    callbacks = Callbacks(one.describe, one.read, one.apply, ignore)
    rng = random.Random(1)  # noqa: S311  (no secret depends on it)
    beat = Heartbeat(one.identity, registry, callbacks, member.clock, rng)
    task = asyncio.ensure_future(beat.run())
    await settle()
    return task


@pytest.mark.parametrize("comes_back", [True, False])
async def test_a_registry_that_begins_anew_unwires_nobody_who_comes_back(
    member: Member, comes_back: bool
) -> None:
    registry = ForgetfulRegistry()
    registry.providers = [FAR]
    task = await beaten(member, registry)
    assert [one.provider for one in member.upstreams] == ["far.tool"]

    registry.providers, registry.knows_who_asks = [], False
    await member.clock.pass_by(6)
    assert [one.provider for one in member.upstreams] == ["far.tool"]
    asked = registry.posts
    if comes_back:
        registry.providers = [FAR]
    await member.clock.pass_by(12)
    assert registry.posts > asked
    assert bool(member.upstreams) is comes_back
    assert len(member.told) == (1 if comes_back else 2)

    # From here on short heartbeats are enough again.
    asked = registry.posts
    await member.clock.pass_by(30)
    assert registry.posts == asked
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_upstreams_of_both_kinds_answer(member: Member) -> None:
    async def handler(request: Any) -> Any:
        return plain(result_of(await request.json(), structuredContent={"a": 2}))

    async with serving(handler) as url, member.client:
        member.membership.apply(answer(ref("far-1", url), ref("beside-1")))
        elsewhere, beside = member.upstreams
        assert await elsewhere.call({"a": 1}) == {"a": 2}
        # That one has a need of the same kind that nothing has been said about.
        member.other.edges[SLOT].wire(())
        assert await beside.call({"a": 1}) == {"a": 1}


async def test_a_provider_that_is_gone_gives_way_to_the_next(member: Member) -> None:
    member.other.edges[SLOT].wire(())
    async with member.client:
        member.membership.apply(answer(ref("far-1", free_endpoint()), ref("beside-1")))
        assert await member.agent.edges[SLOT].call({"a": 1}) == {"a": 1}


def with_kwargs(provider: UpstreamRef, **more: Any) -> UpstreamRef:
    return replace(provider, kwargs={**provider.kwargs, **more})


async def test_how_a_provider_is_called_is_what_the_registry_says_of_it(member: Member) -> None:
    own = {"idempotent": True, "read_only": True}
    elsewhere = with_kwargs(ref("far-1"), auth_required=True, streaming=True, meshd=own)
    member.membership.apply(answer(elsewhere, replace(ref("beside-1"), rank=2)))
    far, beside = member.upstreams
    assert far.traits == Traits(
        tier=0,
        call=CallSettings(timeout_seconds=4, streaming=True),
        idempotent=True,
        read_only=True,
        auth_required=True,
    )
    assert beside.traits == Traits(tier=-2, call=CallSettings(timeout_seconds=9.0))


async def test_an_upstream_stays_the_same_one_when_the_wiring_changes(member: Member) -> None:
    member.membership.apply(answer(ref("far-1"), ref("beside-1")))
    before = [one.key for one in member.upstreams]
    member.membership.apply(answer(ref("beside-1"), with_kwargs(ref("far-1"), timeout=7)))
    assert [one.key for one in member.upstreams] == before[::-1]
    # The same instance elsewhere is another one.
    member.membership.apply(answer(ref("beside-1"), ref("far-1", "http://h:2")))
    assert [one.key for one in member.upstreams][1] != before[0]
