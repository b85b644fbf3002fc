"""One call of an edge on its way: which upstream, what follows on a failure, and when it ends.

A `Journey` makes attempts one after another (or, hedged, one beside a slow one) within the time of
the call. Whatever it raises is a `CallError`, or what the upstream's own code raised.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeVar

from meshd.domain.spec import JsonValue
from meshd.errors import CallError, CallTimedOut, ConnectionLost, Unauthorised, Unreachable
from meshd.runtime.balance import Line
from meshd.runtime.context import CallContext
from meshd.runtime.retry import Verdict, pause_seconds, verdict
from meshd.runtime.routes import Attempt, Routes, Wired
from meshd.runtime.timer import Timer

T = TypeVar("T")
Sendable = Callable[[str], dict[str, JsonValue]]
"""Returns the arguments as JSON values, for the provider of that name."""


class Journey:
    """One call under way."""

    __slots__ = (
        "_capability",
        "_context",
        "_deadline",
        "_error",
        "_is_own_time",
        "_provider",
        "_retries",
        "_routes",
        "_timer",
        "_tried",
        "_unavailable",
        "attempts",
    )

    def __init__(
        self,
        routes: Routes,
        capability: str,
        unavailable: Callable[[], CallError],
        context: CallContext,
    ) -> None:
        """Begin a call that belongs to the one of the context, within its time.

        `unavailable` returns the error of a need that nobody serves.
        """
        self.attempts = 0
        self._unavailable = unavailable
        self._routes = routes
        self._capability = capability
        self._error: CallError | None = None
        self._provider = capability
        self._retries = 0
        self._timer: Timer | None = None
        self._tried: list[Line[Wired]] = []
        routes.budget.called()
        deadline = routes.now() + (routes.settings.timeout_seconds or 0.0)
        callers = context.deadline
        self._is_own_time = callers is None or callers > deadline
        if callers is not None and not self._is_own_time:
            self._deadline = callers
            self._context = context
        else:
            self._deadline = deadline
            self._context = CallContext(
                context.principal, deadline, context.trace, context.headers, context.opened
            )

    async def call(self, sendable: Sendable) -> tuple[JsonValue, str]:
        """Return the value that an upstream answers, and who it is.

        Raises:
            CallError: the last attempt's, with the number of all.
            CallTimedOut: no answer came in time.

        """
        timer = self._start_timer()
        try:
            while True:
                line = self._at_once() or await self._next()
                try:
                    if line.upstream.hedge_seconds is None:
                        return await self._attempt(line, sendable), self._provider
                    return await self._hedged(line, sendable)
                except CallError as error:
                    await self._go_on(error, line)
        except asyncio.CancelledError:
            if timer.is_over():
                raise self._timed_out() from None
            raise
        finally:
            timer.stop()

    async def stream(self, sendable: Sendable) -> AsyncGenerator[tuple[JsonValue, str], None]:
        """Yield the chunks of an upstream; until the first one, a failure goes on elsewhere.

        Only while a chunk is awaited time can be over. Raises as `call` does.
        """
        while True:
            line = await self._in_time(self._next())
            has_chunk = False
            chunks = self._chunks(line, sendable)
            try:
                async for chunk in chunks:
                    has_chunk = True
                    yield chunk, self._provider
            except CallError as error:
                error.attempts = self.attempts
                if has_chunk or self._is_too_late():
                    raise
                await self._in_time(self._go_on(error, line))
            else:
                return
            finally:
                await chunks.aclose()

    async def _next(self) -> Line[Wired]:
        """Return the line for the next attempt, waiting for one if it is worth it."""
        while (line := self._at_once()) is None:
            if not await self._routes.wait_for_chance(self._tried):
                raise self._nobody()
        return line

    def _at_once(self) -> Line[Wired] | None:
        """Return the line for the next attempt, if there is one to use now."""
        now = self._routes.now()
        if now >= self._deadline:
            raise self._timed_out()
        line = self._routes.lines.pick(now, self._tried)
        if line is not None:
            self._provider = line.upstream.provider
        return line

    async def _attempt(self, line: Line[Wired], sendable: Sendable) -> JsonValue:
        routes, wired = self._routes, line.upstream
        arguments = sendable(wired.provider)
        attempt = self._begin(line)
        calling = wired.upstream.call(arguments, wired.outgoing, self._context)
        if wired.attempt_seconds is not None:
            calling = self._limited(calling, wired, attempt)
        try:
            value = await calling
        except BaseException as error:
            self._ended(error, attempt)
            raise
        routes.answered(attempt, well=True)
        return value

    async def _limited(
        self, calling: Awaitable[JsonValue], wired: Wired, attempt: Attempt
    ) -> JsonValue:
        """Await an attempt for as long as one may take; the last one has what the call has left."""
        retries_left = (wired.settings.retries_max or 0) - self._retries
        limit = asyncio.timeout(wired.attempt_seconds if retries_left > 0 else None)
        try:
            async with limit:
                return await calling
        except TimeoutError as error:
            if isinstance(error, CallTimedOut) or not limit.expired():
                raise
            attempt.is_too_late = True
            message = f"`{wired.provider}` did not answer within {wired.attempt_seconds:g} s"
            raise CallTimedOut(message, provider=wired.provider) from None

    async def _chunks(
        self, line: Line[Wired], sendable: Sendable
    ) -> AsyncGenerator[JsonValue, None]:
        """Yield the chunks of one attempt."""
        wired = line.upstream
        arguments = sendable(wired.provider)
        attempt = self._begin(line)
        chunks = wired.upstream.stream(arguments, wired.outgoing, self._context)
        try:
            while (chunk := await self._in_time(anext(chunks, _END))) is not _END:
                yield chunk
        except BaseException as error:
            self._ended(error, attempt)
            raise
        else:
            self._routes.answered(attempt, well=True)
        finally:
            await chunks.aclose()

    def _begin(self, line: Line[Wired]) -> Attempt:
        self.attempts += 1
        return self._routes.begin(line)

    def _ended(self, error: BaseException, attempt: Attempt) -> None:
        """Let the line know how an attempt ended."""
        routes = self._routes
        match error:
            case _ if self._is_too_late() or attempt.is_too_late:
                routes.gave_up(attempt, is_too_late=True)
            case Unreachable():
                routes.refused(attempt)
            case ConnectionLost():
                routes.broke(attempt)
            case CallError():
                routes.answered(attempt, well=False)
            case _:
                routes.gave_up(attempt, is_too_late=False)

    async def _go_on(self, error: CallError, line: Line[Wired]) -> None:
        """Return if another attempt may follow, when it may; else raise the error."""
        routes, wired = self._routes, line.upstream
        error.attempts = self.attempts
        self._error = error
        if isinstance(error, Unauthorised) and not wired.outgoing.has_token:
            raise self._without_token(error) from None
        kinds = wired.settings.retries_on or ()
        match verdict(error, kinds, is_idempotent=wired.idempotent):
            case Verdict.END:
                raise error
            case Verdict.ELSEWHERE:
                routes.counters.failovers += 1
                # Its breaker keeps the others away, until it is time to try again.
                if not isinstance(error, Unreachable):
                    self._tried.append(line)
            case Verdict.AGAIN:
                await self._pause(error, line)

    async def _pause(self, error: CallError, line: Line[Wired]) -> None:
        """Wait before a retry, unless there is another upstream for it; raise if there is none."""
        routes, settings = self._routes, line.upstream.settings
        now = routes.now()
        if self._retries >= (settings.retries_max or 0) or not routes.budget.spend(now):
            raise error
        self._retries += 1
        routes.counters.retries += 1
        self._tried.append(line)
        if routes.lines.has_other(now, self._tried):
            return
        self._tried.clear()
        base = settings.retries_backoff_seconds or 0.0
        pause = pause_seconds(self._retries, base, routes.chance())
        if now + pause >= self._deadline:
            raise error
        await routes.sleep(pause)

    async def _hedged(self, line: Line[Wired], sendable: Sendable) -> tuple[JsonValue, str]:
        """Make an attempt, and a second one elsewhere if it takes long; the first answer counts."""
        routes = self._routes
        first = asyncio.ensure_future(self._attempt(line, sendable))
        running = {first: line.upstream.provider}
        try:
            await asyncio.wait(running, timeout=line.upstream.hedge_seconds)
            if not first.done() and (other := self._other(line)) is not None:
                routes.counters.hedges += 1
                second = asyncio.ensure_future(self._attempt(other, sendable))
                running[second] = other.upstream.provider
            pending = set(running)
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for one in done:
                    if one.exception() is None:
                        return one.result(), running[one]
            return await first, line.upstream.provider
        finally:
            for one in running:
                one.cancel()
            await asyncio.wait(running)
            for one in running:
                _ = one.cancelled() or one.exception()

    def _other(self, line: Line[Wired]) -> Line[Wired] | None:
        """Return another line for a second attempt, if the budget has one left."""
        routes = self._routes
        now = routes.now()
        tried = (*self._tried, line)
        if not routes.lines.has_other(now, tried) or not routes.budget.spend(now):
            return None
        return routes.lines.pick(now, tried)

    def _nobody(self) -> CallError:
        """Return the error of a call for which there is no upstream to use, or no more."""
        error = self._error or self._routes.nothing() or self._unavailable()
        error.attempts = self.attempts
        return error

    def _without_token(self, error: Unauthorised) -> Unauthorised:
        message = (
            f"{error}; no token is known for it: set `call.auth` on the need of "
            f"`{self._capability}`, or MCP_MESH_AUTH_TOKEN"
        )
        return Unauthorised(message, provider=error.provider, attempts=self.attempts)

    def _start_timer(self) -> Timer:
        self._timer = Timer(self._deadline - self._routes.now())
        return self._timer

    async def _in_time(self, step: Awaitable[T]) -> T:
        """Await a step of a stream, as long as there is time."""
        timer = self._start_timer()
        try:
            return await step
        except asyncio.CancelledError:
            if timer.is_over():
                raise self._timed_out() from None
            raise
        finally:
            timer.stop()

    def _is_too_late(self) -> bool:
        return self._timer is not None and self._timer.expired

    def _timed_out(self) -> CallTimedOut:
        seconds = self._routes.settings.timeout_seconds or 0.0
        within = f"{seconds:g} s" if self._is_own_time else "the time that its caller had left"
        message = f"`{self._provider}` did not answer within {within}"
        error = CallTimedOut(message, provider=self._provider, attempts=self.attempts)
        error.executed = self.attempts > 0
        return error


_END: Any = object()
