"""A YAML node tree to a document of the language, or everything that is wrong with its shape.

Pydantic checks; this module says in our words, at the exact place, what it found. No diagnostic
shows what an interpolation supplied.
"""

from collections.abc import Iterable
from typing import Any, cast

from pydantic_core import ValidationError

from meshd.diagnostics.model import Diagnostic
from meshd.diagnostics.suggest import closest
from meshd.diagnostics.text import shortened
from meshd.manifest.documents import Placed
from meshd.manifest.interpolate import Interpolation
from meshd.manifest.model import API_VERSION, KINDS, Document
from meshd.manifest.nodes import Mapping, Node, Scalar, Step, find, key_span, value_span
from meshd.manifest.repair import repaired
from meshd.manifest.scalars import described
from meshd.manifest.sections import LIST, MAPPING, TEXT, Section, section_in
from meshd.manifest.values import Supplied

MAX_PROBLEMS = 100
"""Of one document; what goes beyond is counted, not shown."""

_TAGS = {TEXT: "a string", LIST: "a list", MAPPING: "a mapping"}


def validate(
    node: Node, interpolation: Interpolation
) -> tuple[Placed[Document] | None, tuple[Diagnostic, ...]]:
    """Return the document and what is wrong with it: for rules to look at, if not to be served."""
    if not isinstance(node, Mapping):
        message = f"expected a document that is a mapping, found {_kind_of(node)}"
        hint = f"begin it with `apiVersion: {API_VERSION}` and `kind: Agent`"
        return None, (Diagnostic(code="M124", message=message, span=node.span, hint=hint),)
    kind = find(node, "kind")
    model = KINDS.get(kind.value) if isinstance(kind, Scalar) else None
    if model is None:
        return None, (*_version_problems(node), _kind_problem(node, kind))
    data = interpolation.value_of(node)
    try:
        return Placed(model.read(data), node), ()
    except ValidationError as error:
        problems = tuple(_problems(error, model, node))
        document = repaired(model, data, error)
        return None if document is None else Placed(document, node), problems


def _kind_problem(node: Mapping, kind: Node | None) -> Diagnostic:
    if kind is None:
        return Diagnostic(
            code="M121",
            message="`kind` is missing",
            span=key_span(node),
            hint="add `kind: Agent`",
        )
    text = kind.value if isinstance(kind, Scalar) and isinstance(kind.value, str) else ""
    near = closest(text, KINDS)
    return Diagnostic(
        code="M123",
        message=f"there is no kind `{shortened(text)}`" if text else "`kind` is not a name",
        span=value_span(node, "kind"),
        hint=f"did you mean `{near}`?" if near else f"write {_listed(KINDS, 'or')}",
    )


def _version_problems(node: Mapping) -> tuple[Diagnostic, ...]:
    version = find(node, "apiVersion")
    if version is None:
        return (_missing(node, "apiVersion", ()),)
    if isinstance(version, Scalar) and version.value == API_VERSION:
        return ()
    return (_wrong_version(node),)


def _wrong_version(node: Mapping) -> Diagnostic:
    version = find(node, "apiVersion")
    value = version.value if isinstance(version, Scalar) else None
    shown = f": `{shortened(value)}`" if isinstance(value, str) else ""
    return Diagnostic(
        code="M123",
        message=f"this is no `apiVersion` that meshd knows{shown}",
        span=value_span(node, "apiVersion"),
        hint=f"write `apiVersion: {API_VERSION}`",
    )


def _problems(error: ValidationError, model: type[Section], node: Mapping) -> list[Diagnostic]:
    found = error.errors(include_url=False)
    shown = [_problem(cast("dict[str, Any]", one), model, node) for one in found[:MAX_PROBLEMS]]
    if len(found) > MAX_PROBLEMS:
        message = f"{len(found) - MAX_PROBLEMS} more problems of this document are not shown"
        shown.append(Diagnostic(code="M119", message=message, span=key_span(node)))
    return shown


def _problem(error: dict[str, Any], model: type[Section], node: Mapping) -> Diagnostic:
    path = tuple(step for step in error["loc"] if step not in _TAGS)
    match error["type"]:
        case "extra_forbidden":
            return _unknown_key(node, path, _section_at(model, path[:-1]))
        case "missing":
            return _missing(node, str(path[-1]), path[:-1])
        case "literal_error" if path == ("apiVersion",):
            return _wrong_version(node)
        case "meshd":
            return _wrong_value(error, node, path)
        case _:
            return _wrong_type(error, node, path)


def _unknown_key(node: Mapping, path: tuple[Step, ...], section: type[Section]) -> Diagnostic:
    key = str(path[-1])
    known = section.known_keys()
    near = closest(key, known)
    if near is not None:
        hint = f"did you mean `{near}`?"
    elif inner := _section_with(key, section):
        hint = f"`{key}` belongs in `{inner}`"
    else:
        hint = f"known here: {_listed(known, 'and')}"
    where = f" in `{path[-2]}`" if len(path) > 1 and isinstance(path[-2], str) else ""
    message = f"unknown key `{shortened(key)}`{where}"
    return Diagnostic(code="M120", message=message, span=key_span(node, *path), hint=hint)


def _missing(node: Mapping, key: str, path: tuple[Step, ...]) -> Diagnostic:
    example = f"{key}: {API_VERSION}" if key == "apiVersion" else f"{key}: …"
    where = f" in `{_dotted(path)}`" if path else ""
    return Diagnostic(
        code="M121",
        message=f"`{key}` is missing{where}",
        span=key_span(node, *path),
        hint=f"add `{example}`",
    )


def _wrong_value(error: dict[str, Any], node: Mapping, path: tuple[Step, ...]) -> Diagnostic:
    context = error["ctx"]
    message, span = context["text"], value_span(node, *path)
    scalar = find(node, *path)
    if isinstance(error["input"], Supplied) and isinstance(scalar, Scalar):
        message = f"what `{shortened(str(scalar.value))}` supplies does not fit `{path[-1]}`"
        return Diagnostic(code="M122", message=message, span=span, hint="check its value")
    return Diagnostic(code="M122", message=message, span=span, hint=context["hint"])


def _wrong_type(error: dict[str, Any], node: Mapping, path: tuple[Step, ...]) -> Diagnostic:
    found = described(error["input"])
    hint = ""
    match error["type"]:
        case "list_type":
            wanted = "a list"
            hint = "begin each item with `- `"
        case "dict_type" | "model_type":
            wanted = "a mapping"
            hint = "write `key: value` lines, indented below it"
        case "union_tag_invalid":
            tags = error["ctx"]["expected_tags"]
            wanted = " or ".join(words for tag, words in _TAGS.items() if tag[1:] in tags)
        case _:
            wanted = str(error["msg"]).removeprefix("Input should be ")
    if error["input"] is None:
        hint = f"remove `{path[-1]}`, or write {wanted} below it"
    named = f"`{path[-1]}`: " if path and isinstance(path[-1], str) else ""
    message = f"{named}expected {wanted}, found {found}"
    return Diagnostic(code="M122", message=message, span=value_span(node, *path), hint=hint)


def _section_at(model: type[Section], path: tuple[Step, ...]) -> type[Section]:
    """Return the section that stands at the path."""
    levels = 0
    for step in path:
        if levels:
            levels -= 1
            continue
        inner, levels = section_in(model.known_keys()[str(step)].annotation)
        if inner is None:
            break
        model = inner
    return model


def _section_with(key: str, section: type[Section]) -> str | None:
    """Return the key of a section directly below that knows the key."""
    for name, field in section.known_keys().items():
        inner, levels = section_in(field.annotation)
        if inner is not None and levels == 0 and key in inner.known_keys():
            return name
    return None


def _dotted(path: tuple[Step, ...]) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return shortened(text)


def _kind_of(node: Node) -> str:
    return described(node.value) if isinstance(node, Scalar) else "a list"


def _listed(names: Iterable[str], joint: str) -> str:
    quoted = [f"`{name}`" for name in names]
    return f"{', '.join(quoted[:-1])} {joint} {quoted[-1]}" if len(quoted) > 1 else quoted[0]
