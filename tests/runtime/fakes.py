"""Bodies and bindings for tests of the runtime, without loader or linker."""

import asyncio
import selectors
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from meshd.clock import SystemClock
from meshd.domain.signature import Mode, ToolSignature
from meshd.domain.spec import CallSettings, JsonValue, NeedSpec
from meshd.errors import ArgumentsRejected, ResultRejected
from meshd.plan.model import Binding
from meshd.runtime.context import CallContext
from meshd.runtime.outgoing import Outgoing
from meshd.runtime.upstreams import NO_TRAITS, Traits

T = TypeVar("T")

OUTPUT_SCHEMA: dict[str, JsonValue] = {"type": "object", "properties": {"result": {}}}


async def turn() -> None:
    """Let everything else that is ready on the event loop run once."""
    await SystemClock().sleep(0)


class FakeClock:
    """A clock that a test moves; who sleeps on it wakes when its time has come."""

    def __init__(self) -> None:
        self.seconds = 1_000.0
        self._sleeping: list[tuple[float, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        self._sleeping.append((self.seconds + seconds, future))
        await future

    async def pass_by(self, seconds: float) -> None:
        """Let time pass, waking sleepers in order, each with all that follows at once."""
        end = self.seconds + seconds
        while True:
            await settle()
            due = [entry for entry in self._sleeping if entry[0] <= end and not entry[1].done()]
            if not due:
                break
            entry = min(due, key=lambda one: one[0])
            self._sleeping.remove(entry)
            self.seconds = max(self.seconds, entry[0])
            entry[1].set_result(None)
        self.seconds = end
        await settle()


async def settle() -> None:
    """Let everything that is ready on the event loop run to where it waits."""
    for _ in range(20):
        await turn()


class Jumping(selectors.SelectSelector):
    """Never waits: what would be waited for is time that has passed."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise AssertionError("everything waits, and nothing will come")
        self.passed += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer as soon as nothing is left to do."""

    def __init__(self) -> None:
        self._jumping = Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.passed


class LoopClock:
    """A clock that goes as the event loop does."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.monotonic(), UTC)

    async def sleep(self, seconds: float) -> None:
        await SystemClock().sleep(seconds)


def virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


@dataclass(eq=False)
class FakeUpstream:
    """Answers after a number of seconds; notes what it was asked, and when.

    `errors` are raised first, one a call; `error` by each call. A list is streamed as its chunks.
    """

    value: JsonValue = None
    seconds: float = 0.0
    provider: str = "there.thing"
    traits: Traits = NO_TRAITS
    key: Any = None
    error: Exception | None = None
    errors: list[Exception] = field(default_factory=list[Exception])
    asked: list[dict[str, JsonValue]] = field(default_factory=list[dict[str, JsonValue]])
    times: list[float] = field(default_factory=list[float])
    cancelled: int = 0
    deadline: float | None = None
    outgoing: Outgoing | None = None

    def __post_init__(self) -> None:
        self.key = id(self) if self.key is None else self.key

    async def call(
        self, arguments: dict[str, JsonValue], outgoing: Outgoing, context: CallContext
    ) -> JsonValue:
        await self._asked(arguments, outgoing, context)
        return self.value

    async def stream(
        self, arguments: dict[str, JsonValue], outgoing: Outgoing, context: CallContext
    ) -> AsyncGenerator[JsonValue, None]:
        await self._asked(arguments, outgoing, context)
        for chunk in self.value:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    async def _asked(
        self, arguments: dict[str, JsonValue], outgoing: Outgoing, context: CallContext
    ) -> None:
        self.asked.append(arguments)
        self.times.append(asyncio.get_running_loop().time())
        self.deadline, self.outgoing = context.deadline, outgoing
        try:
            await SystemClock().sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.errors:
            raise self.errors.pop(0)
        if self.error is not None:
            raise self.error


class FakeBody:
    """A body that calls a function with keyword arguments; `object()` cannot be dumped."""

    def __init__(self, function: Callable[..., Any], mode: Mode = Mode.SYNC, **more: Any) -> None:
        self._function = function
        self.signature = ToolSignature(
            description="",
            input_schema={"type": "object", "properties": {}},
            output_schema=None if more.get("mcp_content") else OUTPUT_SCHEMA,
            mode=mode,
            **more,
        )

    def validate(self, arguments: Mapping[str, JsonValue]) -> dict[str, Any]:
        if "wrong" in arguments:
            raise ArgumentsRejected("arguments rejected: `wrong` is wrong")
        return dict(arguments)

    def validate_texts(self, arguments: Mapping[str, str]) -> dict[str, Any]:
        return self.validate(arguments)

    def invoke(self, bound: Mapping[str, Any], injected: Mapping[str, Any]) -> Any:
        return self._function(**bound, **injected)

    def dump(self, value: Any) -> JsonValue:
        if type(value) is object:
            raise ResultRejected("its result is an `object`")
        return value

    def dump_item(self, chunk: Any) -> JsonValue:
        return self.dump(chunk)


def binding(
    *,
    required: bool = False,
    timeout_seconds: float | None = 5.0,
    misses: tuple[str, ...] = (),
    parameter: str = "other",
    **settings: Any,
) -> Binding:
    call = CallSettings(timeout_seconds=timeout_seconds, **settings)
    return Binding(
        id=f"here.tool#{parameter}",
        consumer="here",
        tool="tool",
        parameter=parameter,
        need=NeedSpec(
            parameter=parameter,
            capability="there.thing",
            required=required,
            call=call,
        ),
        call=call,
        misses=misses,
    )
