"""The trace of a resolution explains every candidate, and depends on nothing but its input."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from meshd.domain.resolve import (
    Evicted,
    Match,
    OtherCapability,
    OtherNamespace,
    Provider,
    Stage,
    Trace,
    Unavailable,
    VersionConstraintFailed,
    Want,
    reasons_against,
    resolve,
)
from meshd.domain.spec import NeedSpec
from meshd.domain.tags import ExtraTagDisallowed, MissingTag, Policy, WantedTags


def test_every_candidate_is_explained() -> None:
    best = Provider(agent="w", tool="t", capability="c", version="1.4.0", tags=("fast", "metric"))
    older = replace(best, agent="a", version="1.3.0")
    twin = replace(best, agent="x")
    slower = replace(best, agent="b", tags=("metric",), version="1.9.0")
    lost = [
        replace(best, agent="down", available=False, unavailable_reason="its lease lapsed"),
        replace(best, agent="else", capability="d"),
        replace(best, agent="far", namespace="prod"),
        replace(best, agent="beta", tags=("metric", "beta")),
        replace(best, agent="bare", tags=()),
        replace(best, agent="old", version="1.1.0"),
    ]
    want = Want(capability="c", version=">=1.2,<2", tags=("metric", "+fast", "-beta"))
    trace = resolve([*lost, twin, slower, older, best], want)
    ranked = ("w.t", "x.t", "a.t", "b.t")
    in_stage = ("a.t", "b.t", "bare.t", "beta.t", "else.t", "prod/far.t", "old.t", "w.t", "x.t")
    assert trace == Trace(
        want,
        (
            Match(best, 15),
            Match(twin, 15, behind="name"),
            Match(older, 15, behind="version"),
            Match(slower, 5, behind="score"),
        ),
        (
            Stage("health", in_stage, (Evicted("down.t", Unavailable("its lease lapsed")),)),
            Stage(
                "capability",
                tuple(i for i in in_stage if i != "else.t"),
                (Evicted("else.t", OtherCapability("d")),),
            ),
            Stage(
                "namespace",
                ("a.t", "b.t", "bare.t", "beta.t", "old.t", "w.t", "x.t"),
                (Evicted("prod/far.t", OtherNamespace("prod")),),
            ),
            Stage(
                "tags",
                ("a.t", "b.t", "old.t", "w.t", "x.t"),
                (
                    Evicted("bare.t", MissingTag(missing=("metric",))),
                    Evicted("beta.t", ExtraTagDisallowed(("beta",))),
                ),
            ),
            Stage(
                "version",
                ("a.t", "b.t", "w.t", "x.t"),
                (Evicted("old.t", VersionConstraintFailed("1.1.0", ">=1.2,<2")),),
            ),
            Stage("order", ranked),
        ),
    )
    assert trace.winner == best


def test_a_group_without_a_member_is_named() -> None:
    lone = Provider(agent="a", tool="t", capability="c")
    want = Want(capability="c", tags=(("p", "+q", "-z"),))
    assert reasons_against(lone, want) == (MissingTag(missing_one_of=("p", "q")),)


def test_no_namespace_means_any() -> None:
    far = Provider(agent="a", namespace="prod", tool="t", capability="c")
    assert resolve([far], Want(capability="c")).winner is None
    assert resolve([far], Want(capability="c", namespace=None)).winner == far


def test_instances_are_told_apart() -> None:
    one = Provider(agent="a", instance="a-1", tool="t", capability="c")
    two = replace(one, instance="a-2")
    assert resolve([two, one], Want(capability="c")).stages[-1] == Stage(
        "order", ("a-1.t", "a-2.t")
    )


def test_a_policy_weighs_tags() -> None:
    plain = Provider(agent="a", tool="t", capability="c", tags=("x",))
    preferred = Provider(agent="b", tool="t", capability="c", tags=("y",))
    want = Want(capability="c", tags=(("x", "z"), "+y"))
    both = [plain, replace(preferred, tags=("y", "z"))]
    scores = {m.provider.agent: m.score for m in resolve(both, want, Policy(7, 1)).matches}
    assert scores == {"a": 7, "b": 8}


def test_a_want_is_made_from_a_need() -> None:
    need = NeedSpec(
        parameter="w", capability="c", namespace="prod", version="^1", tags=("a", ("b", "c"))
    )
    assert Want.of(need) == Want(
        capability="c", namespace="prod", version="^1", tags=("a", ("b", "c"))
    )


tag_names = st.sampled_from(["fast", "beta", "metric"])
wanted_tag = st.builds(str.__add__, st.sampled_from(["", "+", "-"]), tag_names)
wanted_tags = st.lists(wanted_tag | st.lists(wanted_tag, max_size=3).map(tuple), max_size=3).map(
    tuple
)


def make_provider(agent: str, capability: str, version: str, tags: list[str], up: bool) -> Provider:
    return Provider(
        agent=agent,
        tool="t",
        capability=capability,
        version=version,
        tags=tuple(tags),
        available=up,
    )


def make_want(version: str, tags: WantedTags) -> Want:
    return Want(capability="c", version=version, tags=tags)


candidates = st.lists(
    st.builds(
        make_provider,
        st.sampled_from("abcdef"),
        st.sampled_from(["c", "c", "d"]),
        st.sampled_from(["", "1.0.0", "1.2.0", "2.0.0", "garbage"]),
        st.lists(tag_names, max_size=3),
        st.booleans(),
    ),
    max_size=6,
)
wants = st.builds(make_want, st.sampled_from(["", "^1", ">=1.1", "garbage"]), wanted_tags)


@given(candidates, wants, st.randoms(use_true_random=False))
def test_the_order_of_candidates_does_not_matter(
    providers: list[Provider], want: Want, random: st.DataObject
) -> None:
    shuffled = providers[:]
    random.shuffle(shuffled)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    assert resolve(shuffled, want) == resolve(providers, want)


@given(candidates, wants)
def test_resolving_the_matches_again_changes_nothing(providers: list[Provider], want: Want) -> None:
    matches = resolve(providers, want).matches
    assert resolve([match.provider for match in matches], want).matches == matches


@given(candidates, wants)
def test_each_candidate_is_a_match_or_evicted_once(providers: list[Provider], want: Want) -> None:
    trace = resolve(providers, want)
    evicted = [evicted.id for stage in trace.stages for evicted in stage.evicted]
    matched = [match.provider.id for match in trace.matches]
    assert sorted([*evicted, *matched]) == sorted(provider.id for provider in providers)


@given(candidates, wants)
def test_what_is_excluded_never_wins(providers: list[Provider], want: Want) -> None:
    groups = [(tag,) if isinstance(tag, str) else tag for tag in want.tags]
    excluded = {tag[1:] for group in groups for tag in group if tag[0] == "-"}
    for match in resolve(providers, want).matches:
        assert not excluded.intersection(match.provider.tags)
        assert match.provider.available


@given(candidates, wants, candidates)
def test_providers_that_do_not_fit_change_no_match(
    providers: list[Provider], want: Want, others: list[Provider]
) -> None:
    misfits = [other for other in others if reasons_against(other, want)]
    assert resolve([*misfits, *providers], want).matches == resolve(providers, want).matches
