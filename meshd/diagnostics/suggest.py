"""The nearest name to one that is unknown, for hints."""

import difflib
from collections.abc import Iterable

MAX_CANDIDATES = 500
"""With more, only those with the same first letter are looked at, and at most so many."""


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that the word most likely meant, or None if none comes near."""
    names = sorted(set(candidates))
    if len(names) > MAX_CANDIDATES:
        names = [name for name in names if name[:1] == word[:1]][:MAX_CANDIDATES]
    for name in names:
        if name.casefold() == word.casefold():
            return name
    matches = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return matches[0] if matches else None
