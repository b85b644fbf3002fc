"""Tags: whether a provider's tags fit what a need asks for, and how well.

A need's tag is plain (required), `+tag` (preferred) or `-tag` (excluded). A tuple of such is a
group, of which at least one plain or preferred member must be there. Empty names and groups say
nothing. Comparison is exact, case included.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

WantedTags = tuple[str | tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """What a tag that fits is worth when providers are ranked."""

    required_points: int = 5
    preferred_points: int = 10


DEFAULT_POLICY = Policy()


@dataclass(frozen=True, slots=True)
class MissingTag:
    """The provider lacks `missing`, or has none of `missing_one_of`; one of the two is empty."""

    missing: tuple[str, ...] = ()
    missing_one_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExtraTagDisallowed:
    """The provider has tags that the need excludes."""

    disallowed: tuple[str, ...]


def tag_problem(
    tags: Collection[str], wanted: WantedTags
) -> MissingTag | ExtraTagDisallowed | None:
    """Say why tags do not fit; an excluded tag counts before a missing one."""
    disallowed = tuple(
        tag for group in _groups(wanted) for tag in _names(group, "-") if tag in tags
    )
    if disallowed:
        return ExtraTagDisallowed(disallowed)
    missing = tuple(
        tag for tag in wanted if isinstance(tag, str) and _is_plain(tag) and tag not in tags
    )
    if missing:
        return MissingTag(missing=missing)
    for group in wanted:
        if isinstance(group, tuple) and group:
            members = (*_names(group, ""), *_names(group, "+"))
            if not any(tag in tags for tag in members):
                return MissingTag(missing_one_of=members)
    return None


def tag_points(tags: Collection[str], wanted: WantedTags, policy: Policy = DEFAULT_POLICY) -> int:
    """Return the score of tags that fit; a group counts once, by its best member."""
    points = 0
    for group in _groups(wanted):
        if any(tag in tags for tag in _names(group, "+")):
            points += policy.preferred_points
        elif any(tag in tags for tag in _names(group, "")):
            points += policy.required_points
    return points


def _groups(wanted: WantedTags) -> Iterator[tuple[str, ...]]:
    for tag in wanted:
        yield (tag,) if isinstance(tag, str) else tag


def _names(group: tuple[str, ...], operator: str) -> tuple[str, ...]:
    """Return the names in the group that carry the operator; an empty operator means plain ones."""
    if not operator:
        return tuple(tag for tag in group if _is_plain(tag))
    return tuple(tag[1:] for tag in group if tag[:1] == operator and len(tag) > 1)


def _is_plain(tag: str) -> bool:
    return bool(tag) and tag[0] not in "+-"
