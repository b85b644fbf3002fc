"""A registry that lives: it reads its store, lets leases end, and writes in the background.

A store that fails never stops the registry: `problem` says what is wrong, for /health, and the
registry goes on in memory. One that could not be read is left alone; one that could not be written
is tried again.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator

from meshd.clock import Clock
from meshd.domain.lease import Moment
from meshd.registry.registered import Limits
from meshd.registry.registry import Registry
from meshd.registry.store import Snapshot, Store, StoreFailed
from meshd.registry.stores.memory import MemoryStore

TICK_SECONDS = 1.0
STALLED_SECONDS = 2.0
"""A tick that comes this much too late was held up, and so were the heartbeats."""
WRITE_SECONDS = 0.2

logger = logging.getLogger(__name__)


class Keeper:
    """A registry with its clock and its store."""

    def __init__(self, store: Store, clock: Clock, limits: Limits | None = None) -> None:
        self.clock = clock
        self.problem = ""
        self.store = store
        self.started_at = self.now()
        self.registry = Registry(store, limits)
        self._limits = limits
        self._last_tick = self.started_at.seconds

    def now(self) -> Moment:
        """Return the moment."""
        return Moment(self.clock.monotonic(), self.clock.now())

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Keep the registry while the block runs; write what is left at its end."""
        await self._load()
        # Owned by this block; a TaskGroup would wrap what the block raises.
        tasks = [asyncio.ensure_future(self._tick_for_ever())]
        tasks.append(asyncio.ensure_future(self._write_for_ever()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.store.close()

    def tick(self) -> None:
        """Let leases end and settle what changed; called every second."""
        now = self.now()
        late = now.seconds - self._last_tick - TICK_SECONDS
        self._last_tick = now.seconds
        if late >= STALLED_SECONDS:
            logger.warning("the registry was held up for %.1f s; leases end later by it", late)
            self.registry.extend(late)
        self.registry.expire(now)
        self.registry.settle(now)

    async def write(self) -> None:
        """Write what has come; note what is wrong, and that nothing is any more."""
        try:
            await self.store.write()
        except StoreFailed as error:
            if not self.problem:
                logger.warning("the registry goes on in memory: %s", error)
            self.problem = str(error)
        else:
            if self.problem and not self._is_abandoned:
                logger.warning("the registry writes again")
                self.problem = ""

    @property
    def _is_abandoned(self) -> bool:
        """Whether another store stands in for one that could not be read."""
        return self.store.kind == MemoryStore.kind

    async def _load(self) -> None:
        try:
            snapshot = await self.store.load()
        except StoreFailed as error:
            logger.warning("the registry goes on in memory: %s", error)
            self.problem = str(error)
            self.store = MemoryStore()
            self.registry = Registry(self.store, self._limits)
            snapshot = Snapshot()
        now = self.now()
        self._last_tick = now.seconds
        self.registry.restore(snapshot, now)

    async def _tick_for_ever(self) -> None:
        while True:
            await self.clock.sleep(TICK_SECONDS)
            try:
                self.tick()
            except Exception:  # one turn of the loop ends here, so that leases go on ending
                logger.exception("the registry could not let leases end")

    async def _write_for_ever(self) -> None:
        while True:
            await self.clock.sleep(WRITE_SECONDS)
            try:
                await self.write()
            except Exception:  # one turn of the loop ends here, so that later ones may write
                logger.exception("the registry could not write")
