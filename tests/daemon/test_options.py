import pytest

from meshd.daemon.options import RunOptions
from meshd.domain.spec import MeshSpec
from meshd.errors import DaemonError

FLAG, MANIFEST, ENVIRONMENT = "http://flag:1", "http://manifest:1", "http://environment:1"


@pytest.mark.parametrize(
    ("flag", "manifest", "environment", "joined"),
    [
        (FLAG, MANIFEST, ENVIRONMENT, FLAG),
        ("", MANIFEST, ENVIRONMENT, MANIFEST),
        ("", "", ENVIRONMENT, ENVIRONMENT),
        ("", "", "", ""),
    ],
)
def test_the_nearest_registry_is_joined(
    flag: str, manifest: str, environment: str, joined: str
) -> None:
    options = RunOptions(registry=flag, registry_url=environment)
    assert options.registry_of(MeshSpec(registry_url=manifest)) == joined


def test_what_is_no_address_is_refused_by_name() -> None:
    with pytest.raises(DaemonError, match=r"`MCP_MESH_REGISTRY_URL` is `here:8000`, which is no"):
        RunOptions(registry_url="here:8000").registry_of(MeshSpec())
    with pytest.raises(DaemonError, match=r"`--join` is `ftp://here`"):
        RunOptions(registry="ftp://here").registry_of(MeshSpec())
