"""Threads for sync callables, so that none of them blocks the event loop.

At most `limit` callables run at a time. One that waits for a call through the mesh gives its place
to another while it waits: otherwise nested sync tools would exhaust the places and wait for each
other for ever. Belongs to one event loop; everything but `wait_for` is called on that loop.
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context, copy_context
from typing import Any, TypeVar

from meshd.errors import CallError

T = TypeVar("T")
UNBOUNDED = 10_000
"""Threads are made on demand; places, not threads, are what is limited."""
CHUNKS_AHEAD = 16
"""How many chunks a sync generator may make before the first of them is taken."""

Outlived = Callable[[Future[Any]], None]


class Places:
    """A counted number of places; taking one back after a wait never waits."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._waiting)

    def take_at_once(self) -> bool:
        """Take a place if that needs no waiting; say whether it was taken."""
        if self._free > 0 and not self._waiting:
            self._free -= 1
            return True
        return False

    async def take(self) -> None:
        """Take a place, in order of arrival."""
        if self.take_at_once():
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            # The place may have been handed over in the same turn of the loop.
            if turn.done() and not turn.cancelled():
                self.give()
            else:
                self._waiting.remove(turn)
            raise

    def take_back(self) -> None:
        """Take a place at once, even if that makes one too many."""
        self._free -= 1

    def give(self) -> None:
        """Give a place to the next one in the queue."""
        self._free += 1
        while self._waiting and self._free > 0:
            turn = self._waiting.popleft()
            if not turn.done():
                self._free -= 1
                turn.set_result(None)


class Workers:
    """Runs sync callables in threads, with the caller's context variables."""

    def __init__(self, limit: int = 40) -> None:
        self._places = Places(limit)
        self._threads = ThreadPoolExecutor(UNBOUNDED, thread_name_prefix="meshd-worker")
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Let running callables finish without waiting for them; start no new ones."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def run(self, function: Callable[[], T], outlived: Outlived | None = None) -> T:
        """Run the function in a thread and return its result.

        What cannot be raised on the event loop without ending it, such as `SystemExit`, becomes a
        `RuntimeError`. A cancelled caller stops waiting; the function itself cannot be stopped and
        keeps its place until it returns; `outlived` then receives the future of its end.
        """
        await self._places.take()
        context = copy_context()
        try:
            future = self._threads.submit(context.run, _contained, function)
        except BaseException:
            self._places.give()
            raise
        future.add_done_callback(self._finished)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if outlived is not None and not future.done():
                outlived(future)
            raise

    def _finished(self, _: "Future[Any]") -> None:
        try:
            self._loop.call_soon_threadsafe(self._places.give)
        except RuntimeError:  # the loop is closed: nobody waits for a place any more
            return

    async def iterate(
        self, generator: Generator[T, Any, Any], outlived: Outlived | None = None
    ) -> AsyncGenerator[T, None]:
        """Run a sync generator in one thread, as far ahead as `CHUNKS_AHEAD`; yield its chunks."""
        chunks: asyncio.Queue[tuple[T] | None] = asyncio.Queue()
        room = threading.Semaphore(CHUNKS_AHEAD)
        stopped = threading.Event()

        def put(item: "tuple[T] | None") -> None:
            self._loop.call_soon_threadsafe(chunks.put_nowait, item)

        def drain() -> None:
            try:
                for chunk in generator:
                    room.acquire()
                    if stopped.is_set():
                        return
                    put((chunk,))
            finally:
                generator.close()
                put(None)

        running = asyncio.ensure_future(self.run(drain, outlived))
        try:
            while (item := await chunks.get()) is not None:
                yield item[0]
                room.release()
            await running
        finally:
            stopped.set()
            room.release()
            running.cancel()
            await asyncio.wait((running,))

    def wait_for(self, call: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the event loop and wait for it; called in a worker thread."""
        if _is_on_an_event_loop():
            call.close()
            raise CallError(
                "a sync proxy was called on the event loop, where waiting would block every call; "
                "make the callable async, or call the proxy from a thread"
            )
        done: Future[T] = Future()
        self._loop.call_soon_threadsafe(self._start, call, done, copy_context())
        return done.result()

    def _start(self, call: Coroutine[Any, Any, T], done: "Future[T]", context: Context) -> None:
        self._places.give()
        task = self._loop.create_task(call, context=context)

        def finished(task: "asyncio.Task[T]") -> None:
            self._places.take_back()
            if task.cancelled():
                done.set_exception(CallError("the call was cancelled"))
            elif error := task.exception():
                done.set_exception(error)
            else:
                done.set_result(task.result())

        task.add_done_callback(finished)


def _contained(function: Callable[[], T]) -> T:
    try:
        return function()
    # A future cannot carry it: whoever waits would wait for ever.
    except StopIteration as error:
        raise RuntimeError("it raised StopIteration") from error
    except Exception:
        raise
    except BaseException as error:
        raise RuntimeError(f"it raised {error!r}") from error


def _is_on_an_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
