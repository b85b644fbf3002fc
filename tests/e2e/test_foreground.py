"""`meshd agent run`: one agent without a daemon; its registry comes, goes and comes back."""

import http.server
import itertools
import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.foreground import Foreground, running_foreground
from tests.e2e.mesh import meshd
from tests.e2e.project import call, until
from tests.e2e.registries import RegistryProcess, running_registry, start_registry
from tests.e2e.test_lifecycle import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

MANIFESTS = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {name: shop}
spec:
  python: {path: src}
  heartbeat: {interval: 1s}
  tools:
    - callable: shop:order
      needs: {price: {capability: price}}
    - callable: shop:nap
---
apiVersion: meshd.dev/v1
kind: Agent
metadata: {name: prices}
spec:
  python: {path: src}
  heartbeat: {interval: 1s}
  tools: [{callable: "prices:price", capability: price}]
---
apiVersion: meshd.dev/v1
kind: Agent
metadata: {name: open}
spec:
  python: {path: src}
  http: {host: 0.0.0.0}
  tools: [{callable: "prices:price"}]
"""
SHOP_MODULE = """\
import time


async def order(item: str, price=None) -> str:
    return f"{item} costs {await price(item=item) if price else 'what you like'}"


def nap(how_long: float) -> str:
    time.sleep(how_long)
    return "rested"
"""
PRICES_MODULE = """\
def price(item: str) -> str:
    return f"{len(item)} EUR"
"""
ALONE = "tea costs what you like"
WIRED = "tea costs 3 EUR"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "meshd.toml").touch()
    (folder / "agents.yaml").write_text(MANIFESTS)
    (folder / "src" / "shop.py").write_text(SHOP_MODULE)
    (folder / "src" / "prices.py").write_text(PRICES_MODULE)
    return folder


def joining(url: str, node: str = "a") -> dict[str, str]:
    return {"MCP_MESH_REGISTRY_URL": url, "MESHD_NODE": node}


def order(shop: Foreground) -> str:
    return call(shop.endpoint, "order", item="tea")


def listed(registry: RegistryProcess) -> set[str]:
    found = registry.get("/agents?status=healthy")["agents"]
    return {agent["id"] for agent in found}


class Calling(threading.Thread):
    """A call made in a thread; its answer is there when it has ended."""

    def __init__(self, endpoint: str, tool: str, **arguments: Any) -> None:
        super().__init__()
        self.answer: object = None
        self._call = endpoint, tool, arguments
        self.start()

    def run(self) -> None:
        endpoint, tool, arguments = self._call
        try:
            self.answer = call(endpoint, tool, **arguments)
        except (AssertionError, httpx2.HTTPError) as error:
            self.answer = error

    def ended(self) -> object:
        self.join(20)
        return self.answer


def test_without_a_registry_it_serves_alone_and_a_signal_drains_it(
    project: Path, tmp_path: Path
) -> None:
    with running_foreground("shop", project, folder=tmp_path) as shop:
        assert order(shop) == ALONE
        assert httpx2.get(f"{shop.endpoint}/ready").json()["ready"] is True
        calling = Calling(shop.endpoint, "nap", how_long=1.5)
        time.sleep(0.5)
        began = time.monotonic()
        shop.process.send_signal(signal.SIGTERM)
        assert calling.ended() == "rested"
        assert shop.process.wait(10) == 0, shop.output
        assert time.monotonic() - began < 5
        assert shop.output.endswith("stopped\n")


def test_it_joins_a_registry_that_appears_later(project: Path, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (
        running_foreground("shop", project, folder=tmp_path, environment=joining(url)) as shop,
        running_foreground("prices", project, folder=tmp_path, environment=joining(url)),
    ):
        # It waits for the registry's first word, but not for ever.
        assert order(shop) == ALONE
        with running_registry(tmp_path, "--store", "memory", port=port) as registry:
            until(lambda: listed(registry) == {"shop-a-1", "prices-a-1"})
            until(lambda: order(shop) == WIRED)
        assert order(shop) == WIRED


def test_a_registry_that_comes_back_empty_learns_everybody_anew(
    project: Path, tmp_path: Path
) -> None:
    with running_registry(tmp_path, "--store", "memory") as registry:
        given = joining(registry.url)
        with (
            running_foreground("shop", project, folder=tmp_path, environment=given) as shop,
            running_foreground("prices", project, folder=tmp_path, environment=given),
        ):
            until(lambda: order(shop) == WIRED)
            registry.process.kill()
            registry.process.wait()
            assert {order(shop) for _ in range(20)} == {WIRED}
            options = ("--store", "memory")
            with running_registry(tmp_path, *options, port=registry.port) as back:
                heard: set[str] = set()

                def all_back() -> bool:
                    heard.add(order(shop))
                    return listed(back) == {"shop-a-1", "prices-a-1"}

                until(all_back)
                heard |= {order(shop) for _ in range(20)}
                assert heard == {WIRED}


def test_a_call_before_the_first_resolution_waits_for_it(project: Path, tmp_path: Path) -> None:
    store = ("--store", f"sqlite:///{tmp_path / 'registry.sqlite'}")
    registry = start_registry(tmp_path, *store)
    given = joining(registry.url)
    with running_foreground("prices", project, folder=tmp_path, environment=given):
        until(lambda: listed(registry) == {"prices-a-1"})
        registry.process.send_signal(signal.SIGTERM)
        registry.process.wait()
        with running_foreground("shop", project, folder=tmp_path, environment=given) as shop:
            calling = Calling(shop.endpoint, "order", item="tea")
            time.sleep(0.3)
            assert calling.is_alive()
            with running_registry(tmp_path, *store, port=registry.port):
                assert calling.ended() == WIRED


class _Refusing(http.server.BaseHTTPRequestHandler):
    """Answers 503 to everything, and notes when."""

    times: list[float]

    def do_POST(self) -> None:
        self.times.append(time.monotonic())
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(503)
        self.send_header("content-length", "0")
        self.end_headers()

    do_HEAD = do_POST  # noqa: N815
    do_DELETE = do_POST  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing."""


@contextmanager
def refusing_registry() -> Generator[tuple[str, list[float]]]:
    """Serve a registry that cannot answer; yield its URL and the times of its requests."""
    times: list[float] = []
    refusing = type("Refusing", (_Refusing,), {"times": times})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), refusing) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", times
        finally:
            server.shutdown()
            serving.join()


def test_a_registry_that_answers_503_is_asked_ever_more_seldom(
    project: Path, tmp_path: Path
) -> None:
    with refusing_registry() as (url, times):
        with running_foreground("shop", project, folder=tmp_path, environment=joining(url)):
            until(lambda: len(times) >= 4, 15)
            pauses = [after - before for before, after in itertools.pairwise(times)]
        assert min(pauses) > 0.4, pauses
        assert max(pauses[1:]) > 0.9, pauses


def test_beyond_loopback_it_wants_to_be_told(project: Path, tmp_path: Path) -> None:
    done = meshd("agent", "run", "open", "-f", project)
    assert done.returncode == 1
    assert "M404" in done.stderr
    assert "--insecure" in done.stderr
    line = 1 + MANIFESTS[: MANIFESTS.index("{host:")].count("\n")
    assert f"agents.yaml:{line}:" in done.stderr

    options = ("--insecure",)
    with running_foreground("open", project, folder=tmp_path, options=options) as agent:
        assert "://0.0.0.0" not in agent.endpoint
        answer = httpx2.get(f"{agent.endpoint}/health", headers={"host": "open.example:80"})
        assert answer.status_code == 200


def test_loopback_keeps_to_its_own_names(project: Path, tmp_path: Path) -> None:
    with running_foreground("prices", project, folder=tmp_path) as agent:
        answer = httpx2.get(f"{agent.endpoint}/health", headers={"host": "open.example:80"})
        assert answer.status_code == 421


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nobody",), "no manifest describes an agent `nobody`"),
        (("shp",), "did you mean `shop`?"),
    ],
)
def test_who_is_not_there_is_named(arguments: tuple[str, ...], said: str, project: Path) -> None:
    done = meshd("agent", "run", *arguments, "-f", project)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
