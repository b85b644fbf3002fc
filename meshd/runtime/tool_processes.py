"""The processes that run one tool's calls, one call each at a time, and what is said to them.

A process is started before it is needed, used again and again, and replaced when it has died. It
is killed where nobody wants its result any more, so that no work goes on. How a process is started
is the business of whoever makes this; what is said here is pickled, between two processes that run
the same user code.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from meshd.clock import Clock, SystemClock
from meshd.domain.spec import JsonValue
from meshd.errors import CallError, CallTimedOut, ToolFailed, Unavailable
from meshd.runtime.context import current_call
from meshd.runtime.proxy import AsyncProxy
from meshd.runtime.raised import RaisedElsewhere
from meshd.runtime.workers import Places

USUAL_NUMBER = 2
"""How many processes a tool has whose manifest does not say how many calls may run at a time."""


@dataclass(frozen=True, slots=True)
class Invoke:
    """To the process: call the tool; `needs` says by parameter whether there is a provider."""

    arguments: Mapping[str, JsonValue]
    needs: Mapping[str, bool] = field(default_factory=dict[str, bool])


@dataclass(frozen=True, slots=True)
class Ask:
    """From the process: call what is injected for the parameter."""

    parameter: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """To the process: what the provider answered."""

    value: Any


@dataclass(frozen=True, slots=True)
class Chunk:
    """From the process: a generator has made this."""

    value: JsonValue


@dataclass(frozen=True, slots=True)
class Done:
    """From the process: the result; that of a generator are its chunks."""

    value: JsonValue = None


@dataclass(frozen=True, slots=True)
class Failed:
    """From either: the call failed so."""

    error: CallError


@dataclass(frozen=True, slots=True)
class Raised:
    """From the process: the callable raised this; `error` is there where it can be pickled."""

    description: str
    error: BaseException | None = None


Message = Invoke | Ask | Answer | Chunk | Done | Failed | Raised
End = Done | Failed | Raised


class Link(Protocol):
    """A process that was started, and the way to talk to it."""

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        ...

    async def send(self, message: Message) -> None:
        """Send a message; raise what pickling raises if it cannot be sent."""
        ...

    async def receive(self) -> Message:
        """Return the next message; raise `EOFError` when the process has ended."""
        ...

    async def fate(self) -> str:
        """Return in words how it ended, once it has."""
        ...

    def kill(self) -> None:
        """End it at once, with all that it has started."""
        ...


class DoesNotStart(Exception):
    """A process ended before it could take calls; the text says why."""


class ToolProcesses:
    """Runs the calls of one tool in up to `number` processes; belongs to one event loop."""

    def __init__(
        self,
        provider: str,
        number: int,
        start: Callable[[], Awaitable[Link]],
        *,
        is_generator: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self._provider = provider
        self._is_generator = is_generator
        self._start = start
        self._clock = SystemClock() if clock is None else clock
        self._places = Places(number)
        self._idle: list[Link] = []
        self._busy: set[Link] = set()
        self._starting: deque[asyncio.Future[Link]] = deque()

    def warm_up(self) -> None:
        """Begin to start a first process, so that the first call need not wait for one."""
        self._starting.append(asyncio.ensure_future(self._start()))

    async def close(self) -> None:
        """Kill all processes and wait until they have ended; calls that run in them fail."""
        for starting in self._starting:
            starting.cancel()
        started = await asyncio.gather(*self._starting, return_exceptions=True)
        links = [link for link in started if not isinstance(link, BaseException)]
        links.extend((*self._idle, *self._busy))
        for link in links:
            link.kill()
        await asyncio.gather(*(link.fate() for link in links))

    async def call(
        self,
        arguments: Mapping[str, JsonValue],
        proxies: Mapping[str, AsyncProxy | None],
        on_chunk: Callable[[int, JsonValue], Awaitable[None]] | None,
    ) -> JsonValue:
        """Call the tool in one of the processes, until the call's deadline.

        Raises:
            CallError: with an empty `provider` where it is the tool's own.
            RaisedElsewhere: the callable raised something else.

        """
        deadline = current_call.get().deadline
        if deadline is None:
            return await self._call(arguments, proxies, on_chunk)
        limit = asyncio.timeout(max(0.0, deadline - self._clock.monotonic()))
        try:
            async with limit:
                return await self._call(arguments, proxies, on_chunk)
        except TimeoutError:
            if not limit.expired():
                raise
            message = f"`{self._provider}` was stopped: the call's time was over"
            raise CallTimedOut(message, provider=self._provider) from None

    async def _call(
        self,
        arguments: Mapping[str, JsonValue],
        proxies: Mapping[str, AsyncProxy | None],
        on_chunk: Callable[[int, JsonValue], Awaitable[None]] | None,
    ) -> JsonValue:
        await self._places.take()
        try:
            link = await self._process()
            self._busy.add(link)
            try:
                chunks, end = await self._conversation(link, arguments, proxies, on_chunk)
                self._idle.append(link)
            except EOFError:
                message = f"`{self._provider}` failed: its process {await link.fate()}"
                raise ToolFailed(message, provider=self._provider) from None
            finally:
                self._busy.discard(link)
                if link not in self._idle:
                    # Whatever it does, nobody waits for it any more.
                    link.kill()
        finally:
            self._places.give()
        match end:
            case Done():
                return chunks if self._is_generator else end.value
            case Failed():
                raise end.error
            case Raised():
                raise RaisedElsewhere(end.description, end.error)

    async def _process(self) -> Link:
        """Return a process that takes calls."""
        while self._idle:
            link = self._idle.pop()
            if link.is_alive:
                return link
            link.kill()
        starting = (
            self._starting.popleft() if self._starting else asyncio.ensure_future(self._start())
        )
        try:
            return await asyncio.shield(starting)
        except DoesNotStart as error:
            message = f"`{self._provider}` has no process to run in: {error}"
            raise Unavailable(message, provider=self._provider) from None
        except asyncio.CancelledError:
            # The next call has use for it; else calls with little time would start one after
            # the other, and none would come so far.
            self._starting.append(starting)
            raise

    async def _conversation(
        self,
        link: Link,
        arguments: Mapping[str, JsonValue],
        proxies: Mapping[str, AsyncProxy | None],
        on_chunk: Callable[[int, JsonValue], Awaitable[None]] | None,
    ) -> tuple[list[JsonValue], End]:
        """Let the process run the call; return its chunks and its end."""
        chunks: list[JsonValue] = []
        needs = {name: proxy is not None for name, proxy in proxies.items()}
        await link.send(Invoke(arguments, needs))
        while True:
            match await link.receive():
                case Chunk(value):
                    chunks.append(value)
                    if on_chunk is not None:
                        await on_chunk(len(chunks), value)
                case Ask(parameter, asked):
                    await self._answer(link, proxies[parameter], asked)
                case (Done() | Failed() | Raised()) as end:
                    return chunks, end
                case unexpected:
                    raise EOFError(f"it said {unexpected!r}")

    async def _answer(
        self, link: Link, proxy: AsyncProxy | None, arguments: Mapping[str, Any]
    ) -> None:
        assert proxy is not None  # noqa: S101  (the process was told so)
        try:
            answer: Message = Answer(await proxy(**arguments))
        except CallError as error:
            answer = Failed(error)
        try:
            await link.send(answer)
        except (EOFError, OSError):
            raise EOFError from None
        # Whatever the user's types raise when they are pickled.
        except Exception as error:  # noqa: BLE001
            reason = f"the answer cannot be handed to the process that asked: {error}"
            await link.send(Failed(CallError(reason, provider=self._provider)))
