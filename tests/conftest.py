"""What every test gets: a time limit that fits its tier, and the same examples on each run."""

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
