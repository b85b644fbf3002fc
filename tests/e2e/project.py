"""Small projects on disk for meshes that tests change, break and kill."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

from tests.e2e.mesh import Mesh
from tests.e2e.wire import call_request

READY_SECONDS = 10.0

SHOP = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {{name: shop}}
spec:
  python: {{path: src}}
  heartbeat: {{interval: {interval}}}
  tools:
    - callable: shop:order
      needs:
        price: {{capability: price, required: true}}
    - callable: shop:pid
"""
PRICES = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {{name: prices}}
spec:
  python: {{path: src}}
  heartbeat: {{interval: {interval}}}
  tools:
    - callable: prices:price
      capability: price
    - callable: prices:pid
"""
SHOP_MODULE = """\
import os


async def order(item: str, price) -> str:
    return f"{item} costs {await price(item=item)}"


def pid() -> int:
    return os.getpid()
"""
PRICES_MODULE = """\
import os

CURRENCY = "EUR"


def price(item: str) -> str:
    return f"{len(item)} {CURRENCY}"


def pid() -> int:
    return os.getpid()
"""


def shop(folder: Path, interval: str = "5s") -> Path:
    """Write a project of two agents, one of which needs the other; return the manifests' folder."""
    project = folder / "project"
    (project / "src").mkdir(parents=True)
    (project / "meshd.toml").write_text("")
    (project / "shop.yaml").write_text(SHOP.format(interval=interval))
    (project / "prices.yaml").write_text(PRICES.format(interval=interval))
    (project / "src" / "shop.py").write_text(SHOP_MODULE)
    (project / "src" / "prices.py").write_text(PRICES_MODULE)
    return project


def call(endpoint: str, tool: str, seconds: float = 20, **arguments: Any) -> Any:
    """Call a tool over HTTP; return its result, or raise `AssertionError` with the error."""
    headers, body = call_request("modern", tool, arguments)
    answer = httpx2.post(f"{endpoint}/mcp", headers=headers, json=body, timeout=seconds)
    result = answer.json().get("result", {})
    assert result.get("isError") is not True, answer.text
    assert "structuredContent" in result, answer.text
    return result["structuredContent"]["result"]


def until(condition: Callable[[], object], seconds: float = READY_SECONDS, why: str = "") -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, why or "it does not come to hold"
        time.sleep(0.02)


def instance(mesh: Mesh, identity: str) -> dict[str, Any]:
    """Return an instance as `meshd list` shows it."""
    [found] = [
        one
        for agent in mesh.view()["agents"]
        for one in agent["instances"]
        if one["id"] == identity
    ]
    return found


def events(mesh: Mesh, kind: str, identity: str) -> list[dict[str, Any]]:
    """Return the registry's events of one kind about one instance, newest first."""
    url = mesh.view()["registry"]["url"]
    found = httpx2.get(f"{url}/events?type={kind}&agent_id={identity}&limit=500")
    return json.loads(found.text)["events"]
