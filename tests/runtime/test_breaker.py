"""When an upstream is left alone and when it is tried again, as tables of what happens."""

import pytest

from meshd.runtime.breaker import RESTART_PATIENCE, Breaker

Step = tuple[float, str, str]
"""At which second something happens, what, and the state after it; `-` asks for no more."""


def after(breaker: Breaker, now: float, event: str, probes: list[bool]) -> None:
    match event:
        case "begin":
            assert breaker.admits(now)
            probes.append(breaker.begin())
        case "denied":
            assert not breaker.admits(now)
        case "failed":
            breaker.failed(now, began=now, was_probe=probes.pop() if probes else False)
        case "refused":
            breaker.refused(now, was_probe=probes.pop() if probes else False)
        case "answered":
            breaker.succeeded()
            probes.clear()
        case "cancelled":
            breaker.end(was_probe=probes.pop())
        case "hope":
            breaker.hope(now)
        case _:
            assert event == "-"


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(
            [(0, "failed", "closed"), (1, "failed", "closed"), (2, "failed", "open")],
            id="failures in a row open it",
        ),
        pytest.param(
            [
                (0, "failed", "closed"),
                (1, "failed", "closed"),
                (2, "answered", "closed"),
                (3, "failed", "closed"),
                (4, "failed", "closed"),
                (5, "failed", "open"),
            ],
            id="an answer between them begins anew",
        ),
        pytest.param(
            [
                *((n, "failed", "-") for n in range(3)),
                (11.9, "denied", "open"),
                (12, "begin", "half-open"),
                (12, "denied", "half-open"),
                (13, "answered", "closed"),
                (13, "failed", "closed"),
            ],
            id="one call finds out, and closes it",
        ),
        pytest.param(
            [
                *((n, "failed", "-") for n in range(3)),
                (12, "begin", "half-open"),
                (13, "failed", "open"),
                (22.9, "denied", "open"),
                (23, "begin", "half-open"),
            ],
            id="or opens it again",
        ),
        pytest.param(
            [
                *((n, "failed", "-") for n in range(3)),
                (12, "begin", "half-open"),
                (13, "cancelled", "half-open"),
                (13, "begin", "half-open"),
            ],
            id="one that was cancelled found nothing out",
        ),
        pytest.param(
            [
                (0, "refused", "open"),
                (0.09, "denied", "open"),
                (0.1, "begin", "half-open"),
                (0.1, "refused", "open"),
                (0.29, "denied", "open"),
                (0.31, "begin", "half-open"),
                (0.31, "refused", "open"),
                (0.72, "begin", "half-open"),
                (0.72, "refused", "open"),
                (1.53, "begin", "half-open"),
                (1.53, "refused", "open"),
                # From here on it is a second, while it may be a restart.
                (2.52, "denied", "open"),
                (2.54, "begin", "half-open"),
                (2.54, "answered", "closed"),
                (3, "refused", "open"),
                (3.1, "begin", "half-open"),
            ],
            id="refused connects open it for a moment, longer each time",
        ),
        pytest.param(
            [
                (0, "refused", "open"),
                (9.9, "begin", "half-open"),
                (9.9, "refused", "open"),
                (10.1, "begin", "half-open"),
                (10.1, "refused", "open"),
                (10.4, "denied", "open"),
                (10.5, "begin", "half-open"),
                (10.5, "refused", "open"),
                (11.3, "begin", "half-open"),
                (11.3, "refused", "open"),
                (12.8, "denied", "open"),
                (12.9, "begin", "half-open"),
            ],
            id="an old outage is asked after less and less",
        ),
        pytest.param(
            [
                (0, "refused", "open"),
                (0.1, "begin", "half-open"),
                (0.1, "refused", "open"),
                (0.15, "hope", "half-open"),
                (0.15, "begin", "half-open"),
                (0.15, "refused", "open"),
            ],
            id="where something has changed it is tried at once",
        ),
        pytest.param(
            [
                *((n, "failed", "-") for n in range(3)),
                (3, "hope", "open"),
                (4, "refused", "open"),
                (11.9, "denied", "open"),
            ],
            id="but not if it failed",
        ),
    ],
)
def test_states(steps: list[Step]) -> None:
    breaker, probes = Breaker(failures_max=3, open_seconds=10.0), list[bool]()
    for number, (now, event, state) in enumerate(steps):
        after(breaker, now, event, probes)
        if state != "-":
            assert (number, breaker.state(now)) == (number, state)


def test_calls_that_break_together_are_one_failure() -> None:
    breaker = Breaker(failures_max=2, open_seconds=10.0)
    for began in (1.0, 2.0, 3.0):
        breaker.failed(4.0, began=began)
    assert (breaker.failures, breaker.is_closed) == (1, True)
    breaker.failed(5.0, began=4.5)
    assert breaker.state(5.0) == "open"
    assert breaker.opened == 1


def test_what_is_refused_is_restarting_for_a_while_and_what_fails_is_not() -> None:
    breaker = Breaker(failures_max=1, open_seconds=10.0)
    assert not breaker.is_restarting(0.0)
    breaker.refused(5.0)
    assert breaker.is_restarting(5.0 + RESTART_PATIENCE - 0.1)
    assert not breaker.is_restarting(5.0 + RESTART_PATIENCE)
    assert not breaker.is_failing
    breaker.succeeded()
    breaker.failed(30.0, began=29.0)
    assert breaker.is_failing
    assert not breaker.is_restarting(30.0)
    assert breaker.next_chance() == 40.0
