"""Serves a registry in this process: store, registry and HTTP, until a signal ends it."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from meshd.clock import Clock
from meshd.daemon.signals import signals
from meshd.errors import DaemonError
from meshd.registry.app import registry_app
from meshd.registry.guard import guarded, is_loopback
from meshd.registry.keeper import Keeper
from meshd.registry.store import Store
from meshd.registry.stores.memory import MemoryStore
from meshd.registry.stores.sqlite import SqliteStore
from meshd.runtime.http import base_url, listen, refusal, serving
from meshd.runtime.request_headers import strict_headers

GRACE_SECONDS = 2.0
_SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryOptions:
    """What the user asked for; `store` is `memory`, `sqlite:///PATH`, or empty for the default."""

    host: str
    port: int
    store: str
    state_dir: Path
    insecure: bool


def open_store(options: RegistryOptions) -> Store:
    """Return the store that the options name; nothing is opened yet.

    Raises:
        DaemonError: there is no such kind of store.

    """
    if options.store == "memory":
        return MemoryStore()
    if options.store.startswith(_SQLITE) and len(options.store) > len(_SQLITE):
        return SqliteStore(Path(options.store.removeprefix(_SQLITE)))
    if options.store:
        raise DaemonError(f"`{options.store}` names no store", "use `sqlite:///PATH`, or `memory`")
    return SqliteStore(options.state_dir / "registry.sqlite")


def open_listener(options: RegistryOptions) -> socket.socket:
    """Return the socket to listen on.

    Raises:
        DaemonError: others could reach it and nobody said that they may, or it cannot be had.

    """
    host, port = options.host, options.port
    if not is_loopback(host) and not options.insecure:
        raise DaemonError(
            f"`{host}` is not a loopback address: whoever reaches the registry may register there",
            "say `--insecure` if the network around it is to be trusted",
        )
    address = "127.0.0.1" if host == "localhost" else host
    try:
        return listen(address, port)
    except (OSError, OverflowError) as error:
        raise DaemonError(
            f"the registry cannot listen on {host}:{port}: {refusal(error)}",
            "choose another `--port`, or 0 for any free one",
        ) from None


async def serve_registry(
    options: RegistryOptions, clock: Clock, on_ready: Callable[[str, Keeper], None]
) -> int | None:
    """Serve until a signal comes and return its number; `on_ready` receives the URL."""
    store = open_store(options)
    listener = open_listener(options)
    try:
        if not options.store:
            _make_folder(options.state_dir)
        host, url = listener.getsockname()[0], base_url(listener)
        keeper = Keeper(store, clock)
        any_host = options.insecure and not is_loopback(options.host)
        app = guarded(registry_app(keeper), (options.host, host), any_host=any_host)
        stopping = asyncio.Event()
        received: list[int] = []

        def stop(number: int) -> None:
            received.append(number)
            stopping.set()

        # Serving comes last, so that no request comes before what was stored.
        async with (
            signals(stop),
            keeper.running(),
            serving(strict_headers(app), listener, clock, grace_seconds=GRACE_SECONDS),
        ):
            on_ready(url, keeper)
            await stopping.wait()
    finally:
        listener.close()
    return received[0] if received else None


def _make_folder(folder: Path) -> None:
    """Make the state directory; where that fails the store says so, and memory has to do."""
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
