"""Rules for call settings, wherever they stand, and for what a tool says of its own calls."""

from collections.abc import Iterator

from meshd.diagnostics.model import Diagnostic, Severity, Span
from meshd.diagnostics.text import shortened
from meshd.domain.headers import header_problem, header_value_problem
from meshd.manifest.model import Call, Tool
from meshd.manifest.nodes import Node, Step, key_span, value_span
from meshd.manifest.values import Later
from meshd.manifest.variables import secret_problems

_MAY_HAVE_RUN = frozenset({"lost", "timeout", "failed"})


def call_problems(call: Call, node: Node, path: tuple[Step, ...]) -> Iterator[Diagnostic]:
    """Yield what is wrong with call settings, whatever they are about."""
    times = {
        ("timeout",): (call.timeout, "a timeout"),
        ("hedge",): (call.hedge, "the time before a second call"),
        ("breaker", "open"): (call.breaker.open, "the time that a breaker stays open"),
        ("retries", "timeout"): (call.retries.timeout, "the time of an attempt"),
        ("retries", "backoff"): (call.retries.backoff, "the pause before a retry"),
    }
    for key, (seconds, what) in times.items():
        if seconds is not None and not isinstance(seconds, Later) and seconds <= 0:
            yield Diagnostic(
                code="M136",
                message=f"{what} must be longer than nothing",
                span=value_span(node, *path, *key),
                hint="remove it for the default, or write a time such as `30s`",
            )
    for name, value in call.headers.items():
        if problem := header_problem(name):
            span = key_span(node, *path, "headers", name)
            yield _bad_header(name, problem, span)
        elif not isinstance(value, Later) and (problem := header_value_problem(value)):
            yield Diagnostic(
                code="M144",
                message=f"`{shortened(name)}` cannot have this value",
                span=value_span(node, *path, "headers", name),
                label=problem,
                hint="encode it, for example in base64",
            )
    for index, name in enumerate(call.propagate):
        if not isinstance(name, Later) and (problem := header_problem(name)):
            yield _bad_header(name, problem, value_span(node, *path, "propagate", index))
    if call.auth is not None:
        yield from secret_problems(call.auth.bearer, node, (*path, "auth", "bearer"))


def tool_call_problems(tool: Tool, node: Node, path: tuple[Step, ...]) -> Iterator[Diagnostic]:
    """Yield what a tool says of its calls that cannot be, or has no effect."""
    hints = tool.hints
    # What is supplied later counts as said: it is text that is not empty.
    if tool.call.hedge is not None and not hints.read_only:
        yield Diagnostic(
            code="M145",
            message="a tool that changes something must not be asked twice",
            span=key_span(node, *path, "call", "hedge"),
            label="`hedge` is for tools with `hints.readOnly`",
            hint="remove it, or add `hints: {readOnly: true}` if the tool changes nothing",
        )
    repeated = [reason for reason in tool.call.retries.on if reason in _MAY_HAVE_RUN]
    if repeated and not (hints.read_only or hints.idempotent):
        listed = ", ".join(f"`{reason}`" for reason in repeated)
        yield Diagnostic(
            code="M146",
            severity=Severity.WARNING,
            message=f"retries after {listed} have no effect here",
            span=key_span(node, *path, "call", "retries", "on"),
            label="the tool may have run already, and does not say that running twice is harmless",
            hint="add `hints: {idempotent: true}` if it is, or leave only `busy`",
        )


def _bad_header(name: str, problem: str, span: Span) -> Diagnostic:
    return Diagnostic(
        code="M143",
        message=f"`{shortened(name)}` is not for manifests to set",
        span=span,
        label=problem,
        hint="remove it",
    )
