"""The matching rules of MCP Mesh's registry, row by row; ids are those of its truth tables.

T: tags. O: groups of tags. A: alternatives (a consumer tries its wants in order). V: versions.
W: which provider wins. P: needs keep their places.
"""

import pytest

from meshd.domain.resolve import Provider, Trace, Want, resolve
from meshd.domain.tags import WantedTags
from meshd.domain.version import compare_versions


def provider(agent: str, *tags: str, version: str = "1.0.0", capability: str = "c") -> Provider:
    return Provider(agent=agent, tool="t", capability=capability, version=version, tags=tags)


def winner(providers: list[Provider], want: Want) -> str | None:
    found = resolve(providers, want).winner
    return found.agent if found else None


def tag_match(tags: str, wanted: WantedTags) -> tuple[bool, int]:
    trace = resolve([provider("p", *tags.split())], Want(capability="c", tags=wanted))
    return bool(trace.matches), trace.matches[0].score if trace.matches else 0


TAG_ROWS: list[tuple[str, str, WantedTags, bool, int]] = [
    ("T1", "claude sonnet", ("claude",), True, 5),
    ("T2", "claude sonnet", ("gpt",), False, 0),
    ("T3", "claude opus", ("claude", "+opus"), True, 15),
    ("T4", "claude sonnet", ("claude", "+opus"), True, 5),
    ("T5", "claude experimental", ("claude", "-experimental"), False, 0),
    ("T6", "claude production", ("claude", "-experimental"), True, 5),
    ("T7", "claude opus production us-east",
     ("claude", "+opus", "+us-east", "-experimental", "-beta"), True, 25),
    ("T8", "claude production",
     ("claude", "+opus", "+us-east", "-experimental", "-beta"), True, 5),
    ("T9", "claude opus", ("+claude", "+opus"), True, 20),
    ("T10", "claude production", ("-experimental", "-beta"), True, 0),
    ("T11", "+opus -experimental opus-4.1", ("+opus", "-experimental", "opus-4.1"), True, 5),
    ("T12", "claude opus", (), True, 0),
    ("T13", "llm claude", ("llm",), True, 5),
    ("T14", "llm claude", ("+claude",), True, 10),
    ("T15", "llm claude", ("-gpt",), True, 0),
    ("T16", "any", ("",), True, 0),
    ("T17", "any", ("+", "-"), True, 0),
    ("T18", "Claude", ("claude",), False, 0),
    ("docs-haiku", "claude haiku fast", ("claude", "+opus", "-experimental"), True, 5),
    ("docs-sonnet", "claude sonnet balanced", ("claude", "+opus", "-experimental"), True, 5),
    ("docs-opus", "claude opus premium", ("claude", "+opus", "-experimental"), True, 15),
    ("docs-experimental", "claude experimental", ("claude", "+opus", "-experimental"), False, 0),
    ("O1", "llm", ("llm", ("python", "typescript")), False, 0),
    ("O2", "math addition python", ("addition", ("python", "typescript")), True, 10),
    ("O3", "math addition typescript", ("addition", ("python", "typescript")), True, 10),
    ("O4", "x q", ("x", ("p", "q")), True, 10),
    ("O5", "x p q", ("x", ("p", "q")), True, 10),
    ("O6", "x p", ("x", ("+p", "q")), True, 15),
    ("O7", "x q", ("x", ("+p", "q")), True, 10),
    ("O8", "x p", ("x", ("+p",)), True, 15),
    ("O9", "x", ("x", ("+p",)), False, 0),
    ("O10", "x", ("x", ("-z",)), False, 0),
    ("O11", "x q z", ("x", ("q", "-z")), False, 0),
    ("O12", "x q", ("x", ("q", "-z")), True, 10),
    ("O13", "x", ("x", ()), True, 5),
    ("O14", "x", ("x", ("", "+", "-")), False, 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("tags", "wanted", "matches", "score"),
    [row[1:] for row in TAG_ROWS],
    ids=[r[0] for r in TAG_ROWS],
)
def test_tags(tags: str, wanted: WantedTags, matches: bool, score: int) -> None:
    assert tag_match(tags, wanted) == (matches, score)


PYTHON = provider("py-math-agent", "math", "addition", "python")
TYPESCRIPT = provider("ts-math-agent", "math", "addition", "typescript")
ADDITION = Want(capability="c", tags=("addition", ("python", "typescript")))


@pytest.mark.parametrize(
    ("providers", "expected"),
    [
        pytest.param([TYPESCRIPT, PYTHON], "py-math-agent", id="PrimaryAvailable"),
        pytest.param([TYPESCRIPT], "ts-math-agent", id="FallbackUsed"),
        pytest.param([], None, id="NoProvider"),
    ],
)
def test_alternatives_in_a_group(providers: list[Provider], expected: str | None) -> None:
    assert winner(providers, ADDITION) == expected


CLAUDE_OR_GPT = [
    Want(capability="c", tags=("llm", "claude")),
    Want(capability="c", tags=("llm", "gpt")),
]


@pytest.mark.parametrize(
    ("providers", "expected"),
    [
        pytest.param([provider("gpt-only-provider", "llm", "gpt", "openai")],
                     [None, "gpt-only-provider"], id="A2"),
        pytest.param([], [None, None], id="A3"),
    ],
)  # fmt: skip
def test_whole_alternatives(providers: list[Provider], expected: list[str | None]) -> None:
    assert [winner(providers, want) for want in CLAUDE_OR_GPT] == expected


VERSION_ROWS = [
    ("", "1.2.3", True),
    ("", "", True),
    (">=1.0.0", "", False),
    (">=1.0.0", "1.2.3", True),
    ("^1.0.0", "2.0.0", False),
    ("4.6.0", "4.6.0", True),
    ("4.6.0", "4.6.1", False),
    ("4.6.0", "4.7.0", False),
    ("^4.6.0", "4.6.0", True),
    ("^4.6.0", "4.7.0", True),
    ("^4.6.0", "5.0.0", False),
    (">=4.6.0", "4.6.0", True),
    (">=4.6.0", "4.7.0", True),
    (">=4.6.0", "5.0.0", True),
    (">=2.0.0,<3.0.0", "2.5.0", True),
    (">=2.0.0,<3.0.0", "3.0.0", False),
    ("latest", "latest", True),
    ("latest", "1.0.0", False),
    (">=1.0.0", "1.1.0-beta", False),
]


@pytest.mark.parametrize(("constraint", "version", "matches"), VERSION_ROWS)
def test_versions(constraint: str, version: str, matches: bool) -> None:
    want = Want(capability="c", version=constraint)
    assert (winner([provider("p", version=version)], want) == "p") == matches


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("2.0.0", "1.0.0", 1),
        ("1.0.0", "1.0.0", 0),
        ("1.2.0", "1.10.0", -1),
        ("", "1.0.0", -1),
        ("garbage", "1.0.0", -1),
        ("1.0.0", "garbage", 1),
        ("garbage", "other", -1),
        ("other", "garbage", 1),
    ],
)
def test_version_order(a: str, b: str, expected: int) -> None:
    assert compare_versions(a, b) == expected


@pytest.mark.parametrize(
    ("providers", "tags", "expected"),
    [
        pytest.param(
            [provider("high-version", "base", version="9.9.9"),
             provider("preferred", "fast", "base")],
            ("+fast", "base"), "preferred", id="W2-score-beats-version"),
        pytest.param(
            [provider("a-old", version="1.0.0"), provider("b-new", version="1.10.0")],
            (), "b-new", id="version-beats-name"),
        pytest.param(
            [provider("b"), provider("a"), provider("c")], (), "a", id="name-breaks-ties"),
        pytest.param(
            [provider("a", version="garbage"), provider("b", version="0.0.1")],
            (), "b", id="versions-beat-garbage"),
        pytest.param(
            [provider("claude-sonnet-provider", "claude", "sonnet"),
             provider("claude-opus-provider", "claude", "opus")],
            ("claude", "+opus"), "claude-opus-provider", id="W5"),
        pytest.param(
            [provider("claude-experimental", "claude", "experimental"),
             provider("claude-production", "claude", "production")],
            ("claude", "-experimental"), "claude-production", id="W6"),
        pytest.param(
            [provider("only", "claude", "experimental")],
            ("claude", "-experimental"), None, id="W7"),
    ],
)  # fmt: skip
def test_winner(providers: list[Provider], tags: WantedTags, expected: str | None) -> None:
    want = Want(capability="c", tags=tags)
    assert winner(providers, want) == winner(providers[::-1], want) == expected


PIPELINE = [
    ("", "5-0-0"),
    ("^4.6.0", "4-7-0"),
    (">=4.6.0", "5-0-0"),
    ("4.6.0", "4-6-0"),
    ("~4.6.0", "4-6-0"),
]


@pytest.mark.parametrize(
    ("name", "tags"),
    [pytest.param("db", (), id="W4"), pytest.param("llm", ("claude", "sonnet"), id="W4-llm")],
)
@pytest.mark.parametrize(("constraint", "suffix"), PIPELINE)
def test_winner_among_versions(
    name: str, tags: tuple[str, ...], constraint: str, suffix: str
) -> None:
    providers = [
        provider(f"{name}-provider-v{version.replace('.', '-')}", *tags, version=version)
        for version in ("5.0.0", "4.7.0", "4.6.0")
    ]
    want = Want(capability="c", version=constraint, tags=tags)
    assert winner(providers, want) == f"{name}-provider-v{suffix}"


def resolved(providers: list[Provider], wants: list[Want]) -> list[str | None]:
    return [winner(providers, want) for want in wants]


@pytest.mark.parametrize(
    ("providers", "wants", "expected"),
    [
        pytest.param(
            [provider("utc-clock", "utc"), provider("system-clock", "system")],
            [Want(capability="c", tags=("system",)), Want(capability="c", tags=("utc",))],
            ["system-clock", "utc-clock"], id="P1-one-capability-two-tags"),
        pytest.param(
            [provider("a", capability="A"), provider("c", capability="C")],
            [Want(capability="A"), Want(capability="B"), Want(capability="C")],
            ["a", None, "c"], id="P2-hole-in-the-middle"),
        pytest.param(
            [provider("a", capability="A"), provider("b", capability="B"),
             provider("c", capability="C")],
            [Want(capability="A", tags=("x",)), Want(capability="B"),
             Want(capability="C", version=">=2")],
            [None, "b", None], id="P3-mismatches-leave-only-their-slot"),
        pytest.param([provider("a")], [], [], id="P4-no-needs"),
        pytest.param(
            [provider("a", capability="A"), provider("b", capability="B")],
            [Want(capability="B"), Want(capability="A")],
            ["b", "a"], id="P5-order-of-declaration"),
    ],
)  # fmt: skip
def test_needs_keep_their_places(
    providers: list[Provider], wants: list[Want], expected: list[str | None]
) -> None:
    assert resolved(providers, wants) == expected


def test_an_unavailable_provider_is_no_provider() -> None:
    down = Provider(agent="a", tool="t", capability="c", available=False, unavailable_reason="gone")
    trace: Trace = resolve([down], Want(capability="c"))
    assert trace.winner is None
