"""Why a required dependency is not served, in the words of MCP Mesh's registry.

Goes in: a dependency and the offers of its capability. Comes out: an empty text if one of them
serves it, or the reason that makes the tool which needs it unavailable.
"""

from collections.abc import Iterable

from meshd.domain.instance import Dependency, Status
from meshd.domain.resolve import OtherNamespace, Provider, Unavailable, Want, reasons_against
from meshd.domain.tags import WantedTags

UNHEALTHY = "agent unhealthy"
DRAINING = "agent draining"


def status_reason(status: Status) -> str:
    """Return why no tool of an instance with this status can be called, or an empty text."""
    if status is Status.HEALTHY:
        return ""
    return UNHEALTHY if status is Status.UNHEALTHY else DRAINING


def why_unserved(dependency: Dependency, providers: Iterable[Provider]) -> str:
    """Say why none of the capability's providers serves the dependency, or return nothing."""
    want = dependency.want
    unavailable: Provider | None = None
    unhealthy: Provider | None = None
    others = False
    for provider in providers:
        reasons = reasons_against(provider, want)
        if not reasons:
            return ""
        if any(isinstance(reason, OtherNamespace) for reason in reasons):
            continue
        others = True
        if all(isinstance(reason, Unavailable) for reason in reasons):
            if provider.unavailable_reason == UNHEALTHY:
                unhealthy = min(unhealthy or provider, provider)
            else:
                unavailable = min(unavailable or provider, provider)
    subject = f"required dep '{want.capability}'"
    if unavailable is not None:
        return f"{subject} unavailable (provider {unavailable.instance} unavailable)"
    if unhealthy is not None:
        return f"{subject} unavailable (provider {unhealthy.instance} unhealthy)"
    limits = _limits(want) if others else ""
    return f"{subject} unresolved{limits}"


def evaluation_cycle(dependency: Dependency) -> str:
    """Return the reason of a tool whose availability depends on itself."""
    return f"required dependency evaluation cycle at '{dependency.want.capability}'"


def _limits(want: Want) -> str:
    parts: list[str] = []
    if want.tags:
        parts.append(f"tags={_shown(want.tags)}")
    if want.version:
        parts.append(f"version {want.version}")
    return f" (no provider matches {', '.join(parts)})" if parts else ""


def _shown(tags: WantedTags) -> str:
    texts = (tag if isinstance(tag, str) else f"[{' '.join(tag)}]" for tag in tags)
    return f"[{' '.join(texts)}]"
