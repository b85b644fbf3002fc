"""Serves a registry in this process: store, registry and HTTP, on a socket that is given."""

import contextlib
import socket
from collections.abc import AsyncGenerator
from pathlib import Path

from meshd.clock import Clock
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
_SQLITE = "sqlite:///"


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
