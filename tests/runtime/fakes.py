"""Bodies and bindings for tests of the runtime, without loader or linker."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from meshd.clock import SystemClock
from meshd.domain.signature import Mode, ToolSignature
from meshd.domain.spec import CallSettings, JsonValue, NeedSpec
from meshd.errors import ArgumentsRejected, ResultRejected
from meshd.plan.model import Binding

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
) -> Binding:
    return Binding(
        id=f"here.tool#{parameter}",
        consumer="here",
        tool="tool",
        parameter=parameter,
        need=NeedSpec(
            parameter=parameter,
            capability="there.thing",
            required=required,
            call=CallSettings(timeout_seconds=timeout_seconds),
        ),
        call=CallSettings(timeout_seconds=timeout_seconds),
        misses=misses,
    )
