"""What may be imported, decided before any import, and what may be reached after it.

In: the text of a reference, import roots and the patterns of `meshd.toml`. Out: a grant or a
refusal with its reason. `decide` looks at names and at files below the roots and imports nothing.
`origin_problem` looks at an object that has been reached and says whether it is foreign.
"""

import functools
import sys
import types
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from meshd.callables import find
from meshd.callables.references import (
    LONGEST,
    Reference,
    chain_problem,
    choice,
    printable,
    read_reference,
)
from meshd.diagnostics.suggest import closest


class Grant(StrEnum):
    """Why a reference may be imported, which decides how far it is trusted."""

    EXACT = "exact"
    PATTERN = "pattern"
    ROOT = "root"


@dataclass(frozen=True, slots=True)
class Allowed:
    """A reference that may be imported."""

    reference: Reference
    grant: Grant


@dataclass(frozen=True, slots=True)
class Refused:
    """A reference that may not be imported: code, one fact, what stands under the caret, a fix."""

    code: str
    message: str
    label: str = ""
    hint: str = ""


def pattern_problem(pattern: str) -> str | None:
    """Return why the text is no pattern of the allow-list, or None."""
    if len(pattern) > LONGEST:
        return f"it is longer than {LONGEST} characters"
    if ":" in pattern:
        reference = read_reference(pattern)
        return reference if isinstance(reference, str) else None
    if pattern == "*":
        return "it would allow every module there is"
    return chain_problem(pattern.removesuffix(".*"))


@dataclass(frozen=True, slots=True)
class ImportPolicy:
    """Import roots and allow-list patterns: `trip.*`, `trip` or `hashlib:sha256`."""

    roots: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()

    def decide(self, text: str) -> Allowed | Refused:
        """Decide from the text of a reference, before anything is imported."""
        reference = read_reference(text)
        if isinstance(reference, str):
            return Refused(
                "M210",
                f"`{printable(text)}` does not name an object in a module",
                reference,
                "write `package.module:name`",
            )
        if str(reference) in self.patterns:
            return Allowed(reference, Grant.EXACT)
        if self._matches(reference.module):
            return Allowed(reference, Grant.PATTERN)
        if find.find_module(reference.module, self.roots) is None:
            return self._not_found(reference)
        if reference.top in sys.stdlib_module_names:
            return Refused(
                "M212",
                f"`{reference.module}` has the name of a module of the standard library",
                f"`{reference.top}` below the import roots cannot be imported",
                f"rename your `{reference.top}`",
            )
        return Allowed(reference, Grant.ROOT)

    def covers(self, module: str) -> bool:
        """Say whether objects that come from the module, which is imported, may be reached."""
        top = module.partition(".")[0]
        return self._matches(module) or (
            top not in sys.stdlib_module_names
            and (self._is_imported_from_root(top) or self._is_imported_from_root(module))
        )

    def _is_imported_from_root(self, module: str) -> bool:
        # A name that is found below a root proves nothing: a folder without code may have the name
        # of an installed package, which Python then prefers.
        file: object = getattr(sys.modules.get(module), "__file__", None)
        return isinstance(file, str) and any(find.is_inside(file, root) for root in self.roots)

    def _matches(self, module: str) -> bool:
        return any(
            module == pattern.removesuffix(".*")
            or (pattern.endswith(".*") and module.startswith(pattern[:-1]))
            for pattern in self.patterns
            if ":" not in pattern
        )

    def _not_found(self, reference: Reference) -> Refused:
        module = reference.module
        if find.leads_out(module, self.roots):
            return Refused(
                "M211",
                f"`{module}` is not allowed to be imported",
                "a link leads out of the import root",
                "move the code below `python.path`",
            )
        parent, _, _ = module.rpartition(".")
        own_top = reference.top not in sys.stdlib_module_names and (
            find.find_module(reference.top, self.roots) is not None
        )
        if own_top:
            while find.find_module(parent, self.roots) is None:
                parent, _, _ = parent.rpartition(".")
            missing = module.removeprefix(f"{parent}.").partition(".")[0]
            siblings = find.sibling_modules(parent, self.roots)
            return Refused(
                "M220",
                f"module `{module}` not found",
                f"`{parent}` has no module `{missing}`",
                choice(missing, siblings, f"{parent}.") or f"add `{missing}` to `{parent}`",
            )
        near = closest(reference.top, find.sibling_modules("", self.roots))
        return Refused(
            "M211",
            f"`{module}` is not allowed to be imported",
            "not below `python.path`, and not on the allow list",
            f"did you mean `{near}`?" if near else f"if it is meant, {exact_hint(reference)}",
        )

    def origin_problem(self, reference: Reference, value: object) -> Refused | None:
        """Return why the object reached may not be used under a pattern or a root, or None."""
        origin = origin_of(value)
        if origin is not None and (
            self.covers(origin)
            or (self._matches(reference.module) and origin.partition(".")[0] == reference.top)
        ):
            return None
        where = f"`{origin}`" if origin else "no module that it names"
        return Refused(
            "M213",
            f"`{reference}` is not an object of `{reference.top}`",
            f"it comes from {where}",
            f"if it is meant, {exact_hint(reference)}",
        )


def exact_hint(reference: Reference) -> str:
    """Return how to allow exactly this object."""
    return f'write `"{reference}"` in meshd.toml\'s allow list'


def origin_of(value: object) -> str | None:
    """Return the module that the object comes from: of a function, a class, or an instance's class.

    A partial comes from where its function does, a bound method from its function's module unless
    a class defines or inherits it, in which case from the class of the object that it is bound to.
    """
    if isinstance(value, functools.partial):
        return origin_of(value.func)
    if isinstance(value, types.MethodType):
        return _origin_of_method(value)
    if isinstance(value, types.BuiltinMethodType):
        owner: object = value.__self__
        if owner is None or isinstance(owner, types.ModuleType):
            return _named_module(value)
        own = isinstance(owner, type) and any(value.__name__ in vars(c) for c in owner.__mro__)
        return _named_module(owner if own else type(owner))
    if isinstance(value, _DESCRIPTORS):
        return _named_module(value.__objclass__)
    if isinstance(value, types.FunctionType | type):
        return _named_module(value)
    if isinstance(value, _LRU_CACHE):
        return origin_of(value.__wrapped__)
    return _named_module(type(value))


_LRU_CACHE = type(functools.cache(lambda: None))
_DESCRIPTORS = (
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.WrapperDescriptorType,
)


def _origin_of_method(method: types.MethodType) -> str | None:
    function: Any = method.__func__
    owner: object = method.__self__
    owner_type = owner if isinstance(owner, type) else type(owner)
    origin = origin_of(function)
    belongs = any(
        getattr(found, "__func__", found) is function and _is_made_for(base, function, origin)
        for base in owner_type.__mro__
        for found in vars(base).values()
    )
    return _named_module(owner_type) if belongs else origin


def _is_made_for(holder: type, function: object, origin: str | None) -> bool:
    """Say whether the function in a class was written in its package, or made by a decorator."""
    package = (_named_module(holder) or "").partition(".")[0]
    is_closure = "<locals>" in str(getattr(function, "__qualname__", ""))
    return is_closure or (origin or "").partition(".")[0] == package


def _named_module(value: object) -> str | None:
    try:
        name: object = getattr(value, "__module__", None)
    except Exception:  # noqa: BLE001  (a metaclass of the user's)
        return None
    return name if isinstance(name, str) else None
