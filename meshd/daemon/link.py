"""Links a mesh from the signatures that its processes have reported."""

from collections.abc import Mapping
from dataclasses import replace

from meshd.diagnostics.model import Diagnostic, Severity, has_errors, in_file_order
from meshd.domain.signature import ToolSignature
from meshd.domain.spec import MeshSpec
from meshd.errors import InvalidInput
from meshd.plan.link import link
from meshd.plan.model import Plan

CODE_UNRESOLVED = "M301"

Signatures = Mapping[str, Mapping[str, ToolSignature]]
"""By agent key and tool name."""


def link_mesh(
    mesh: MeshSpec, signatures: Signatures, *, allow_unresolved: bool
) -> tuple[Plan, tuple[Diagnostic, ...]]:
    """Bind every need; with `allow_unresolved`, one without a provider is only a warning."""
    flat = {(key, name): one for key, tools in signatures.items() for name, one in tools.items()}
    plan, found = link(mesh, flat)
    if allow_unresolved:
        found = tuple(_softened(diagnostic) for diagnostic in found)
    return plan, found


def require(diagnostics: tuple[Diagnostic, ...]) -> tuple[Diagnostic, ...]:
    """Return the diagnostics if they are all warnings; raise `InvalidInput` with them if not."""
    if has_errors(diagnostics):
        raise InvalidInput(in_file_order(diagnostics))
    return diagnostics


def _softened(diagnostic: Diagnostic) -> Diagnostic:
    if diagnostic.code != CODE_UNRESOLVED:
        return diagnostic
    return replace(diagnostic, severity=Severity.WARNING)
