"""The only import of user code: a reference to the object that it names, or why there is none.

Roots are searched after the standard library, which so cannot be shadowed, and before installed
packages. Nothing is imported that the policy does not allow, and a module allowed because it lies
below a root is imported only if Python finds that very file.
"""

import importlib
import importlib.util
import sys
import sysconfig
import types
import typing
from collections.abc import MutableSequence, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meshd.callables import find
from meshd.callables.allow import Allowed, Grant, ImportPolicy, Refused
from meshd.callables.failures import (
    Failure,
    files_of,
    import_failure,
    summary,
    users_traceback,
)
from meshd.callables.references import Reference, choice
from meshd.diagnostics.model import Diagnostic, Span


@dataclass(frozen=True, slots=True)
class Loaded:
    """An object that a reference led to, and the object that it was read from."""

    value: Any
    owner: object
    reference: Reference
    grant: Grant


class Loader:
    """Loads the user's objects for one agent under its import policy."""

    def __init__(self, policy: ImportPolicy, path: MutableSequence[str] | None = None) -> None:
        """Take the policy and the search path to insert the roots into (`sys.path`)."""
        self.policy = policy
        self._path = sys.path if path is None else path
        self._failures: dict[str, Failure] = {}
        self._ready = False
        self.suspects: set[str] = set()
        """The files that an import failed in."""

    def load(
        self, text: str, span: Span | None = None, *, as_type: bool = False
    ) -> Loaded | Diagnostic:
        """Return the object that `module:qualname` names; `as_type` also lets type aliases pass."""
        decision = self.policy.decide(text)
        if isinstance(decision, Refused):
            return _failure(decision).at(span)
        module = self._import(decision)
        if isinstance(module, Failure):
            return module.at(span)
        reference, exact = decision.reference, decision.grant is Grant.EXACT
        reached = self.walk(module, reference.path, reference.module, exact=exact)
        if isinstance(reached, Failure):
            return reached.at(span)
        if not exact and not (as_type and is_type_alias(reached.found)):
            problem = self.policy.origin_problem(reference, reached.found)
            if problem is not None:
                return _failure(problem).at(span)
        return Loaded(reached.found, reached.owner, reference, decision.grant)

    def users_traceback(self, error: BaseException) -> str:
        """Return the frames of the agent's own files, and the exception."""
        return users_traceback(error, self.policy.roots)

    def _import(self, allowed: Allowed) -> types.ModuleType | Failure:
        self._prepare()
        name = ""
        for part in allowed.reference.module.split("."):
            name = f"{name}.{part}" if name else part
            if name in self._failures:
                return self._failures[name]
            problem = self._import_step(name, allowed.grant)
            if problem is not None:
                self._failures[name] = problem
                return problem
        module = sys.modules.get(name)
        if module is None:
            return Failure(
                "M221",
                f"the import of `{name}` left no module",
                "the module removed itself from `sys.modules`",
                "let the module stay",
            )
        return module

    def _import_step(self, name: str, grant: Grant) -> Failure | None:
        """Import one module whose parents are imported already."""
        imported = sys.modules.get(name)
        if imported is not None:
            return self._foreign(name, _files(imported)) if grant is Grant.ROOT else None
        parent, _, last = name.rpartition(".")
        if parent and not _is_package(sys.modules[parent]):
            return self._missing(name, parent, last)
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError, AttributeError):
            spec = None
        if spec is None:
            return self._missing(name, parent, last)
        if grant is Grant.ROOT and spec.origin is not None:
            foreign = self._foreign(name, [spec.origin])
            if foreign is not None:
                return foreign
        return self._run_import(name, spec.origin)

    def _run_import(self, name: str, origin: str | None) -> Failure | None:
        try:
            importlib.import_module(name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  (user code ends here, by SystemExit too)
            folders = [*self.policy.roots, *([str(Path(origin).parent)] if origin else [])]
            self.suspects |= {*([origin] if origin else []), *files_of(error)}
            return import_failure(name, error, folders)
        return None

    def _foreign(self, name: str, files: list[str]) -> Failure | None:
        """Return a failure if the module that Python has or finds is not below a root."""
        outside = [
            file
            for file in files
            if not any(find.is_inside(file, root) for root in self.policy.roots)
        ]
        if not outside:
            return None
        return Failure(
            "M212",
            f"`{name}` has the name of a module from elsewhere",
            f"Python already knows `{name}` from {outside[0]}",
            f"rename your `{name.partition('.')[0]}`",
        )

    def _missing(self, name: str, parent: str, last: str) -> Failure:
        siblings = find.sibling_modules(parent, self.policy.roots) if parent else ()
        return Failure(
            "M220",
            f"module `{name}` not found",
            f"`{parent}` has no module `{last}`" if parent else "no such module is installed",
            choice(last, siblings, f"{parent}.") or f"install what provides `{name}`",
        )

    def walk(
        self, start: object, path: Sequence[str], way: str, *, exact: bool = False
    ) -> "Reached | Failure":
        """Follow attributes from an object called `way`; through modules only if `exact`."""
        value: Any = start
        owner: object = None
        for number, name in enumerate(path):
            try:
                found = getattr(value, name)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001  (a property or __getattr__ of the user's)
                if isinstance(error, AttributeError) and name not in _attributes(value):
                    return _attribute_missing(value, name, way)
                return Failure(
                    "M221",
                    f"reading `{name}` of `{way}` raised `{type(error).__name__}`",
                    summary(error),
                    "correct what is read there",
                    self.users_traceback(error),
                )
            if isinstance(found, types.ModuleType) and not exact:
                return _through_module(way, name, found, path[number + 1 :])
            owner, value = value, found
            way = f"{way}.{name}" if number else f"{way}{_joint(start)}{name}"
        if isinstance(value, types.ModuleType):
            return Failure("M224", f"`{way}` is a module", "a module cannot be called")
        return Reached(value, owner)

    def _prepare(self) -> None:
        """Insert the roots into the search path, once."""
        if self._ready:
            return
        self._ready = True
        place = after_standard_library(self._path)
        for root in reversed(self.policy.roots):
            if root in self._path[:place]:
                continue
            if root in self._path:
                self._path.remove(root)
            self._path.insert(place, root)
        importlib.invalidate_caches()


@dataclass(frozen=True, slots=True)
class Reached:
    """What a walk found, in a box because it may be anything; `owner` is where it was read from."""

    found: Any
    owner: object


def is_type_alias(value: object) -> bool:
    """Say whether the value is a way to write a type: `list[Trip]`, `A | B`, a `NewType`."""
    return typing.get_origin(value) is not None or isinstance(
        value, typing.NewType | types.UnionType
    )


def after_standard_library(path: Sequence[str]) -> int:
    """Return the index behind the last entry of the standard library, or 0."""
    library = Path(sysconfig.get_path("stdlib")).resolve()
    platform = Path(sysconfig.get_path("platstdlib")).resolve()
    own = {library, platform, library / "lib-dynload", platform / "lib-dynload"}
    return max((n + 1 for n, entry in enumerate(path) if Path(entry).resolve() in own), default=0)


def _files(module: types.ModuleType) -> list[str]:
    file: object = getattr(module, "__file__", None)
    if isinstance(file, str):
        return [file]
    folders: list[str] = list(getattr(module, "__path__", []))
    # What has neither file nor folder is built into Python, so never below a root.
    return [] if folders else [f"Python itself (`{module.__name__}`)"]


def _is_package(module: object) -> bool:
    try:
        return hasattr(module, "__path__")
    except Exception:  # noqa: BLE001  (a __getattr__ of the user's)
        return False


def _joint(start: object) -> str:
    return ":" if isinstance(start, types.ModuleType) else "."


def _attributes(value: object) -> list[str]:
    try:
        return dir(value)
    except Exception:  # noqa: BLE001  (a __dir__ of the user's)
        return []


def _attribute_missing(value: object, name: str, way: str) -> Failure:
    known = (known for known in _attributes(value) if not known.startswith("_"))
    is_module = isinstance(value, types.ModuleType)
    return Failure(
        "M223",
        f"`{way}{_joint(value)}{name}` not found",
        f"{'module ' if is_module else ''}`{way}` has no `{name}`",
        choice(name, known) or "name something else",
    )


def _through_module(way: str, name: str, found: types.ModuleType, rest: Sequence[str]) -> Failure:
    direct = ".".join(rest) or "NAME"
    return Failure(
        "M213",
        f"`{name}` of `{way}` is a module, through which nothing is reached",
        f"it is the module `{found.__name__}`",
        f"name that module before the colon: `{found.__name__}:{direct}`",
    )


def _failure(refused: Refused) -> Failure:
    return Failure(refused.code, refused.message, refused.label, refused.hint)
