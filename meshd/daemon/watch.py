"""Notices that what files hold has changed: manifests, and the Python files that instances use.

Events of the folders around them give speed, a slow look at all of them certainty; where events
cannot be had, a quicker look has to do. Only a changed content is reported, once per burst.
"""

import asyncio
import contextlib
import logging
import re
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal

from watchfiles._rust_notify import RustNotify

from meshd.clock import Clock
from meshd.daemon.content import Content, Layout, content_of, layout_of

SLOW_POLL_SECONDS = 10.0
"""How often all is looked at although events come."""

LONGEST_BURST = 5
"""In debounce delays."""

STEP_MS = 50
"""How often the thread that waits for events looks for them; each look costs 50 µs."""

REMOTE = re.compile(
    r"9p|afs|ceph|cifs|fuse(\..*)?|glusterfs|lustre|nfs4?|prl_fs|smb3|smbfs|vboxsf|virtiofs"
)
"""File systems whose other users cause no events here."""

CHANGED_SINCE = "changed since it was read"

MOUNTS = Path("/proc/self/mountinfo")

logger = logging.getLogger("meshd.watch")


def fingerprint(paths: Iterable[Path]) -> dict[Path, str]:
    """Return what each path holds now, as a digest: equal digests, equal content."""
    return {path: content_of(path, None, 0).digest for path in paths}


def fingerprint_since(paths: Iterable[Path], began: float) -> dict[Path, str]:
    """Return the digests of files that were read from `began` on (seconds since the epoch).

    What was written since then may not be what was read: its digest equals no other.
    """
    return {
        path: CHANGED_SINCE if _written(path) >= began else digest
        for path, digest in fingerprint(paths).items()
    }


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


class Watcher:
    """Watches a set of paths, which may change at any time, for changes of their content."""

    def __init__(
        self,
        clock: Clock,
        *,
        debounce_seconds: float = 1.0,
        poll_seconds: float = 2.0,
        force_polling: bool = False,
    ) -> None:
        self._clock = clock
        self._debounce_seconds = debounce_seconds
        self._poll_seconds = poll_seconds
        self._force_polling = force_polling
        self._known: dict[Path, str] = {}
        """The digests that were reported last, or that `watch` began with."""
        self._contents: dict[Path, Content] = {}
        self._layout = Layout()
        self._events: _Events | None = None
        self._why_polling: str | None = None
        self._said = False
        self._edition = 0
        self._moved = True
        """Whether events may have to come from elsewhere."""
        self._dirty: set[Path] = set()
        """What events concern that were not followed up."""
        self._last_event = 0.0
        self._woken = asyncio.Event()

    @property
    def mode(self) -> Literal["events", "polling"]:
        """How changes are noticed."""
        return "polling" if self._force_polling or self._why_polling else "events"

    def watch(self, paths: Iterable[Path], known: Mapping[Path, str] | None = None) -> None:
        """Watch these paths and no others; none has to exist.

        A change counts from the fingerprint in `known`; without one, from what was reported last;
        for a new path from now. Who takes fingerprints before reading files misses no change.
        """
        known = known or {}
        now = self._clock.now().timestamp()
        contents = {path: self._contents.get(path) or content_of(path, None, now) for path in paths}
        self._known = {
            path: known.get(path) or self._known.get(path) or content.digest
            for path, content in contents.items()
        }
        self._contents = contents
        self._edition += 1
        self._moved = True
        self._woken.set()

    async def changes(self) -> AsyncGenerator[frozenset[Path], None]:
        """Yield the paths whose content differs from what was known; a burst is one change.

        Close it (`contextlib.aclosing`) to end its thread; one iteration at a time.
        """
        self._moved = True
        try:
            while True:
                if self._moved:
                    self._moved = False
                    await self._follow()
                else:
                    await self._until_woken(
                        SLOW_POLL_SECONDS if self._events else self._poll_seconds
                    )
                if changed := await self._settled():
                    self._known.update({path: self._contents[path].digest for path in changed})
                    yield changed
        finally:
            await self._replace_events(None)
            self._layout = Layout()

    async def _settled(self) -> frozenset[Path]:
        """Look at everything; if there is something to see, when it has been quiet for a while."""
        delay = self._debounce_seconds
        limit = self._clock.monotonic() + LONGEST_BURST * delay
        if told := bool(self._dirty):
            await self._quiet(self._last_event + delay, limit)
        changed = await self._look()
        told = told or not changed
        while not told and (now := self._clock.monotonic()) < limit:
            before = self._contents
            await self._quiet(now + delay, limit)
            changed = await self._look()
            told = self._contents == before
        return changed

    async def _quiet(self, until: float, limit: float) -> None:
        """Wait until a time that each event moves on, up to a limit."""
        while (rest := min(until, limit) - self._clock.monotonic()) > 0:
            await self._clock.sleep(rest)
            until = max(until, self._last_event + self._debounce_seconds)

    async def _look(self) -> frozenset[Path]:
        """Bring the contents up to date and return what differs from what is known."""
        while True:
            edition, before, dirty = self._edition, self._contents, self._dirty
            self._dirty = set()
            now = self._clock.now().timestamp()
            found = await asyncio.to_thread(_contents, before, dirty, now)
            if edition == self._edition:
                break
            self._dirty |= dirty
        if found != before:
            self._contents = found
            self._moved = True
        return frozenset(
            path for path, content in found.items() if content.digest != self._known[path]
        )

    async def _until_woken(self, seconds: float) -> None:
        async def wake() -> None:
            await self._clock.sleep(seconds)
            self._woken.set()

        async with asyncio.TaskGroup() as group:
            timer = group.create_task(wake())
            await self._woken.wait()
            timer.cancel()
        self._woken.clear()

    async def _follow(self) -> None:
        """Let events come from where the paths are now."""
        old = self._layout
        self._layout = await asyncio.to_thread(layout_of, self._contents)
        if self._force_polling or self._layout.folders == old.folders:
            return
        self._why_polling = await asyncio.to_thread(remote_reason, self._layout.folders)
        events = None
        if not self._why_polling:
            try:
                events = _Events(self._layout.folders, self._on_events, self._on_end)
            except (OSError, RuntimeError, UnicodeError) as error:
                self._why_polling = str(error)
        await self._replace_events(events)
        self._say()

    async def _replace_events(self, events: "_Events | None") -> None:
        old, self._events = self._events, events
        if old is not None:
            await old.close()

    def _on_events(self, names: Iterable[str]) -> None:
        for name in names:
            if concerned := self._layout.concerned(name) & self._contents.keys():
                self._dirty |= concerned
                self._last_event = self._clock.monotonic()
                self._woken.set()

    def _on_end(self, reason: str) -> None:
        """Go on without events."""
        self._why_polling = reason
        self._events = None
        self._woken.set()
        self._say()

    def _say(self) -> None:
        if self._why_polling and not self._said:
            self._said = True
            logger.warning(
                "files are looked at every %g s: their changes cause no events (%s)",
                self._poll_seconds,
                self._why_polling,
            )


class _Events:
    """What happens in some folders, not below them, as told by a thread.

    Raises:
        OSError, RuntimeError: a folder is not there, or the system gives no (further) events.

    """

    def __init__(
        self,
        folders: Iterable[str],
        deliver: Callable[[Iterable[str]], None],
        ended: Callable[[str], None],
    ) -> None:
        self._notify = RustNotify(
            list(folders),
            debug=False,
            force_polling=False,
            poll_delay_ms=2000,
            recursive=False,
            ignore_permission_denied=True,
        )
        self._deliver = deliver
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self._done = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="meshd-watch", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """End the thread, which takes one step at most."""
        self._stop.set()
        await self._done.wait()
        self._thread.join()

    def _run(self) -> None:
        # Who waits for a loop that was closed meanwhile is gone.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._finish, self._told_until_the_end())

    def _told_until_the_end(self) -> str:
        try:
            while isinstance(told := self._notify.watch(STEP_MS, STEP_MS, 0, self._stop), set):
                self._loop.call_soon_threadsafe(self._deliver, {name for _, name in told})
        except RuntimeError as error:
            return str(error)
        else:
            return ""
        finally:
            self._notify.close()

    def _finish(self, reason: str) -> None:
        self._done.set()
        if reason and not self._stop.is_set():
            self._ended(reason)


def _contents(
    before: Mapping[Path, Content], dirty: set[Path], now_seconds: float
) -> dict[Path, Content]:
    """Return what the paths hold now; what is dirty is read even if it looks the same."""
    return {
        path: content_of(path, None if path in dirty else content, now_seconds)
        for path, content in before.items()
    }


def remote_reason(folders: Iterable[str], table: Path = MOUNTS) -> str | None:
    """Return why the folders cannot be relied upon to cause events, or None."""
    try:
        lines = table.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    mounts: dict[str, str] = {}
    for line in lines:
        before, _, after = line.partition(" - ")
        point = before.split(" ")[4].replace("\\040", " ")
        mounts[point] = after.split(" ")[0]
    for folder in folders:
        at = Path(folder)
        point = next((str(one) for one in (at, *at.parents) if str(one) in mounts), "/")
        kind = mounts.get(point, "")
        if REMOTE.fullmatch(kind):
            return f"`{folder}` is on {kind}"
    return None
