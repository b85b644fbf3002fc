"""A registry in this process, from its options to its end."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from meshd.clock import SystemClock
from meshd.daemon.registry import RegistryOptions, default_store, open_store, serve_registry
from meshd.errors import DaemonError
from meshd.registry.keeper import Keeper
from meshd.registry.stores.sqlite import SqliteStore


def options(state_dir: Path, **more: object) -> RegistryOptions:
    fields = {"host": "127.0.0.1", "port": 0, "store": "", "insecure": False, **more}
    return RegistryOptions(state_dir=state_dir, **fields)  # type: ignore[arg-type]


def nobody(url: str, _: Keeper) -> None:
    pytest.fail(f"it serves at {url}")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (default_store(Path("state")), "state/registry.sqlite"),
        ("sqlite:///x.db", "x.db"),
        ("sqlite:////a/x.db", "/a/x.db"),
    ],
)
def test_a_store_in_a_file(text: str, path: str) -> None:
    store = open_store(text)

    assert isinstance(store, SqliteStore)
    assert store.path == Path(path)


def test_a_store_in_memory() -> None:
    assert open_store("memory").kind == "memory"


@pytest.mark.parametrize("text", ["redis://x", "sqlite:///", "sqlite:x.db", "x.db"])
def test_what_names_no_store(text: str) -> None:
    with pytest.raises(DaemonError, match="names no store") as caught:
        open_store(text)

    assert caught.value.hint == "use `sqlite:///PATH`, or `memory`"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "registry.example"])  # noqa: S104
async def test_others_may_reach_it_only_if_that_was_said(host: str) -> None:
    with pytest.raises(DaemonError, match="is not a loopback address"):
        await serve_registry(options(Path(), host=host), SystemClock(), nobody)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"host": "192.0.2.1", "insecure": True}, "192.0.2.1:0: Cannot assign"),
        ({"port": 70000}, "127.0.0.1:70000: "),
    ],
)
async def test_an_address_that_cannot_be_had(more: dict[str, object], reason: str) -> None:
    with pytest.raises(DaemonError, match=reason):
        await serve_registry(options(Path(), **more), SystemClock(), nobody)


async def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DaemonError, match=f"localhost:{port}: it is in use"):
            await serve_registry(
                options(Path(), host="localhost", port=port), SystemClock(), nobody
            )


async def test_a_signal_ends_what_was_served(tmp_path: Path) -> None:
    ready: asyncio.Future[tuple[str, Keeper]] = asyncio.get_running_loop().create_future()
    given = options(tmp_path / "state")

    async def visit() -> int:
        url, keeper = await ready
        async with httpx2.AsyncClient() as http:
            answer = await http.get(f"{url}/health")
        assert answer.json()["store"] == {"kind": keeper.store.kind, "status": "ok"}
        os.kill(os.getpid(), signal.SIGTERM)
        return answer.status_code

    serving = serve_registry(
        given, SystemClock(), lambda url, keeper: ready.set_result((url, keeper))
    )
    number, status = await asyncio.gather(serving, visit())

    assert (number, status) == (signal.SIGTERM, 200)
    assert (tmp_path / "state" / "registry.sqlite").is_file()


async def test_a_state_directory_that_cannot_be_made_leaves_memory(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    problems: list[str] = []

    def end(_: str, keeper: Keeper) -> None:
        problems.append(keeper.problem)
        os.kill(os.getpid(), signal.SIGINT)

    number = await serve_registry(options(tmp_path / "state"), SystemClock(), end)

    assert number == signal.SIGINT
    assert "unable to open" in problems[0]


def test_a_registry_needs_no_mcp_server() -> None:
    program = "import sys, meshd.cli.registry; print({'fastmcp', 'mcp'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)

    assert done.stdout == b"set()\n"
