"""A list of diagnostics to add to while something is loaded."""

from dataclasses import dataclass, field

from meshd.diagnostics.model import Diagnostic, Severity, Span


@dataclass(frozen=True, slots=True)
class Report:
    """What is wrong so far."""

    diagnostics: list[Diagnostic] = field(default_factory=list[Diagnostic])

    def error(
        self, code: str, message: str, span: Span | None, label: str = "", hint: str = ""
    ) -> None:
        """Add an error."""
        self.diagnostics.append(
            Diagnostic(code=code, message=message, span=span, label=label, hint=hint)
        )

    def warning(
        self, code: str, message: str, span: Span | None, label: str = "", hint: str = ""
    ) -> None:
        """Add a warning."""
        self.diagnostics.append(
            Diagnostic(
                code=code,
                message=message,
                span=span,
                label=label,
                hint=hint,
                severity=Severity.WARNING,
            )
        )
