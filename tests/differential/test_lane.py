"""The fast lane answers what FastMCP answers: over 11,000 requests, the same on each run.

`python -m tests.differential --cases 200000 --seed 7` is the longer run.
"""

from collections.abc import Generator

import pytest
from hypothesis import given, settings

from tests.differential.apps import Apps, two_apps
from tests.differential.each import each
from tests.differential.requests import QUIETLY, calls
from tests.differential.wire import Request

CASES = 8_000
"""Beside those that ask for every odd thing once."""
SHOWN = 5


@pytest.fixture(scope="module")
def apps() -> Generator[Apps, None, None]:
    with two_apps() as made:
        yield made


@pytest.mark.timeout(120)
def test_it_answers_every_odd_request_alike(apps: Apps) -> None:
    found = [f"{text}\n\n{one}" for one in each() if (text := apps.difference(one))]
    assert not found, "\n\n---\n".join([f"{len(found)} differences", *found[:SHOWN]])


@pytest.mark.timeout(240)
def test_it_answers_what_fastmcp_answers(apps: Apps) -> None:
    before = apps.asked, apps.by_lane

    @settings(QUIETLY, max_examples=CASES // 2)
    @given(calls(apps.signatures))
    def ask(requests: tuple[Request, ...]) -> None:
        for request in requests:
            text = apps.difference(request)
            assert not text, f"{text}\n\n{request}"

    ask()
    asked, by_lane = apps.asked - before[0], apps.by_lane - before[1]
    assert asked >= CASES
    # Otherwise FastMCP is compared with itself.
    assert by_lane > asked / 2
