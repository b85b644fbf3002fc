"""Callables that know nothing of MCP, each of which shows one thing to a client."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

VALUES: dict[str, Any] = {
    "text": "123",
    "number": 123,
    "list": [],
    "nothing": None,
    "map": {},
    "empty": "",
    "true": True,
    "float": 1.0,
    "nested": {"result": [None, {"a": ""}]},
}


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def value_of(kind):  # type: ignore[no-untyped-def]
    """Answer with a value that is easily mistaken for another."""
    return VALUES[kind]


def text_of(kind: str) -> str | None:
    """Answer with the value's text, or nothing if it has none."""
    value = VALUES[kind]
    return value if isinstance(value, str) else None


async def slow_echo(text: str) -> str:
    """Answer with the argument, after a while that differs from call to call."""
    await asyncio.sleep(random.uniform(0, 0.2))  # noqa: S311
    return text


async def pause(seconds: float) -> str:
    """Answer after a while."""
    await asyncio.sleep(seconds)
    return "rested"


def fail(reason: str) -> str:
    """Raise."""
    raise LookupError(reason)


def leave(status: int) -> None:
    """Ask the interpreter to end, as functions made for the command line do."""
    sys.exit(status)


async def leave_async(status: int) -> None:
    """Do the same on the event loop."""
    sys.exit(status)


def first_of(items: list[str]) -> str:
    """Forget that a list can be empty."""
    return next(iter(items))


async def count(to: int) -> AsyncIterator[int]:
    """Yield the numbers from 1."""
    for number in range(1, to + 1):
        yield number
        await asyncio.sleep(0)


def count_in_a_thread(to: int) -> Iterator[str]:
    """Yield the numbers from 1, as text."""
    for number in range(1, to + 1):
        yield f"number {number}"


async def wait_for_ever(folder: str) -> str:
    """Wait until cancelled; leave a file when it starts and one when it is cancelled."""
    (Path(folder) / "started").touch()
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        (Path(folder) / "cancelled").touch()
        raise
    return "never"


async def wait_for_ever_in_chunks(folder: str) -> AsyncIterator[str]:
    """Yield once, then wait until cancelled; leave a file at the start and at the end."""
    (Path(folder) / "started").touch()
    try:
        yield "first"
        await asyncio.Event().wait()
    finally:
        (Path(folder) / "cancelled").touch()


def motto() -> str:
    """Serve a resource."""
    return "From YAML to a mesh that answers"


def square(number: int) -> str:
    """Serve a resource with a parameter."""
    return f'{{"square": {number * number}}}'


def ask_about(topic: str) -> str:
    """Make a prompt."""
    return f"What do you know about {topic}?"


async def add_three(a: int, b: int, c: int, add: Callable[..., Awaitable[int]]) -> int:
    """Add three numbers by way of another agent."""
    return await add(a=await add(a=a, b=b), b=c)


def add_three_in_a_thread(a: int, b: int, c: int, add: Callable[..., int]) -> int:
    """Add three numbers by way of another agent, without async."""
    return add(a=add(a=a, b=b), b=c)
