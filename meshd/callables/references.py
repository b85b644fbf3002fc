"""The text `module:qualname` taken apart, without looking at any module.

Everything that is not a plain chain of Python identifiers is refused here: dunders, `<lambda>`,
`<locals>`, empty parts, file names, and letters that Python would read as other letters.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from meshd.diagnostics.suggest import closest

LONGEST = 250
"""Bytes, and so characters, in a reference or pattern; no longer file name can exist."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A module and the way to an object in it."""

    module: str
    path: tuple[str, ...]

    @property
    def top(self) -> str:
        """The name of the top-level package."""
        return self.module.partition(".")[0]

    @property
    def qualname(self) -> str:
        """The way to the object, with dots."""
        return ".".join(self.path)

    def __str__(self) -> str:
        """Return the text that it was read from."""
        return f"{self.module}:{self.qualname}"


def read_reference(text: str) -> Reference | str:
    """Return the reference, or the reason why the text is none."""
    if len(text) > LONGEST:
        return f"it is longer than {LONGEST} characters"
    if len(text.encode(errors="surrogatepass")) > LONGEST:
        return f"it is longer than {LONGEST} bytes"
    if text.count(":") != 1:
        return "it needs exactly one colon between module and name"
    module, _, qualname = text.partition(":")
    for name, what in ((module, "module"), (qualname, "name")):
        if not name:
            return f"the {what} is missing"
        if problem := chain_problem(name):
            return problem
    return Reference(module, tuple(qualname.split(".")))


def chain_problem(text: str) -> str | None:
    """Return why the text is not a chain of identifiers joined by dots, or None."""
    for part in text.split("."):
        if not part:
            return "a part between two dots is empty"
        if not part.isidentifier() or unicodedata.normalize("NFKC", part) != part:
            return f"`{printable(part)}` is not an identifier"
        if part.startswith("__") and part.endswith("__"):
            return f"`{part}` is internal to Python"
    return None


def printable(text: str) -> str:
    """Return the text with every character that a terminal might act on escaped, and shortened."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown if len(shown) <= 80 else f"{shown[:79]}…"


def choice(word: str, candidates: Iterable[str], before: str = "") -> str:
    """Return the hint for an unknown name: the one that was meant, else some that there are."""
    known = sorted(set(candidates))
    if near := closest(word, known):
        return f"did you mean `{before}{near}`?"
    if not known:
        return ""
    shown = ", ".join(f"`{before}{name}`" for name in known[:5])
    return f"name one of {shown}{', …' if len(known) > 5 else ''}"
