"""The bytes of one manifest file to YAML node trees with places.

In: bytes and the name of the file. Out: its documents and every diagnostic. A document that cannot
be read hides neither those before it nor other files. Reads no file itself; builds no objects
other than nodes, whatever the text asks for.
"""

import re
from dataclasses import dataclass
from typing import Any

import yaml

from meshd.diagnostics.model import Diagnostic
from meshd.manifest.compose import Composer, Refused
from meshd.manifest.nodes import Node, Scalar, Source
from meshd.manifest.syntax import syntax_problem

MAX_BYTES = 1024 * 1024

_BOM = "\ufeff"
_MARKS_OF_OTHER_ENCODINGS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
# Line breaks of Unicode are here too: YAML 1.1 parsers count them as lines, editors do not.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")

# Only their events are used; PyYAML may have been built without its C parser.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class File:
    """What was read from one file."""

    source: Source
    documents: tuple[Node, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()


def read(data: bytes, name: str, folder: str = "") -> File:
    """Read one file; `folder` is where its relative paths start. A byte order mark is passed over.

    UTF-8 only. Documents that are empty or hold nothing but comments are left out.
    """
    if len(data) > MAX_BYTES:
        message = f"the file has {len(data):,} bytes, {MAX_BYTES:,} may be"
        problem = Diagnostic(
            code="M102",
            message=message,
            span=Source(name, "").span_at(0, 0, 0),
            hint="split it; documents may be in any number of files",
        )
        return File(Source(name, "", folder), (), (problem,))
    text, problem = _decoded(data, name)
    source = Source(name, text, folder)
    problem = problem or _forbidden(source)
    if problem is not None:
        return File(source, (), (problem,))
    return _composed(source)


def _composed(source: Source) -> File:
    loader: Any = _LOADER(source.text)
    composer = Composer(source)
    found = composer.diagnostics
    try:
        composer.run(loader.get_event)
    except yaml.YAMLError as error:
        found.append(syntax_problem(source, error))
    except Refused as refused:
        found.append(refused.diagnostic)
    finally:
        loader.dispose()
    documents = tuple(
        node for node in composer.documents if not (isinstance(node, Scalar) and node.value is None)
    )
    return File(source, documents, tuple(found))


def _decoded(data: bytes, name: str) -> tuple[str, Diagnostic | None]:
    for mark, encoding in _MARKS_OF_OTHER_ENCODINGS.items():
        if data.startswith(mark):
            return "", _not_utf8(Source(name, ""), f"the file is {encoding}")
    try:
        return data.decode("utf-8").removeprefix(_BOM), None
    except UnicodeDecodeError as error:
        before = Source(name, data[: error.start].decode("utf-8").removeprefix(_BOM))
        # What can be read is kept, so that the report can show the line.
        text = data.decode("utf-8", "replace").removeprefix(_BOM)
        return text, _not_utf8(before, f"the byte 0x{data[error.start]:02x} is not UTF-8")


def _not_utf8(before: Source, message: str) -> Diagnostic:
    span = before.span_at(len(before.lines) - 1, len(before.lines[-1]))
    return Diagnostic(code="M103", message=message, span=span, hint="save the file as UTF-8")


def _forbidden(source: Source) -> Diagnostic | None:
    """Return the first character that may not stand in a manifest as it is."""
    match = _FORBIDDEN.search(source.text)
    if match is None:
        return None
    before = Source(source.file, source.text[: match.start()])
    code = ord(match[0])
    escape = f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    return Diagnostic(
        code="M103",
        message=f"the character U+{code:04X} may not stand in a manifest",
        span=before.span_at(len(before.lines) - 1, len(before.lines[-1])),
        hint=f'write it in double quotes as "{escape}", or remove it',
    )
