"""What every test gets: a time limit that fits its tier, and the same examples on each run."""

from collections.abc import Generator

import pytest
from hypothesis import settings

TIMEOUT_SECONDS = {"e2e": 60, "conformance": 180, "soak": 3600}

HYPOTHESIS_SECONDS = 30

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=5000)
settings.load_profile("repeatable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give a slow tier its time limit where the test sets none; the others keep the default."""
    for item in items:
        if item.get_closest_marker("timeout"):
            continue
        limits = [limit for tier, limit in TIMEOUT_SECONDS.items() if item.get_closest_marker(tier)]
        # The first of them builds Hypothesis's tables of Unicode, which takes seconds.
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            limits.append(HYPOTHESIS_SECONDS)
        if limits:
            item.add_marker(pytest.mark.timeout(max(limits)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let reports be sent between processes: captured logs may hold halves of characters."""
    report = yield
    report.sections = [(title, _sendable(text)) for title, text in report.sections]
    return report


def _sendable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()
