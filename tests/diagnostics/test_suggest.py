import pytest

from meshd.diagnostics.suggest import closest


@pytest.mark.parametrize(
    ("word", "candidates", "expected"),
    [
        ("replica", ["replicas", "process"], "replicas"),
        ("Agnet", ["Mesh", "Agent"], "Agent"),
        ("AGENT", ["Mesh", "Agent"], "Agent"),
        ("capabillity", ["capability"], "capability"),
        ("zzz", ["replicas"], None),
        ("a", [], None),
        ("", ["a"], None),
    ],
)
def test_the_nearest_name(word: str, candidates: list[str], expected: str | None) -> None:
    assert closest(word, candidates) == expected


def test_very_many_names_are_not_all_compared() -> None:
    names = [f"a{number}" for number in range(5000)] + ["plan_trip"]
    assert closest("plan_trp", names) == "plan_trip"
    assert closest("xlan_trip", names) is None
