"""A registry that lives: it reads its store, lets leases end, and writes in the background.

A store that fails never stops the registry: `problem` says what is wrong, for /health, and the
registry goes on in memory. It is tried again until it works; then it is given all that there is.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator

from meshd.clock import Clock
from meshd.domain.lease import Moment
from meshd.registry.registered import Limits
from meshd.registry.registry import Registry
from meshd.registry.store import Store, StoreFailed

TICK_SECONDS = 1.0
STALLED_SECONDS = 2.0
"""A tick that comes this much too late was held up, and so were the heartbeats."""
WRITE_SECONDS = 0.1
"""How long writes are collected: what a registry that is killed may forget, and a write's time."""
REPAIR_SECONDS = 5.0
"""How often a store that is not open is tried again."""
SEEN_SECONDS = 10.0
"""How often the times of the last heartbeats are written, which touch memory only."""

logger = logging.getLogger(__name__)


class Keeper:
    """A registry with its clock and its store."""

    def __init__(self, store: Store, clock: Clock, limits: Limits | None = None) -> None:
        self.clock = clock
        self.problem = ""
        self.store = store
        self.started_at = self.now()
        self.registry = Registry(store, limits)
        self._is_restored = False
        self._last_tick = self.started_at.seconds
        self._last_seen_at = self.started_at.seconds
        self._repair_at = 0.0

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
            self.registry.note_last_seen()
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
        if now.seconds - self._last_seen_at >= SEEN_SECONDS:
            self._last_seen_at = now.seconds
            self.registry.note_last_seen()

    async def write(self) -> None:
        """Write what has come; note what is wrong, and that nothing is any more."""
        try:
            if self.store.is_open:
                await self.store.write()
            else:
                await self._repair()
        except StoreFailed as error:
            if not self.problem:
                logger.warning("the registry goes on in memory: %s", error)
            self.problem = str(error)
        else:
            if self.problem and self.store.is_open:
                logger.warning("the registry writes again")
                self.problem = ""

    async def _load(self) -> None:
        try:
            await self._open(set_aside=False)
        except StoreFailed as error:
            logger.warning("the registry goes on in memory: %s", error)
            self.problem = str(error)
            self._repair_at = self.now().seconds + REPAIR_SECONDS
        self._last_tick = self.now().seconds

    async def _repair(self) -> None:
        """Open the store again, from time to time, and give it all that there is."""
        now = self.now()
        if now.seconds < self._repair_at:
            return
        self._repair_at = now.seconds + REPAIR_SECONDS
        await self._open(set_aside=True)
        await self.store.rewrite(self.registry.snapshot())

    async def _open(self, *, set_aside: bool) -> None:
        snapshot = await self.store.load(set_aside=set_aside)
        if self.store.notice:
            logger.warning("%s", self.store.notice)
        if not self._is_restored:
            self._is_restored = True
            self.registry.restore(snapshot, self.now())

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
