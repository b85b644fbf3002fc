from meshd.diagnostics.model import Diagnostic, Severity, Span, has_errors, in_file_order


def test_file_order() -> None:
    first = Diagnostic(code="M2", message="a", span=Span("a", 1, 1, 2))
    same_place = Diagnostic(code="M3", message="a", span=Span("a", 1, 1, 2))
    later = Diagnostic(code="M1", message="a", span=Span("a", 2, 1, 2))
    other_file = Diagnostic(code="M1", message="a", span=Span("b", 1, 1, 2))
    placeless = Diagnostic(code="M1", message="a")
    ordered = (first, same_place, later, other_file, placeless)
    assert in_file_order(reversed((*ordered, first))) == ordered


def test_a_warning_is_no_error() -> None:
    warning = Diagnostic(code="M1", message="a", severity=Severity.WARNING)
    assert not has_errors([warning])
    assert has_errors([warning, Diagnostic(code="M1", message="a")])
