import pytest

from meshd.errors import DaemonError
from meshd.settings import from_environment


def test_what_is_not_set_has_its_default() -> None:
    settings = from_environment({})
    assert (settings.registry_url, settings.node, settings.debounce_seconds) == ("", "", 1.0)
    assert settings.wants_colour


def test_what_is_set_holds() -> None:
    settings = from_environment(
        {
            "MCP_MESH_REGISTRY_URL": "http://registry:8000/",
            "MESHD_NODE": "here",
            "MCP_MESH_DEBOUNCE_DELAY": "0.2",
            "NO_COLOR": "1",
        }
    )
    assert settings.registry_url == "http://registry:8000"
    assert (settings.node, settings.debounce_seconds) == ("here", 0.2)
    assert not settings.wants_colour


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "1e9", "1s"])
def test_a_delay_is_a_number_of_seconds(text: str) -> None:
    with pytest.raises(DaemonError, match=f"`MCP_MESH_DEBOUNCE_DELAY` is `{text}`"):
        _ = from_environment({"MCP_MESH_DEBOUNCE_DELAY": text}).debounce_seconds
