"""Why nothing serves a need, in plain sentences: the providers that come nearest.

In: providers and what is wanted. Out: at most five sentences, the nearest miss first, each fit to
stand after "; " in a message.
"""

import heapq
from collections.abc import Iterable

from meshd.diagnostics.suggest import closest
from meshd.domain.resolve import (
    OtherCapability,
    OtherNamespace,
    Provider,
    Reason,
    Unavailable,
    VersionConstraintFailed,
    Want,
    reasons_against,
)
from meshd.domain.tags import ExtraTagDisallowed, MissingTag

MAX_SENTENCES = 5
_MAX_AGENTS = 3
_SHORTLIST = 8


class KnownNames:
    """Names of capabilities, ready to be searched many times for what a wrong one meant."""

    def __init__(self, names: Iterable[str]) -> None:
        self._pairs = {name: _letter_pairs(name) for name in sorted(set(names))}

    def closest(self, word: str) -> str | None:
        """Return the name that the word most likely meant, or None if none comes near."""
        # Comparing letter by letter is slow, so only names with most pairs in common are compared.
        pairs = _letter_pairs(word)
        shortlist = heapq.nlargest(
            _SHORTLIST, self._pairs, key=lambda name: len(pairs & self._pairs[name])
        )
        return closest(word, shortlist)


def _letter_pairs(name: str) -> frozenset[str]:
    text = f" {name.casefold()} "
    return frozenset(text[i : i + 2] for i in range(len(text) - 1))


def nearest_misses(providers: Iterable[Provider], want: Want) -> tuple[str, ...]:
    """Say what comes nearest: providers of the capability, or else of one with a similar name."""
    candidates = sorted(providers)
    same = [provider for provider in candidates if provider.capability == want.capability]
    if not same:
        return _similar_names(candidates, want)
    judged = [(reasons_against(provider, want), provider) for provider in same]
    misses = sorted((pair for pair in judged if pair[0]), key=lambda pair: len(pair[0]))
    sentences = [_sentence(provider, reasons, want) for reasons, provider in misses]
    more = len(sentences) - MAX_SENTENCES
    if more > 0:
        return (*sentences[: MAX_SENTENCES - 1], f"{more + 1} more providers do not fit")
    return tuple(sentences)


def one_edit_apart(a: str, b: str) -> bool:
    """Say whether one insertion, deletion, replacement or swap of neighbours turns `a` into `b`."""
    if a == b or abs(len(a) - len(b)) > 1:
        return False
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    rest_a, rest_b = a[start:], b[start:]
    if len(rest_a) != len(rest_b):
        return rest_a[1:] == rest_b or rest_a == rest_b[1:]
    is_swap = rest_a[:2] == rest_b[1::-1] and rest_a[2:] == rest_b[2:]
    return is_swap or rest_a[1:] == rest_b[1:]


def _similar_names(providers: list[Provider], want: Want) -> tuple[str, ...]:
    name = closest(want.capability, {provider.capability for provider in providers})
    if name is None:
        return ()
    agents = list(
        dict.fromkeys(provider.agent_key for provider in providers if provider.capability == name)
    )
    shown = _quoted(agents[:_MAX_AGENTS])
    if len(agents) > _MAX_AGENTS:
        shown += f" and {len(agents) - _MAX_AGENTS} more"
    near = "is one edit away from" if one_edit_apart(want.capability, name) else "resembles"
    word = "agent" if len(agents) == 1 else "agents"
    return (f"`{want.capability}` {near} `{name}` ({word} {shown})",)


def _sentence(provider: Provider, reasons: tuple[Reason, ...], want: Want) -> str:
    version = f" {provider.version}" if provider.version else ""
    clauses = " and ".join(in_words(reason, want) for reason in reasons)
    return f"`{provider.capability}`{version} of `{provider.agent_key}` {clauses}"


def in_words(reason: Reason, want: Want) -> str:
    """Say why a provider does not serve the need, to follow the provider's name."""
    match reason:
        case Unavailable(why):
            return f"is unavailable: {why}" if why else "is unavailable"
        case OtherCapability(capability):
            return f"offers `{capability}`"
        case OtherNamespace(namespace):
            return f"is in namespace `{namespace}`, not `{want.namespace}`"
        case ExtraTagDisallowed(disallowed):
            return f"has the excluded {_tags(disallowed)}"
        case VersionConstraintFailed(version, constraint):
            return f"fails `{constraint}`" if version else f"has no version for `{constraint}`"
        case MissingTag(missing, missing_one_of):
            return _missing(missing, missing_one_of)


def _missing(missing: tuple[str, ...], one_of: tuple[str, ...]) -> str:
    if missing:
        return f"lacks {_tags(missing)}"
    if len(one_of) == 1:
        return f"lacks {_tags(one_of)}"
    if one_of:
        return f"lacks all of the tags {_quoted(one_of)}"
    return "cannot match a group that names no tag to have"


def _tags(tags: tuple[str, ...]) -> str:
    return f"{'tag' if len(tags) == 1 else 'tags'} {_quoted(tags)}"


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
