"""Rules for an agent's environment: names, secrets, and what would come too late to matter."""

import re
from collections.abc import Iterator, Mapping

from meshd.diagnostics.model import Diagnostic, Span
from meshd.diagnostics.text import shortened
from meshd.manifest.interpolate import Interpolation
from meshd.manifest.model import SecretReference
from meshd.manifest.nodes import Node, key_span, value_span
from meshd.manifest.paths import absolute
from meshd.manifest.values import Later

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ENV = ("spec", "env")

_READ_EARLIER = {
    "PYTHON": "Python reads it when a process starts, which is before the agent has it",
    "LD_": "the loader reads it when a process starts, which is before the agent has it",
    "MALLOC_": "the C library reads it when a process starts, which is before the agent has it",
    "GLIBC_TUNABLES": "the C library reads it when a process starts, before the agent has it",
    "FASTMCP_": "FastMCP reads it when it is imported, which is before the agent has it",
    "MESHD_": "it is a setting of meshd itself",
    "MCP_MESH_": "it is a setting of meshd itself",
}
"""Beginnings of names that would have no effect on the agent, with the reason.

Instances are forked from a process that runs already, and get their environment after that.
"""


def variable_problems(env: Mapping[str, str | SecretReference], node: Node) -> Iterator[Diagnostic]:
    """Yield what is wrong with the variables of the document's agent."""
    for name, value in env.items():
        span = key_span(node, *_ENV, name)
        if not name:
            yield _no_name("an environment variable needs a name", span)
        elif not _VARIABLE.fullmatch(name):
            yield _no_name(f"`{shortened(name)}` cannot name an environment variable", span)
        elif reason := _reason_to_refuse(name):
            yield _too_late(name, reason, span)
        if isinstance(value, SecretReference):
            yield from secret_problems(value, node, (*_ENV, name))
        elif not isinstance(value, Later) and "\0" in value:
            yield Diagnostic(
                code="M142",
                message=f"the value of `{shortened(name)}` has a null character",
                span=value_span(node, *_ENV, name),
                hint="remove it; no environment variable can hold it",
            )


def ask_for_secret(
    secret: SecretReference,
    node: Node,
    path: tuple[str | int, ...],
    interpolation: Interpolation,
) -> None:
    """Note a secret as an input of the mesh."""
    if secret.env and not isinstance(secret.env, Later):
        interpolation.ask_for_variable(secret.env, value_span(node, *path, "env"))
    if secret.file and not isinstance(secret.file, Later):
        whole = absolute(node.source.folder, secret.file)
        interpolation.ask_for_file(secret.file, whole, value_span(node, *path, "file"))


def secret_problems(
    secret: SecretReference, node: Node, path: tuple[str | int, ...]
) -> Iterator[Diagnostic]:
    """Yield a diagnostic unless exactly one place is named, and can be one."""
    if (secret.env is None) == (secret.file is None):
        found = "neither" if secret.env is None else "both"
        yield Diagnostic(
            code="M134",
            message=f"a secret needs `env` or `file`, and has {found}",
            span=key_span(node, *path),
            hint="write `{env: NAME}` or `{file: path}`",
        )
        return
    env, file = secret.env, secret.file
    if env is not None and not isinstance(env, Later) and not _VARIABLE.fullmatch(env):
        # Not shown, as it may be the secret itself: supplied, where only its name belongs.
        message = "a secret's `env` is not the name of an environment variable"
        yield _no_name(message, value_span(node, *path, "env"))
    if file is not None and not isinstance(file, Later) and _is_no_path(file):
        yield Diagnostic(
            code="M134",
            message="a secret's `file` is not the path of a file",
            span=value_span(node, *path, "file"),
            hint="write a path, relative to this file",
        )


def _is_no_path(text: str) -> bool:
    return not text or text.endswith("/") or "\0" in text


def _reason_to_refuse(name: str) -> str | None:
    return next(
        (reason for beginning, reason in _READ_EARLIER.items() if name.startswith(beginning)), None
    )


def _no_name(message: str, span: Span) -> Diagnostic:
    hint = "use letters, digits and `_`"
    return Diagnostic(code="M137", message=message, span=span, hint=hint)


def _too_late(name: str, reason: str, span: Span) -> Diagnostic:
    is_path = name == "PYTHONPATH"
    return Diagnostic(
        code="M141",
        message=f"`{shortened(name)}` has no effect in an agent's `env`",
        span=span,
        label=reason,
        hint="name the folder in `python.path`" if is_path else "set it where `meshd run` starts",
    )
