"""How long an instance that was killed is away, and how soon its callers are refused.

PYTHONPATH=. python tests/benchmarks/comes_back.py
"""

import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from meshd.daemon.linux import is_alive
from tests.benchmarks.measured import print_figures
from tests.e2e.mesh import Mesh, running_mesh
from tests.e2e.project import call, instance, shop, until
from tests.e2e.test_supervision import resolved

ROUNDS = 5
PAUSE_SECONDS = 10.5
"""A run that lived so long is started again at once, however often it has died before."""


def seconds_until(condition: Callable[[], bool]) -> float:
    """Return how long something takes to hold, to a millisecond."""
    begin = time.perf_counter()
    while not condition():
        time.sleep(0.001)
    return time.perf_counter() - begin


def sample(mesh: Mesh) -> dict[str, float]:
    """Kill the provider once."""
    prices, consumer = instance(mesh, "prices-1"), instance(mesh, "shop-1")

    def refuses() -> bool:
        address = urlsplit(str(prices["endpoint"]))
        with socket.socket() as probe:
            probe.settimeout(0.2)
            return probe.connect_ex((address.hostname, address.port)) != 0

    def answers() -> bool:
        try:
            return call(prices["endpoint"], "pid", 0.2) != prices["pid"]
        except (httpx2.HTTPError, AssertionError):
            return False

    def is_called() -> bool:
        try:
            return call(consumer["endpoint"], "order", item="tea") == "tea costs 3 EUR"
        except AssertionError:
            return False

    os.kill(prices["pid"], signal.SIGKILL)
    begin = time.perf_counter()
    seconds_until(lambda: refuses() or not is_alive(prices["pid"]))
    refused = time.perf_counter() - begin
    seconds_until(answers)
    back = time.perf_counter() - begin
    seconds_until(is_called)
    called = time.perf_counter() - begin
    until(lambda: resolved(mesh))
    return {
        "refused or gone": refused,
        "back on its port": back,
        "called by its consumer": called,
    }


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running_mesh(shop(folder), folder=folder) as mesh:
            until(lambda: resolved(mesh))
            samples: list[dict[str, float]] = []
            for _ in range(ROUNDS):
                time.sleep(PAUSE_SECONDS)
                samples.append(sample(mesh))
    print_figures("seconds after kill -9", samples)


if __name__ == "__main__":
    main()
