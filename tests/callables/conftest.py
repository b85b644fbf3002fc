from collections.abc import Iterator

import pytest

from tests.callables.project import forgotten


@pytest.fixture(autouse=True)
def forgets_imports() -> Iterator[None]:
    with forgotten():
        yield
