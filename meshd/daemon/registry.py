"""Serves a registry in this process: store, registry and HTTP."""

import contextlib
import socket
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path

from meshd.clock import Clock
from meshd.daemon.ports import Port, refusal
from meshd.daemon.signals import signals
from meshd.daemon.stop import Stop
from meshd.domain.endpoint import is_loopback
from meshd.errors import DaemonError
from meshd.registry.app import registry_app
from meshd.registry.guard import guarded
from meshd.registry.keeper import Keeper
from meshd.registry.store import Store
from meshd.registry.stores.memory import MemoryStore
from meshd.registry.stores.sqlite import SqliteStore
from meshd.runtime.http import serving
from meshd.runtime.request_headers import strict_headers

GRACE_SECONDS = 2.0
GC_THRESHOLDS = (50_000, 10, 50)
"""What registrations are made of lives for long, and has no cycles."""
_SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryOptions:
    """What the user asked for; `store` is `memory`, `sqlite:///PATH`, or empty for the default."""

    host: str
    port: int
    store: str
    state_dir: Path
    insecure: bool


def open_store(name: str) -> Store:
    """Return the store of that name, `memory` or `sqlite:///PATH`; nothing is opened yet.

    Raises:
        DaemonError: there is no such kind of store.

    """
    if name == "memory":
        return MemoryStore()
    if name.startswith(_SQLITE) and len(name) > len(_SQLITE):
        return SqliteStore(Path(name.removeprefix(_SQLITE)))
    raise DaemonError(f"`{name}` names no store", "use `sqlite:///PATH`, or `memory`")


def default_store(state_directory: Path) -> str:
    """Return the store that a state directory holds."""
    return f"{_SQLITE}{state_directory / 'registry.sqlite'}"


@contextlib.asynccontextmanager
async def serving_registry(
    store: Store, listener: socket.socket, host: str, clock: Clock, *, any_host: bool
) -> AsyncGenerator[Keeper, None]:
    """Serve while the block runs; `host` is the one that was asked for."""
    keeper = Keeper(store, clock)
    bound = listener.getsockname()[0]
    app = strict_headers(guarded(registry_app(keeper), (host, bound), any_host=any_host))
    # Serving comes last, so that no request comes before what was stored.
    async with (
        keeper.running(),
        serving(app, [listener], clock, grace_seconds=GRACE_SECONDS),
    ):
        yield keeper


async def serve_registry(
    options: RegistryOptions, clock: Clock, on_ready: Callable[[str, Keeper], None]
) -> int | None:
    """Serve until a signal comes and return its number; `on_ready` receives the URL.

    Raises:
        DaemonError: the store is not known, or the address cannot be had.

    """
    store = open_store(options.store or default_store(options.state_dir))
    port = _port(options)
    if not options.store:
        # Where that fails the store says so, and memory has to do.
        with contextlib.suppress(OSError):
            options.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    stop = Stop()
    any_host = options.insecure and not is_loopback(options.host)
    port.open()
    async with (
        signals(stop),
        serving_registry(store, port.duplicate(), options.host, clock, any_host=any_host) as keeper,
    ):
        on_ready(port.endpoint.url, keeper)
        await stop.wished.wait()
    port.close()
    return stop.number


def _port(options: RegistryOptions) -> Port:
    host, port = options.host, options.port
    if not is_loopback(host) and not options.insecure:
        raise DaemonError(
            f"`{host}` is not a loopback address: whoever reaches the registry may register there",
            "say `--insecure` if the network around it is to be trusted",
        )
    try:
        return Port(host, port)
    except (OSError, OverflowError) as error:
        raise DaemonError(
            f"the registry cannot listen on {host}:{port}: {refusal(error)}",
            "choose another `--port`, or 0 for any free one",
        ) from None
