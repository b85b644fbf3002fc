"""Which callables are known to ask the MCP server that serves them."""

import functools
import json
from collections.abc import Callable
from typing import Any

import fastmcp
import pytest
from fastmcp import Context
from fastmcp.exceptions import ToolError
from fastmcp.server import dependencies
from fastmcp.server.dependencies import get_context, get_http_headers
from fastmcp.utilities.types import Image

from meshd.callables.asks import asks_server


def names() -> list[str]:
    return sorted(get_http_headers())


def through_another() -> Any:
    return json.dumps(names())


async def in_a_comprehension() -> Any:
    return [inner() for inner in (lambda: get_context(),)]  # noqa: PLW0108


def by_module() -> Any:
    return dependencies.get_http_request()


def by_package() -> Any:
    server: Any = fastmcp.server
    return server.dependencies.get_context()


def imported_within() -> Any:
    from fastmcp.server.dependencies import get_access_token  # noqa: PLC0415

    return get_access_token()


def decorated() -> Callable[[], Any]:
    def decorator(function: Callable[[], Any]) -> Callable[[], Any]:
        def wrapper() -> Any:
            return function()

        return wrapper

    return decorator(names)


class Asking:
    def method(self) -> Any:
        return self.another()

    def another(self) -> Any:
        return names()

    def __call__(self) -> Any:
        return self.another()

    @classmethod
    def of_class(cls) -> Any:
        return names()

    @staticmethod
    def of_nobody() -> Any:
        return names()

    @functools.cached_property
    def kept(self) -> Any:
        return names()

    @property
    def said(self) -> Any:
        return names()


class Inheriting(Asking):
    pass


class Modest:
    def method(self) -> Any:
        return json.loads("1")


def loud() -> None:
    raise ToolError("no")


def picture() -> Image:
    return Image(data=b"x", format="png")


def with_an_attribute_of_the_same_name(request: Any) -> Any:
    return request.names


def recursive(n: int) -> int:
    return 0 if n == 0 else recursive(n - 1)


async def with_parameter(context: Context) -> str:
    return context.request_id


def with_an_empty_cell() -> Callable[[], Any]:
    def inner() -> Any:
        return later  # noqa: F821

    later = 1
    del later
    return inner


@pytest.mark.parametrize(
    "target",
    [
        names,
        through_another,
        in_a_comprehension,
        by_module,
        by_package,
        imported_within,
        decorated(),
        functools.partial(names),
        functools.wraps(names)(lambda: None),
        Asking().method,
        Asking.of_class,
        Asking(),
        Asking,
        Inheriting().method,
        get_context,
    ],
)
def test_what_asks(target: Callable[..., Any]) -> None:
    assert asks_server(target)


@pytest.mark.parametrize(
    "target",
    [
        json.dumps,
        len,
        int,
        str.upper,
        "text".upper,
        Modest().method,
        Modest,
        loud,
        picture,
        recursive,
        with_an_attribute_of_the_same_name,
        with_parameter,
        with_an_empty_cell(),
        functools.partial(recursive, 1),
        functools.partial(json.dumps, 1),
    ],
)
def test_what_does_not(target: Callable[..., Any]) -> None:
    assert not asks_server(target)
