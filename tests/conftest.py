"""What every test gets: a time limit that fits its tier, and the same examples on each run."""

import pytest
from hypothesis import settings

TIMEOUT_SECONDS = {"e2e": 60, "conformance": 180, "soak": 3600}

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=5000)
settings.load_profile("repeatable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give a slow tier its time limit where the test sets none; the others keep the default."""
    for item in items:
        if item.get_closest_marker("timeout"):
            continue
        limits = [limit for tier, limit in TIMEOUT_SECONDS.items() if item.get_closest_marker(tier)]
        if limits:
            item.add_marker(pytest.mark.timeout(max(limits)))
