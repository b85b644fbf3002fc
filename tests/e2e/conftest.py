"""The meshes that tests share: one process for a whole run."""

from collections.abc import Iterator

import pytest

from tests.e2e.mesh import MANIFESTS, ROOT, Mesh, running_mesh


@pytest.fixture(scope="session")
def probe_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """Run the two agents of tests/e2e/manifests."""
    folder = tmp_path_factory.mktemp("probe")
    with running_mesh(MANIFESTS / "probe.yaml", folder=folder) as mesh:
        yield mesh


@pytest.fixture(scope="session")
def sample_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """Run the sample mesh in manifests/."""
    with running_mesh(ROOT / "manifests", folder=tmp_path_factory.mktemp("sample")) as mesh:
        yield mesh
