import collections
import datetime
import functools
import hashlib
import json
import logging
import math
import os.path
import re
import types
from pathlib import Path

import pytest

from meshd.callables.allow import Allowed, Grant, ImportPolicy, Refused, origin_of
from meshd.callables.references import Reference
from meshd.diagnostics.model import Diagnostic
from tests.callables.project import loader, write


class Own(dict[str, int]):
    """A class of this module, with inherited and own methods."""

    def method(self) -> None: ...

    @classmethod
    def make(cls) -> None: ...

    @staticmethod
    def plain() -> None: ...


def function() -> None: ...


class Bare:
    """A callable object."""

    def __call__(self) -> None: ...


HERE = __name__
OWN = Own()
NAMELESS = types.FunctionType((lambda: None).__code__, {})


@pytest.mark.parametrize(
    ("value", "origin"),
    [
        (function, HERE),
        (Own, HERE),
        (OWN, HERE),
        (OWN.method, HERE),
        (OWN.update, HERE),
        (Own.make, HERE),
        (Own.plain, HERE),
        (Own.update, "builtins"),
        (Own.fromkeys, HERE),
        (Bare(), HERE),
        (functools.partial(function), HERE),
        (functools.partial(functools.partial(json.dumps)), "json"),
        (functools.cache(function), HERE),
        (functools.cache(json.dumps), "json"),
        (functools.wraps(json.dumps)(lambda: None), "json"),
        (types.MethodType(function, OWN), HERE),
        (types.MethodType(function, logging), HERE),
        (types.MethodType(json.dumps, OWN), "json"),
        (types.MethodType(math.sqrt, OWN), "math"),
        (json.dumps, "json"),
        (math.sqrt, "math"),
        (hashlib.sha256, "_hashlib"),
        (os.path.join, os.path.__name__),
        (len, "builtins"),
        ("text".upper, "builtins"),
        (str.upper, "builtins"),
        (dict.fromkeys, "builtins"),
        (dict.__dict__["fromkeys"], "builtins"),
        (object.__init__, "builtins"),
        (datetime.date.fromisoformat, "datetime"),
        (datetime.date(2026, 1, 1).isoformat, "datetime"),
        (collections.Counter("aa").most_common, "collections"),
        (collections.Counter, "collections"),
        (logging.getLogger().info, "logging"),
        (re.compile("a").sub, "re"),
        (Path().joinpath, Path.__module__),
        (list[int], "types"),
        (7, "builtins"),
        (None, "builtins"),
        (NAMELESS, None),
    ],
)
def test_every_object_has_an_origin(value: object, origin: str | None) -> None:
    assert origin_of(value) == origin


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(write(tmp_path, {"trip/plan.py": "", "helpers.py": "", "email.py": ""}))


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        ("trip.plan:plan", Grant.ROOT),
        ("helpers:run", Grant.ROOT),
        ("math:sqrt", Grant.PATTERN),
        ("json.decoder:JSONDecoder", Grant.PATTERN),
        ("hashlib:sha256", Grant.EXACT),
        ("trip.plan:exact", Grant.EXACT),
        ("email:x", "M212"),
        ("os:system", "M211"),
        ("hashlib:md5", "M211"),
        ("trip.pln:x", "M220"),
        ("nonsense", "M210"),
    ],
)
def test_the_decision_is_made_from_the_text(text: str, decision: str, root: str) -> None:
    allowed = ("math", "json.*", "hashlib:sha256", "trip.plan:exact")
    found = ImportPolicy((root,), allowed).decide(text)
    if isinstance(found, Allowed):
        assert (str(found.reference), found.grant) == (text, decision)
    else:
        assert found.code == decision


@pytest.mark.parametrize(
    ("value", "refused"),
    [
        (json.dumps, False),
        (math.sqrt, True),
        (logging.getLogger, False),
        (re.compile("a").sub, True),
        (NAMELESS, True),
    ],
)
def test_what_is_reached_must_be_of_the_package_or_allowed_itself(
    value: object, refused: bool, root: str
) -> None:
    policy = ImportPolicy((root,), ("json", "logging.*"))
    problem = policy.origin_problem(Reference("json", ("x",)), value)
    assert (problem is not None) == refused


def test_under_a_root_an_object_must_come_from_a_file_below_the_roots(root: str) -> None:
    def borrowed() -> None: ...

    def refusal(module: str) -> Refused | None:
        borrowed.__module__ = module
        reference = Reference("trip.plan", ("borrowed",))
        return ImportPolicy((root,)).origin_problem(reference, borrowed)

    assert isinstance(loader(Path(root)).load("helpers:run"), Diagnostic)
    assert refusal("helpers") is None
    hint = 'if it is meant, write `"trip.plan:borrowed"` in meshd.toml\'s allow list'
    message = "`trip.plan:borrowed` is not an object of `trip`"
    # Of `email`, a file lies below the root, but Python's own module is the one that is imported;
    # `trip.other` has the right package, but no file at all.
    for module in ("email", "trip.other", "pytest"):
        assert refusal(module) == Refused("M213", message, f"it comes from `{module}`", hint)
