"""Two daemons on one registry: they find each other's agents, and one outlives the other."""

import time
from pathlib import Path

import pytest

from tests.e2e.mesh import Mesh, kill, running_mesh, start, wait_until_ready
from tests.e2e.project import call, shop, until
from tests.e2e.registries import running_registry
from tests.e2e.test_supervision import Caller

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
LEASE_SECONDS = 4.0
"""Three intervals of a second, and one more."""


def providers(mesh: Mesh) -> set[str]:
    """Return the instances that the consumer's need is wired to."""
    [need] = [need for agent in mesh.view()["agents"] for need in agent["needs"]]
    return {provider["instance"] for provider in need["providers"]}


def test_consumers_outlive_the_daemon_of_their_providers(tmp_path: Path) -> None:
    project = shop(tmp_path, interval="1s")
    manifest = project / "prices.yaml"
    manifest.write_text(manifest.read_text().replace("  python:", "  replicas: 2\n  python:"))
    (tmp_path / "west").mkdir()
    (tmp_path / "east").mkdir()
    with running_registry(tmp_path, "--store", "memory") as registry:

        def joining(node: str) -> dict[str, str]:
            return {"MCP_MESH_REGISTRY_URL": registry.url, "MESHD_NODE": node}

        west = start((manifest,), tmp_path / "west", environment=joining("west"))
        try:
            wait_until_ready(west)
            consumer = project / "shop.yaml"
            with running_mesh(
                consumer, folder=tmp_path / "east", environment=joining("east")
            ) as east:
                # At first all its providers are with the other daemon.
                until(lambda: providers(east) == {"prices-west-1", "prices-west-2"})
                endpoint = east.endpoint("shop")
                assert call(endpoint, "order", item="tea") == "tea costs 3 EUR"

                (tmp_path / "north").mkdir()
                with running_mesh(
                    manifest, folder=tmp_path / "north", environment=joining("north")
                ):
                    everybody = {f"prices-{node}-{n}" for node in ("west", "north") for n in (1, 2)}
                    until(lambda: providers(east) == everybody)
                    west.process.kill()
                    until(lambda: not west.processes(), 5)
                    began = time.monotonic()
                    with Caller(endpoint) as caller:
                        until(lambda: providers(east) == {"prices-north-1", "prices-north-2"})
                        time.sleep(0.5)
                    assert caller.failures == []
                    assert caller.done > 10
                    assert time.monotonic() - began < LEASE_SECONDS + 3
                listed = registry.get("/agents?status=healthy")["agents"]
                assert {agent["id"] for agent in listed} == {"shop-east-1"}
        finally:
            kill(west)
