"""What comes near a need is said in plain sentences, the nearest first."""

import pytest

from meshd.domain.misses import KnownNames, nearest_misses, one_edit_apart
from meshd.domain.resolve import Provider, Want
from meshd.domain.tags import WantedTags

WEATHER = Provider(
    agent="weather",
    tool="get",
    capability="weather.forecast",
    version="1.4.0",
    tags=("slow", "beta"),
)


@pytest.mark.parametrize(
    ("version", "tags", "expected"),
    [
        (">=2", (), "fails `>=2`"),
        ("", ("fast",), "lacks tag `fast`"),
        ("", ("fast", "cheap"), "lacks tags `fast`, `cheap`"),
        ("", (("fast", "cheap"),), "lacks all of the tags `fast`, `cheap`"),
        ("", (("fast",),), "lacks tag `fast`"),
        ("", (("-gone",),), "cannot match a group that names no tag to have"),
        ("", ("-beta",), "has the excluded tag `beta`"),
        ("", ("-beta", "-slow"), "has the excluded tags `beta`, `slow`"),
        ("^2", ("fast",), "lacks tag `fast` and fails `^2`"),
    ],
)
def test_a_provider_of_the_capability(version: str, tags: WantedTags, expected: str) -> None:
    want = Want(capability="weather.forecast", version=version, tags=tags)
    assert nearest_misses([WEATHER], want) == (f"`weather.forecast` 1.4.0 of `weather` {expected}",)


def test_another_namespace_an_outage_and_no_version() -> None:
    far = Provider(agent="w", namespace="prod", tool="t", capability="c", version="1.0.0")
    down = Provider(
        agent="d", tool="t", capability="c", available=False, unavailable_reason="its lease lapsed"
    )
    mute = Provider(agent="m", tool="t", capability="c", available=False)
    assert nearest_misses([far, down, mute], Want(capability="c", version="^1")) == (
        "`c` 1.0.0 of `prod/w` is in namespace `prod`, not `default`",
        "`c` of `d` is unavailable: its lease lapsed and has no version for `^1`",
        "`c` of `m` is unavailable and has no version for `^1`",
    )


def test_a_similar_name_is_suggested_only_where_nobody_has_the_name_itself() -> None:
    want = Want(capability="weather.forecats", version=">=9")
    assert nearest_misses([WEATHER], want) == (
        "`weather.forecats` is one edit away from `weather.forecast` (agent `weather`)",
    )
    other = Provider(agent="o", tool="t", capability="weather.forecats", version="1.0.0")
    assert nearest_misses([WEATHER, other], want) == (
        "`weather.forecats` 1.0.0 of `o` fails `>=9`",
    )


def test_a_name_further_away_resembles_and_many_agents_are_counted() -> None:
    providers = [
        Provider(agent=agent, tool="t", capability="weather.forecast") for agent in "edcba"
    ]
    assert nearest_misses(providers, Want(capability="wether.forcast")) == (
        "`wether.forcast` resembles `weather.forecast` (agents `a`, `b`, `c` and 2 more)",
    )


def test_nothing_near_is_nothing() -> None:
    assert nearest_misses([WEATHER], Want(capability="billing")) == ()
    assert nearest_misses([], Want(capability="billing")) == ()
    assert nearest_misses([WEATHER], Want(capability="weather.forecast")) == ()


def test_many_misses_are_counted_and_the_nearest_come_first() -> None:
    providers = [
        Provider(agent=f"a{n}", tool="t", capability="c", version="1.0.0", tags=("x",) * (n > 3))
        for n in range(8)
    ]
    misses = nearest_misses(providers, Want(capability="c", version="^2", tags=("x",)))
    assert misses == (
        *(f"`c` 1.0.0 of `a{n}` fails `^2`" for n in range(4, 8)),
        "4 more providers do not fit",
    )


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("abc", "abc", False), ("abc", "abd", True), ("abc", "ab", True), ("ab", "abc", True),
        ("abc", "acb", True), ("abc", "cab", False), ("abc", "bc", True), ("abc", "a", False),
        ("abcd", "badc", False), ("", "a", True), ("abc", "xbd", False), ("abc", "bd", False),
    ],
)  # fmt: skip
def test_one_edit_apart(a: str, b: str, expected: bool) -> None:
    assert one_edit_apart(a, b) == expected
    assert one_edit_apart(b, a) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("weather.forecats", "weather.forecast"),
        ("Weather.Forecast", "weather.forecast"),
        ("wether.forecast", "weather.forecast"),
        ("forecast", "weather.forecast"),
        ("billing", None),
        ("service.number7", "service.number-7"),
    ],
)
def test_the_closest_of_many_names(word: str, expected: str | None) -> None:
    names = KnownNames(["weather.forecast", *(f"service.number-{n}" for n in range(100))])
    assert names.closest(word) == expected


def test_no_names_are_close_to_nothing() -> None:
    assert KnownNames([]).closest("a") is None
