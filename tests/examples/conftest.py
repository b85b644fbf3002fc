"""Makes the code of the sample mesh and of the examples importable, as `python.path` does."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="package", autouse=True)
def import_roots() -> Iterator[None]:
    """Put every import root of the manifests on Python's path, for these tests only."""
    before = list(sys.path)
    sys.path[:0] = [
        str(REPOSITORY / "manifests" / "src"),
        *sorted(str(root) for root in REPOSITORY.glob("examples/*/src")),
    ]
    yield
    sys.path[:] = before
