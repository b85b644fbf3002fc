"""Objects of an agent: their arguments are converted and checked, and their constructors run."""

from pathlib import Path
from typing import Any

import pytest

from meshd.callables.objects import Made, make_object
from meshd.diagnostics.model import Diagnostic, Span
from meshd.domain.spec import ObjectSpec
from tests.callables.project import loader, write

MODULE = """
    import datetime
    import functools
    import types

    class Cart:
        def __init__(self, limit: int, since: datetime.date | None = None, *, name: str = "x"):
            self.made = (limit, since, name)

    class Open:
        def __init__(self, first, **more):
            self.made = (first, more)

    class Special:
        def __init__(self, module: types.ModuleType = types):
            self.made = module

    class Raising:
        def __init__(self, limit: int = 0):
            check(limit)

    class Leaving:
        def __init__(self):
            raise SystemExit(3)

    class Interrupted:
        def __init__(self):
            raise KeyboardInterrupt

    def check(limit):
        raise ValueError(f"no {limit}")

    def factory(limit: int):
        return Cart(limit)

    async def later():
        return Cart(1)

    def yielding():
        yield Cart(1)

    Unknown = max
    made = functools.partial(Cart, limit=7)
"""


def make(folder: Path, name: str, /, **arguments: Any) -> Made | Diagnostic:
    places = {
        field: Span("mesh.yaml", line, 1, 2)
        for line, field in enumerate(("class_reference", "arguments"), 1)
    }
    spec = ObjectSpec(
        name="cart", class_reference=f"shop:{name}", arguments=arguments, origins=places
    )
    return make_object(spec, loader(write(folder, {"shop.py": MODULE})))


def told(made: Made | Diagnostic) -> tuple[str, str, int, str, str]:
    assert isinstance(made, Diagnostic)
    assert made.span is not None
    return made.code, made.message, made.span.line, made.label, made.hint


@pytest.mark.parametrize(
    ("name", "arguments", "made"),
    [
        ("Cart", {"limit": 10}, "(10, None, 'x')"),
        (
            "Cart",
            {"limit": "10", "since": "2020-01-02", "name": "y"},
            "(10, datetime.date(2020, 1, 2), 'y')",
        ),
        ("Open", {"first": 1, "second": [2]}, "(1, {'second': [2]})"),
        ("factory", {"limit": 3}, "(3, None, 'x')"),
        ("made", {}, "(7, None, 'x')"),
        ("made", {"limit": 8}, "(8, None, 'x')"),
    ],
)
def test_objects_are_made(tmp_path: Path, name: str, arguments: Any, made: str) -> None:
    found = make(tmp_path, name, **arguments)
    assert isinstance(found, Made)
    assert repr(found.value.made) == made


def test_parameters_without_json_form_keep_their_defaults_or_take_what_is_given(
    tmp_path: Path,
) -> None:
    kept, taken = make(tmp_path, "Special"), make(tmp_path, "Special", module="text")
    assert isinstance(kept, Made)
    assert isinstance(taken, Made)
    assert (kept.value.made.__name__, taken.value.made) == ("types", "text")


CANNOT = "object `cart` cannot be made from `shop:{}`"


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        (
            "Cart",
            {},
            ("M225", CANNOT.format("Cart"), 2, "`limit` is missing", "correct its `arguments`"),
        ),
        (
            "Cart",
            {"limti": 1, "since": "soon"},
            (
                "M225",
                CANNOT.format("Cart"),
                2,
                (
                    "`limti` is not a parameter (did you mean `limit`?); `since` should be a valid "
                    "date or datetime, input is too short; `limit` is missing"
                ),
                "correct its `arguments`",
            ),
        ),
        (
            "later",
            {},
            (
                "M225",
                CANNOT.format("later"),
                1,
                "it is a coroutine or generator function",
                "name a class",
            ),
        ),
        (
            "yielding",
            {},
            (
                "M225",
                CANNOT.format("yielding"),
                1,
                "it is a coroutine or generator function",
                "name a class",
            ),
        ),
        (
            "Cartt",
            {},
            (
                "M223",
                "`shop:Cartt` not found",
                1,
                "module `shop` has no `Cartt`",
                "did you mean `Cart`?",
            ),
        ),
        (
            "Leaving",
            {},
            (
                "M225",
                "making object `cart` raised `SystemExit`",
                1,
                "SystemExit: 3",
                "correct the constructor, or its `arguments`",
            ),
        ),
    ],
)
def test_objects_that_cannot_be_made(
    tmp_path: Path, name: str, arguments: Any, problem: tuple[Any, ...]
) -> None:
    assert told(make(tmp_path, name, **arguments)) == problem


def test_a_constructor_that_raises_shows_the_users_frames(tmp_path: Path) -> None:
    found = make(tmp_path, "Raising", limit=4)
    assert told(found) == (
        "M225",
        "making object `cart` raised `ValueError`",
        1,
        "ValueError: no 4",
        "correct the constructor, or its `arguments`",
    )
    assert isinstance(found, Diagnostic)
    frames = [line for line in found.detail.splitlines() if line.startswith("  File")]
    assert len(frames) == 2
    assert all(f'"{tmp_path}/shop.py"' in frame for frame in frames)
    assert found.detail.endswith("ValueError: no 4")


def test_a_constructor_that_is_interrupted_ends_the_loading(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, "Interrupted")


def test_what_has_no_signature_is_called_with_what_is_given(tmp_path: Path) -> None:
    write(tmp_path, {"shop.py": MODULE})
    spec = ObjectSpec(name="cart", class_reference="shop:Unknown", arguments={"a": 1})
    found = make_object(spec, loader(tmp_path, allow=("shop:Unknown",)))
    assert isinstance(found, Diagnostic)
    assert found.message == "making object `cart` raised `TypeError`"
