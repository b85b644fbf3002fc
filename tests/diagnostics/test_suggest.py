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
