"""The nearest name to one that is unknown, for hints."""

import difflib
from collections.abc import Iterable


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that the word most likely meant, or None if none comes near."""
    names = sorted(set(candidates))
    for name in names:
        if name.casefold() == word.casefold():
            return name
    matches = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return matches[0] if matches else None
