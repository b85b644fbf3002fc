"""Every odd thing once: what chance may leave out of a run.

Each result, failure, header, body and spelling stands in one request of each era that is right but
for that.
"""

from collections.abc import Iterator
from typing import Any

from tests.differential import requests as made
from tests.differential.requests import HANDSHAKES, META, MODERN, Draft, modern, older
from tests.differential.src.odd_tools import FAILURES, RESULTS
from tests.differential.text import STYLES, Literally
from tests.differential.wire import Request

ADD = {"a": 1, "b": 2}


def each() -> Iterator[Request]:
    """Return the requests."""
    kinds = (results, failures, envelopes, headers, bodies, depths, parameters, circumstances, ways)
    for kind in kinds:
        for draft in kind():
            yield draft.request()


def both(tool: str, arguments: Any, number: Any = 1) -> tuple[Draft, Draft]:
    return modern(tool, arguments, number), older(tool, arguments, number)


def results() -> Iterator[Draft]:
    for kind in RESULTS:
        for tool in ("result", "result_of_a_thread", "objects", "inline"):
            yield from both(tool, {"kind": kind})
        for draft in both("chunks", {"kinds": ["one", kind, "none"]}):
            yield draft
        for draft in both("chunks", {"kinds": [kind, kind]}):
            draft.meta["progressToken"] = "p"
            yield draft
        for draft in both("chunks", {"kinds": [kind, "digits"]}):
            draft.meta.update({"progressToken": 0, "meshd.dev/chunks": "json"})
            yield draft


def failures() -> Iterator[Draft]:
    for kind in FAILURES:
        for tool in ("raises", "raises_in_a_thread", "raises_from"):
            yield from both(tool, {"kind": kind})


def envelopes() -> Iterator[Draft]:
    for number in made.ID_VALUES:
        yield from both("add", ADD, number)
        for draft in both("ticks", {"n": 2}, number):
            draft.meta["progressToken"] = 1
            yield draft
    for name in made.META_NAMES:
        for value in made.META_VALUES:
            for tool, arguments in (("add", ADD), ("ticks", {"n": 1})):
                for draft in both(tool, arguments):
                    draft.meta[name] = value
                    yield draft
    for version in (*HANDSHAKES, MODERN, "", "2027-01-01"):
        yield older("add", ADD, 1, version)
        draft = modern("add", ADD)
        draft.meta[f"{META}protocolVersion"] = version
        draft.put(b"mcp-protocol-version", version.encode())
        yield draft


def headers() -> Iterator[Draft]:
    for name, values in made.HEADERS.items():
        for value in values:
            for draft in both("add", ADD):
                draft.put(name, value)
                yield draft
        for draft in both("add", ADD):
            draft.put(name)
            yield draft
        for draft in both("add", ADD):
            draft.put(name, *[value for other, value in draft.headers if other == name] * 2)
            yield draft
    for header in made.OTHERS:
        for draft in both("add", ADD):
            draft.headers.append(header)
            yield draft
    for value in made.name_values("dotted.name-of_a.tool"):
        draft = modern("dotted.name-of_a.tool", ADD)
        draft.put(b"mcp-name", value)
        yield draft


def bodies() -> Iterator[Draft]:
    for change in made.CHANGES:
        for draft in (*both("add", ADD), *both("shout", {"text": "x"})):
            draft.as_text.append(change)
            yield draft
    for body in made.BODIES:
        for draft in both("add", ADD):
            draft.as_text.append(lambda _, body=body: body)
            yield draft
    for style in STYLES:
        for draft in both("echo", {"value": {"é🎉": [1, 2.0, "\u2028", {}, []]}}):
            draft.style = style
            yield draft


def depths() -> Iterator[Draft]:
    # Where exactly it is too deep depends on the stack.
    for depth in (20, 64, 100, 190, 198, 199, 200, 201, 250, 400, 800, 1_200, 3_000):
        for inside in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
            for tool in ("echo", "add"):
                yield from both(tool, {"value": Literally(inside)})


def parameters() -> Iterator[Draft]:
    for a, b, region in (
        ("1", b"1", b"x"),
        ("1", b"2", b"x"),
        ("1", b"1.0", b"x"),
        ("1.0", b"1", b"x"),
    ):
        for draft in both("annotated", {"a": Literally(a), "b": "x"}):
            yield draft
        for draft in both("annotated", {"a": Literally(a), "b": "x"}):
            draft.headers += [(b"mcp-param-a", b), (b"mcp-param-region", region)]
            yield draft
    for tool in ("needing", "needy", "inline_lines"):
        yield from both(tool, {})
        yield from both(tool, {"other": 1})
        yield from both(tool, {"text": "a\nb"})


PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ANOTHER = PARENT.replace("0a", "0b")
PARENTS = (PARENT, PARENT.upper(), ANOTHER, "nope", "", f"{PARENT}-x", "ff" + PARENT[2:])
SAID = {
    "traceparent": PARENTS,
    "tracestate": ("a=b", "", "c=d,e=f", "é"),
    "baggage": ("k=v", "", "x=y;z"),
}
CIRCUMSTANCES = ("circumstances", "circumstances_of_a_thread", "circumstances_of_chunks")


def circumstances() -> Iterator[Draft]:
    """Yield what should make the same context of the call."""
    for name, values in SAID.items():
        for value in values:
            for draft in both("circumstances", {}):
                draft.meta.update({name: value})
                yield draft
            for draft in both("circumstances", {}):
                draft.headers.append((name.encode(), value.encode()))
                yield draft
            for draft in both("circumstances", {}):
                draft.meta.update({"traceparent": PARENT, name: value})
                draft.headers += [(b"traceparent", ANOTHER.encode()), (b"baggage", b"in=header")]
                yield draft
            for draft in both("circumstances", {}):
                draft.meta.update({"tracestate": "m=1", "baggage": "m=1"})
                draft.put(b"traceparent", PARENT.encode())
                draft.headers.append((name.encode(), value.encode()))
                yield draft
    for headers in (
        [(b"x-tenant", b"one")],
        [(b"x-tenant", b"one"), (b"x-tenant", b"two")],
        [(b"x-tenant", b" \xe9 "), (b"cookie", b"a=b"), (b"x-other", b"no")],
        [(b"x-tenant", b"")],
        [(b"meshd-timeout", b"5"), (b"x-mesh-timeout", b"9")],
        [(b"authorization", b"Bearer x")],
    ):
        for tool in CIRCUMSTANCES:
            for draft in both(tool, {}):
                draft.headers += headers
                draft.meta.update({"traceparent": PARENT})
                yield draft


def ways() -> Iterator[Draft]:
    for method in made.VERBS:
        for path in made.PATHS:
            for draft in both("add", ADD):
                draft.method, draft.path = method, path
                yield draft
    for cuts in (1, 2, 3):
        for draft in both("add", ADD):
            draft.cuts = cuts
            yield draft
