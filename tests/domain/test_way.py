"""The way that a call takes, as a table."""

import pytest

from meshd.domain.way import Reach, Way, way_to


@pytest.mark.parametrize(
    ("reach", "way", "is_direct", "reason"),
    [
        (
            Reach(),
            Way.HTTP,
            False,
            "the provider runs in another process and is called over HTTP",
        ),
        (
            Reach(scheme="https"),
            Way.HTTP,
            False,
            "the provider runs in another process and is called over HTTPS",
        ),
        (
            # Another replica of the same agent.
            Reach(is_same_agent=True),
            Way.HTTP,
            False,
            "the provider runs in another process and is called over HTTP",
        ),
        (
            Reach(is_same_agent=True, is_same_process=True),
            Way.SELF,
            True,
            "the agent provides what it needs itself",
        ),
        (
            Reach(is_same_agent=True, is_same_process=True, is_streaming=True),
            Way.SELF,
            True,
            "the agent provides what it needs itself; chunks are handed over one by one",
        ),
        (Reach(is_same_process=True), Way.IN_PROCESS, True, "both agents share one process"),
        (
            Reach(is_same_process=True, is_streaming=True),
            Way.IN_PROCESS,
            True,
            "both agents share one process; chunks are handed over one by one",
        ),
        (
            Reach(is_streaming=True),
            Way.STREAM,
            False,
            "`streaming` is on: chunks come as events over HTTP",
        ),
        (
            Reach(is_streaming=True, scheme="https"),
            Way.STREAM,
            False,
            "`streaming` is on: chunks come as events over HTTPS",
        ),
        *(
            (
                Reach(
                    has_session=True,
                    is_same_agent=is_same,
                    is_same_process=is_same,
                    is_streaming=is_streaming,
                ),
                Way.SESSION,
                False,
                "calls with a session key go to the instance that owns it",
            )
            for is_same in (False, True)
            for is_streaming in (False, True)
        ),
    ],
)
def test_ways(reach: Reach, way: Way, is_direct: bool, reason: str) -> None:
    decision = way_to(reach)
    assert (decision.way, decision.is_direct, decision.reason) == (way, is_direct, reason)
