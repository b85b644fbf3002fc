"""Versions and constraints mean what they mean to the registry of MCP Mesh."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.domain.version import (
    MAX_LENGTH,
    compare_versions,
    constraint_problem,
    parse_constraint,
    parse_version,
    version_satisfies,
)

# constraint, versions that it admits, versions that it does not
CONSTRAINTS: list[tuple[str, str, str]] = [
    ("", "1.2.3 0.0.0 1.0.0-beta latest", ""),
    # bare and `=`: exact where all three numbers are given, else the numbers that are
    ("1.2.3", "1.2.3 v1.2.3 1.2.3+build", "1.2.4 1.2.2 1.2.3-beta"),
    ("v1.2.3", "1.2.3", "1.2.4"),
    ("=1.2.3", "1.2.3", "1.2.4"),
    ("1.2", "1.2.0 1.2.9", "1.1.9 1.3.0 1.2.0-beta"),
    ("=1.2", "1.2.0 1.2.9", "1.3.0"),
    ("1", "1.0.0 1.9.9", "0.9.9 2.0.0"),
    ("1.2.3-beta", "1.2.3-beta", "1.2.3 1.2.3-beta.1"),
    # wildcards
    ("*", "0.0.0 1.2.3 99.0.0", "1.2.3-beta"),
    ("x", "0.0.0 1.2.3", "1.0.0-rc.1"),
    ("X", "0.0.0 1.2.3", "1.0.0-rc.1"),
    ("1.x", "1.0.0 1.9.0", "2.0.0 0.9.0"),
    ("1.2.X", "1.2.0 1.2.9", "1.3.0"),
    ("1.2.*", "1.2.0 1.2.9", "1.3.0"),
    ("*-0", "1.2.3 1.2.3-beta", ""),
    # comparisons; a partial version stands for its whole range
    (">1.2.3", "1.2.4 2.0.0", "1.2.3 1.2.2 1.3.0-beta"),
    (">1.2", "1.3.0 2.0.0", "1.2.0 1.2.9 0.9.0"),
    (">1", "2.0.0", "1.0.0 1.9.9"),
    (">*", "0.0.1 1.0.0", "0.0.0"),
    (">=1.2", "1.2.0 1.2.9 2.0.0", "1.1.9 2.0.0-beta"),
    ("=>1.2.3", "1.2.3 1.2.4", "1.2.2"),
    ("<1.2", "1.1.9 0.0.0", "1.2.0 1.2.3"),
    ("<=1.2.3", "1.2.3 1.2.2", "1.2.4"),
    ("=<1.2.3", "1.2.3 1.2.2", "1.2.4"),
    ("<=1.2", "1.2.9 1.1.0 0.5.0", "1.3.0 2.0.0"),
    ("<=1", "1.9.9 0.1.0", "2.0.0"),
    ("!=1.2.3", "1.2.4 2.0.0", "1.2.3 1.2.4-beta"),
    ("!=1.2", "1.3.0 2.2.0", "1.2.0 1.2.9"),
    ("!=1.x", "2.0.0", "1.0.0 1.9.9"),
    ("!=1.2-alpha", "1.2.0 1.2.0-beta", "1.2.0-alpha 1.2.1-alpha"),
    ("!=*", "1.0.0", "0.0.0"),
    # tilde
    ("~1.2.3", "1.2.3 1.2.9", "1.2.2 1.3.0"),
    ("~>1.2.3", "1.2.9", "1.3.0"),
    ("~1.2", "1.2.0 1.2.9", "1.3.0"),
    ("~1", "1.0.0 1.9.9", "2.0.0"),
    ("~0.0.0", "0.0.0 1.2.3", ""),
    ("~1.2.3-beta.2", "1.2.3-beta.4 1.2.3 1.2.4-beta.1", "1.2.3-beta.1 1.3.0"),
    # caret
    ("^1.2.3", "1.2.3 1.9.0", "1.2.2 2.0.0 1.3.0-beta"),
    ("^1.2", "1.2.0 1.9.0", "2.0.0"),
    ("^1", "1.0.0 1.9.9", "2.0.0"),
    ("^0.2.3", "0.2.3 0.2.9", "0.3.0 0.2.2 1.0.0"),
    ("^0.2", "0.2.0 0.2.9", "0.3.0"),
    ("^0.0.3", "0.0.3", "0.0.4 0.0.2"),
    ("^0.0", "0.0.0 0.0.9", "0.1.0 1.0.0"),
    ("^0", "0.0.0 0.9.9", "1.0.0"),
    ("^*", "0.0.0", "0.0.1 1.0.0"),
    ("^1.2.0-alpha.0", "1.2.0-alpha.1 1.2.1-beta 1.3.0", "2.0.0"),
    # and, or, hyphen ranges
    (">=1.2,<2", "1.2.0 1.9.9", "1.1.9 2.0.0"),
    (">= 1.2 < 2 != 1.5.0", "1.4.0", "1.5.0 2.0.0"),
    ("  >=1.2 ,  <2  ", "1.5.0", "2.0.0"),
    ("^1.2 || ^3", "1.2.0 3.9.0", "2.0.0 4.0.0"),
    ("1.2 - 3.4.5", "1.2.0 3.4.5", "1.1.9 3.4.6"),
    ("1.2.0 - 3.4", "3.4.9", "3.5.0"),
    ("1 - 2, !=1.5.0 || 7", "1.0.0 2.9.9 7.1.0", "1.5.0 3.0.0"),
    # one prerelease in a group opens the group, not its alternatives
    (">=1.0.0 <=2.0.0-beta || >3", "1.0.1-beta 4.0.0", "4.1.0-beta 2.0.0 3.1.0"),
]


@pytest.mark.parametrize(("constraint", "admitted", "refused"), CONSTRAINTS)
def test_constraints(constraint: str, admitted: str, refused: str) -> None:
    versions = [*admitted.split(), *refused.split()]
    found = {version: version_satisfies(version, constraint) for version in versions}
    assert found == {version: version in admitted.split() for version in versions}


@pytest.mark.parametrize(
    "text",
    [
        "latest", ">= bar", "bar >= 1.2.3", "1.2.3.4", "1.2.3~ 1.2.4", "1.2.3-beta.01", "1.2,,1.3",
        ",1.2", "1.2,", "1.2 ||", "|| 1.2", "> = 1", "==1.2", "1.2xx", "1x", "~~1", ">=1.2<2",
        "1 -2", " ", ">", "\u0661.2", "99999999999999999999", "1" * (MAX_LENGTH + 1),
    ],
)  # fmt: skip
def test_what_is_no_constraint_matches_its_own_text_only(text: str) -> None:
    assert parse_constraint(text) is None
    assert constraint_problem(text)
    assert version_satisfies(text, text)
    assert not version_satisfies("1.2.0", text)


@pytest.mark.parametrize("text", ["", ">=1.2,<2", "1.x", "1.2 - 3 || ^5"])
def test_a_constraint_has_no_problem(text: str) -> None:
    assert constraint_problem(text) is None


@pytest.mark.parametrize(
    "text",
    ["", "v", "garbage", "1.2.3.4", "1..2", "1.2.3-", "1.2.3-01", "1.2.3+", "1.2.3\n", "-1.0.0",
     "18446744073709551616", "1" * 5000],
)  # fmt: skip
def test_texts_that_are_no_versions(text: str) -> None:
    assert parse_version(text) is None


@pytest.mark.parametrize("constraint", [">=1.0.0", "*"])
def test_a_provider_without_version_satisfies_no_constraint(constraint: str) -> None:
    assert not version_satisfies("", constraint)


ASCENDING = [
    "", "a-garbage", "garbage", "0.1.0", "1.0.0-1", "1.0.0-9", "1.0.0-10", "1.0.0-alpha",
    "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0", "1.2", "1.10.0", "v2.0.0",
]  # fmt: skip


def test_versions_are_ordered() -> None:
    for i, a in enumerate(ASCENDING):
        for j, b in enumerate(ASCENDING):
            assert compare_versions(a, b) == (i > j) - (i < j), (a, b)


@pytest.mark.parametrize(
    ("a", "b"), [("1.2", "1.2.0"), ("v1.0.0", "1.0.0"), ("1.0.0+a", "1.0.0+b"), ("x.y", "x.y")]
)
def test_equal_versions(a: str, b: str) -> None:
    assert compare_versions(a, b) == 0


def version_text(major: int, minor: int, patch: int, suffix: str) -> str:
    return f"{major}.{minor}.{patch}{suffix}"


numbers = st.integers(0, 12)
suffixes = st.sampled_from(["", "", "-alpha", "-alpha.1", "-2"])
versions = st.builds(version_text, numbers, numbers, numbers, suffixes)


@given(versions, versions)
def test_comparisons_agree_with_the_order(version: str, wanted: str) -> None:
    order = compare_versions(version, wanted)
    for operator, holds in [
        (">", order > 0), ("<", order < 0), (">=", order >= 0), ("<=", order <= 0),
        ("=", order == 0), ("!=", order != 0),
    ]:  # fmt: skip
        expected = holds and ("-" not in version or "-" in wanted)
        assert version_satisfies(version, f"{operator}{wanted}") == expected


@given(versions, versions)
def test_caret_and_tilde_admit_themselves_and_nothing_older(version: str, wanted: str) -> None:
    for operator in "^~":
        assert version_satisfies(wanted, operator + wanted)
        if compare_versions(version, wanted) < 0:
            assert not version_satisfies(version, operator + wanted)


@given(st.text(max_size=40) | st.from_regex(re.compile(r"[0-9xX*.|,<>=~^! v-]{0,300}\Z")))
def test_any_text_is_read_or_refused(text: str) -> None:
    assert version_satisfies("1.2.3", text) in {True, False}
    assert compare_versions(text, text) == 0
