"""What follows on a failed attempt, as tables."""

import pytest

from meshd.domain.spec import RetryOn
from meshd.errors import (
    ArgumentsRejected,
    BreakerOpen,
    Busy,
    CallError,
    CallTimedOut,
    ConnectionLost,
    InputRequired,
    ResultRejected,
    TaskStarted,
    ToolFailed,
    Unauthorised,
    Unavailable,
    Unreachable,
)
from meshd.runtime.retry import Budget, Verdict, pause_seconds, verdict

ALL: tuple[RetryOn, ...] = ("lost", "timeout", "busy", "failed")


@pytest.mark.parametrize(
    ("kind", "kinds", "plain", "idempotent"),
    [
        (Unreachable, (), Verdict.ELSEWHERE, Verdict.ELSEWHERE),
        (Unavailable, (), Verdict.ELSEWHERE, Verdict.ELSEWHERE),
        (BreakerOpen, ALL, Verdict.ELSEWHERE, Verdict.ELSEWHERE),
        (Busy, ALL, Verdict.AGAIN, Verdict.AGAIN),
        (Busy, ("lost",), Verdict.END, Verdict.END),
        (ConnectionLost, ALL, Verdict.END, Verdict.AGAIN),
        (ConnectionLost, ("busy",), Verdict.END, Verdict.END),
        (CallTimedOut, ALL, Verdict.END, Verdict.AGAIN),
        (CallTimedOut, ("lost", "busy"), Verdict.END, Verdict.END),
        (ToolFailed, ALL, Verdict.END, Verdict.AGAIN),
        (ToolFailed, ("lost", "timeout", "busy"), Verdict.END, Verdict.END),
        *(
            (kind, ALL, Verdict.END, Verdict.END)
            for kind in (
                ArgumentsRejected,
                CallError,
                InputRequired,
                ResultRejected,
                TaskStarted,
                Unauthorised,
            )
        ),
    ],
)
def test_what_follows(
    kind: type[CallError], kinds: tuple[RetryOn, ...], plain: Verdict, idempotent: Verdict
) -> None:
    assert verdict(kind("x"), kinds, is_idempotent=False) is plain
    assert verdict(kind("x"), kinds, is_idempotent=True) is idempotent


def test_a_timeout_before_anything_ran_may_be_tried_again() -> None:
    error = CallTimedOut("it did not get its turn")
    error.executed = False
    assert verdict(error, ("timeout",), is_idempotent=False) is Verdict.AGAIN
    assert verdict(error, ("lost",), is_idempotent=False) is Verdict.END


def granted(budget: Budget, now: float, wanted: int) -> int:
    return sum(budget.spend(now) for _ in range(wanted))


def test_a_few_retries_a_second_are_free() -> None:
    budget = Budget(0.0)
    assert granted(budget, 0.0, 50) == 10
    assert granted(budget, 0.5, 50) == 5
    assert granted(budget, 100.0, 50) == 10


def test_beyond_them_they_are_a_share_of_the_calls() -> None:
    budget = Budget(0.2)
    assert granted(budget, 0.0, 50) == 10
    for _ in range(1_000):
        budget.called()
    assert granted(budget, 0.0, 500) == 200


def test_what_was_earned_long_ago_does_not_count() -> None:
    budget = Budget(0.2)
    granted(budget, 0.0, 10)
    for _ in range(1_000):
        budget.called()
    assert granted(budget, 5.0, 500) == 10 + 100
    for _ in range(1_000):
        budget.called()
    assert granted(budget, 15.0, 500) == 10


@pytest.mark.parametrize(
    ("retry", "chance", "expected"),
    [(1, 0.0, 0.05), (1, 1.0, 0.1), (2, 1.0, 0.2), (3, 0.5, 0.3), (9, 1.0, 5.0), (999, 1.0, 5.0)],
)
def test_pauses_grow_and_vary(retry: int, chance: float, expected: float) -> None:
    assert pause_seconds(retry, 0.1, chance) == pytest.approx(expected)
