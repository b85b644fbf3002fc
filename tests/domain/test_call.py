"""The nearest level's setting holds, and keeps the place that set it."""

from meshd.diagnostics.model import Span
from meshd.domain.call import BUILT_IN, nearest
from meshd.domain.spec import CallSettings

NEED = Span("a.yaml", 3, 1, 5)
TOOL = Span("b.yaml", 7, 1, 5)


def test_the_nearest_level_wins() -> None:
    need = CallSettings(timeout_seconds=3.0, origins={"timeout_seconds": NEED})
    tool = CallSettings(timeout_seconds=60.0, origins={"timeout_seconds": TOOL})
    folded = nearest(need, tool, BUILT_IN)
    assert folded.timeout_seconds == 3.0
    assert folded.at("timeout_seconds") == NEED


def test_what_a_level_does_not_say_comes_from_the_next() -> None:
    tool = CallSettings(timeout_seconds=60.0, origins={"timeout_seconds": TOOL})
    folded = nearest(CallSettings(), tool, BUILT_IN)
    assert folded.timeout_seconds == 60.0
    assert folded.at("timeout_seconds") == TOOL


def test_the_built_in_values_come_last() -> None:
    assert nearest(CallSettings(), BUILT_IN) == BUILT_IN
    assert nearest() == CallSettings()
