"""Semantic versions and constraints on them, as the registry of MCP Mesh understands both.

The meaning is that of Masterminds semver v3 for Go, quirks included, so that one need resolves to
one provider whichever registry answers; docs/decisions/0002 says why no library is used. What
cannot be parsed is no error: such texts match by equality and sort below every version.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

MAX_LENGTH = 256
"""Longer texts do not parse; it bounds the work that a hostile text can cause."""

_MAX_NUMBER = 2**64 - 1
_SPACE = r"[\t\n\f\r ]"
_SUFFIX = (
    r"(?:-(?P<pre>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_VERSION = re.compile(rf"v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?{_SUFFIX}\Z")
_BOUND = re.compile(
    r"(?P<operator>=|!=|>=|=>|<=|=<|>|<|~>|~|\^|)" + _SPACE + r"*"
    r"v?(?P<major>[0-9xX*]+)(?:\.(?P<minor>[0-9xX*]+))?(?:\.(?P<patch>[0-9xX*]+))?" + _SUFFIX
)
_SEPARATOR = re.compile(rf"{_SPACE}*,{_SPACE}*|{_SPACE}+")
_RANGE_END = (
    r"v?[0-9xX*]+(?:\.[0-9xX*]+){0,2}"
    r"(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_RANGE = re.compile(rf"{_SPACE}*({_RANGE_END}){_SPACE}+-{_SPACE}+({_RANGE_END}){_SPACE}*")

PrereleaseKey = tuple[tuple[int, int, str], ...]


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A semantic version, ordered by precedence; build metadata does not count."""

    major: int
    minor: int
    patch: int
    is_release: bool
    prerelease: PrereleaseKey


_ZERO = Version(0, 0, 0, is_release=True, prerelease=())


@dataclass(frozen=True, slots=True)
class Bound:
    """One comparison; `precision` counts the numbers given before an `x` or the end."""

    operator: str
    version: Version
    precision: int

    def admits(self, version: Version) -> bool:
        """Say whether the version satisfies the comparison, prereleases taken as they are."""
        return _CHECKS[self.operator](version, self)


@dataclass(frozen=True, slots=True)
class Constraint:
    """Alternatives of which one must hold; in each, all comparisons must."""

    alternatives: tuple[tuple[Bound, ...], ...]

    def admits(self, version: Version) -> bool:
        """Say whether the version will do; a prerelease only where a comparison names one."""
        return any(
            (version.is_release or any(not bound.version.is_release for bound in bounds))
            and all(bound.admits(version) for bound in bounds)
            for bounds in self.alternatives
        )


@lru_cache(maxsize=4096)
def parse_version(text: str) -> Version | None:
    """Read a version; a leading `v` and missing numbers (taken as 0) are tolerated."""
    if len(text) > MAX_LENGTH or not (match := _VERSION.match(text)):
        return None
    return _version([match[1], match[2] or "0", match[3] or "0"], match["pre"])


@lru_cache(maxsize=4096)
def parse_constraint(text: str) -> Constraint | None:
    """Read a constraint, such as `>=1.2,<2`, `~1.4`, `1.x` or `1.2 - 3.4 || ^5`."""
    if len(text) > MAX_LENGTH:
        return None
    alternatives: list[tuple[Bound, ...]] = []
    for part in _RANGE.sub(r">= \1, <= \2 ", text).split("||"):
        bounds = _bounds(part.strip("\t\n\f\r "))
        if not bounds:
            return None
        alternatives.append(bounds)
    return Constraint(tuple(alternatives))


def constraint_problem(text: str) -> str | None:
    """Say why this is not a constraint, or return `None`; an empty one admits every version."""
    if not text or parse_constraint(text) is not None:
        return None
    if len(text) > MAX_LENGTH:
        return f"a version constraint may have {MAX_LENGTH} characters, this has {len(text)}"
    return f"`{text}` is not a version constraint"


def version_satisfies(version: str, constraint: str) -> bool:
    """Say whether a provider's version will do; what cannot be parsed must be equal as text."""
    if not constraint:
        return True
    if not version:
        return False
    parsed, wanted = parse_version(version), parse_constraint(constraint)
    if parsed is None or wanted is None:
        return version == constraint
    return wanted.admits(parsed)


def version_order(version: str) -> tuple[bool, Version, str]:
    """Return a sort key: what cannot be parsed comes first, by its text; then old before new."""
    parsed = parse_version(version)
    return (False, _ZERO, version) if parsed is None else (True, parsed, "")


def compare_versions(a: str, b: str) -> int:
    """Return 1 if `a` is newer than `b`, -1 if it is older, else 0; versions beat other texts."""
    left, right = version_order(a), version_order(b)
    return (left > right) - (left < right)


def _version(numbers: list[str], prerelease: str | None) -> Version | None:
    if any(len(number) > 20 for number in numbers):
        return None
    major, minor, patch = map(int, numbers)
    if max(major, minor, patch) > _MAX_NUMBER:
        return None
    identifiers = prerelease.split(".") if prerelease else []
    if any(_is_number(text) and text[0] == "0" and len(text) > 1 for text in identifiers):
        return None
    return Version(major, minor, patch, not identifiers, tuple(map(_identifier, identifiers)))


def _identifier(text: str) -> tuple[int, int, str]:
    """Return a sort key: numbers by value, below all other texts."""
    is_number = _is_number(text) and len(text) <= 20 and int(text) <= _MAX_NUMBER
    return (0, int(text), "") if is_number else (1, 0, text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _bounds(text: str) -> tuple[Bound, ...]:
    """Read comparisons with spaces or commas between them; return none if one cannot be read."""
    bounds: list[Bound] = []
    position = 0
    while match := _BOUND.match(text, position):
        bound = _bound(match)
        if bound is None:
            return ()
        bounds.append(bound)
        position = match.end()
        if position == len(text):
            return tuple(bounds)
        separator = _SEPARATOR.match(text, position)
        if not separator:
            return ()
        position = separator.end()
    return ()


def _bound(match: re.Match[str]) -> Bound | None:
    numbers: list[str] = []
    for name in ("major", "minor", "patch"):
        number = match[name]
        if number is None or number in {"x", "X", "*"}:
            break
        if not number.isdigit():
            return None
        numbers.append(number)
    version = _version([*numbers, "0", "0", "0"][:3], match["pre"])
    return None if version is None else Bound(match["operator"], version, len(numbers))


def _core(version: Version, numbers: int) -> tuple[int, ...]:
    return (version.major, version.minor, version.patch)[:numbers]


# In the checks below a precision of 0 (`*`) reads as 0.0.0, as in the Go library.


def _equal(version: Version, bound: Bound) -> bool:
    return version == bound.version if bound.precision == 3 else _tilde(version, bound)


def _different(version: Version, bound: Bound) -> bool:
    wanted = bound.version
    if bound.precision == 1:
        return version.major != wanted.major
    if bound.precision == 2:
        return (_core(version, 2), version.prerelease) != (_core(wanted, 2), wanted.prerelease)
    return version != wanted


def _greater(version: Version, bound: Bound) -> bool:
    numbers = bound.precision
    if numbers in {1, 2}:
        return _core(version, numbers) > _core(bound.version, numbers)
    return version > bound.version


def _less(version: Version, bound: Bound) -> bool:
    return version < bound.version


def _at_least(version: Version, bound: Bound) -> bool:
    return version >= bound.version


def _at_most(version: Version, bound: Bound) -> bool:
    if bound.precision == 3:
        return version <= bound.version
    numbers = bound.precision or 2
    return _core(version, numbers) <= _core(bound.version, numbers)


def _tilde(version: Version, bound: Bound) -> bool:
    wanted = bound.version
    if version < wanted:
        return False
    if bound.precision in {0, 3} and _core(wanted, 3) == (0, 0, 0):
        return True
    numbers = 1 if bound.precision == 1 else 2
    return _core(version, numbers) == _core(wanted, numbers)


def _caret(version: Version, bound: Bound) -> bool:
    """Keep the leftmost number that is not zero, or the last one that the constraint gives."""
    wanted = bound.version
    if wanted.major > 0 or bound.precision == 1:
        numbers = 1
    elif wanted.minor > 0 or bound.precision == 2:
        numbers = 2
    else:
        numbers = 3
    return version >= wanted and _core(version, numbers) == _core(wanted, numbers)


_CHECKS: dict[str, Callable[[Version, Bound], bool]] = {
    "": _equal,
    "=": _equal,
    "!=": _different,
    ">": _greater,
    "<": _less,
    ">=": _at_least,
    "=>": _at_least,
    "<=": _at_most,
    "=<": _at_most,
    "~": _tilde,
    "~>": _tilde,
    "^": _caret,
}
