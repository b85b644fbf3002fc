"""Every snippet of the documentation is valid: manifests, code, commands, allow-lists and links."""

import ast
import re
import shlex
from io import BytesIO
from pathlib import Path

import pytest
import yaml

from meshd.callables.project import read_allow_list
from meshd.cli.app import UsageError, understood
from meshd.diagnostics.render import as_text
from meshd.manifest.files import ProjectInputs
from meshd.manifest.load import read_manifests
from meshd.manifest.model import AgentSection, Tool
from tests.docs.pages import ROOT, Block, all_blocks, command_lines, mentioned_commands, pages

PAGES = [str(page.relative_to(ROOT)) for page in pages()]
GENERATED = {"docs/reference/commands.md"}
"""Its usage lines are the parser's own, with brackets and bars."""
BLOCKS = all_blocks()
AGENT = "apiVersion: meshd.dev/v1\nkind: Agent\nmetadata: {name: example}\nspec:\n"
TOOL = "  tools:\n    - callable: example:tool\n"
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def of_language(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language]


def is_manifest(block: Block) -> bool:
    """Say whether the block is (a part of) a manifest; files of other programs begin with a dot."""
    return not block.file.startswith(".")


def whole_manifest(text: str) -> str:
    """Return the manifest around a part of one: tools of an agent, or keys of a tool or agent."""
    if "apiVersion:" in text:
        return text
    if text.startswith("- callable:"):
        return f"{AGENT}  tools:\n{indented(text, 4)}"
    keys = {line.partition(":")[0] for line in text.splitlines() if line[:1].isalpha()}
    if keys <= AgentSection.known_keys().keys():
        return AGENT + indented(text, 2)
    assert keys <= Tool.known_keys().keys(), f"a part of no manifest: {keys}"
    return AGENT + TOOL + indented(text.replace("callable:", "x-callable:"), 6)


def indented(text: str, spaces: int) -> str:
    return "".join(" " * spaces + line for line in text.splitlines(keepends=True))


def problems_of(text: str) -> str:
    """Return what `meshd validate` would say of the text."""
    found = read_manifests(
        ["-"],
        inputs=ProjectInputs({}, str(ROOT)),
        project_root=str(Path.cwd()),
        stdin=BytesIO(text.encode()),
    )
    return as_text(found.diagnostics, found.sources)


def test_there_are_snippets_of_each_kind() -> None:
    assert {block.language for block in BLOCKS} >= {"yaml", "python", "toml", "console", "sh"}


@pytest.mark.parametrize("block", of_language("yaml"), ids=lambda block: block.id)
def test_manifests_are_valid(block: Block) -> None:
    if not is_manifest(block):
        assert isinstance(yaml.safe_load(block.text), dict)
    elif not block.wrong:
        assert problems_of(whole_manifest(block.text)) == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("descripton: Counts\n", "a part of no manifest"),
        ("python: {paths: src}\n", "unknown key `paths` in `python`"),
        ("needs: {a: {capability: b, call: {timeout: 5}}}\n", "a duration needs a unit"),
        ("- callable: a:b\n  versoin: 1.0.0\n", "unknown key `versoin`"),
    ],
)
def test_a_mistake_in_a_part_of_a_manifest_is_found(text: str, problem: str) -> None:
    try:
        found = problems_of(whole_manifest(text))
    except AssertionError as error:
        found = str(error)
    assert problem in found


@pytest.mark.parametrize("block", of_language("python"), ids=lambda block: block.id)
def test_python_compiles(block: Block) -> None:
    compile(block.text, block.id, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("block", of_language("toml"), ids=lambda block: block.id)
def test_allow_lists_are_valid(block: Block) -> None:
    patterns, diagnostics = read_allow_list(block.text, block.id)
    assert patterns
    assert diagnostics == ()


@pytest.mark.parametrize("page", [page for page in PAGES if page not in GENERATED])
def test_commands_exist(page: str) -> None:
    for line in command_lines(ROOT / page):
        if words := words_of(line):
            understood(words[1:])


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_sentences_exist(page: str) -> None:
    assert [line for line in mentioned_commands(ROOT / page) if not is_command(line)] == []


def is_command(mention: str) -> bool:
    """Say whether it can be typed, once what a sentence leaves out is added."""
    try:
        understood(words_of(mention)[1:])
    except UsageError as error:
        return str(error).startswith("the following arguments are required")
    return True


def words_of(line: str) -> list[str]:
    """Return the words of a `meshd` command, without what a shell keeps for itself."""
    line = re.sub(r"^(?:[A-Z_]+=\S+ )+", "", line)
    found = re.match(r"meshd(?: (?:'[^']*'|[^|<>&;'\s])+)+", line)
    return [] if found is None else shlex.split(found[0])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("meshd list", ["meshd", "list"]),
        ("A=1 meshd run . --allow 'a.*'", ["meshd", "run", ".", "--allow", "a.*"]),
        ("meshd call a.b c='d e' | jq", ["meshd", "call", "a.b", "c=d e"]),
        ("make run", []),
    ],
)
def test_words_of_commands_are_found(line: str, words: list[str]) -> None:
    assert words_of(line) == words


@pytest.mark.parametrize("words", [["plan", "."], ["run", ".", "--detatch"], ["call"]])
def test_what_is_no_command_is_found(words: list[str]) -> None:
    with pytest.raises(UsageError):
        understood(words)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    file = ROOT / page
    for target in LINK.findall(CODE.sub("", file.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        aim = (file.parent / path).resolve() if path else file
        assert aim.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in anchors(aim), f"{page}: {target}"


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as forges make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("folder", ["tutorial", "how-to", "concepts", "decisions"])
def test_every_page_is_in_an_index(folder: str) -> None:
    index = "decisions/README.md" if folder == "decisions" else "README.md"
    listed = (ROOT / "docs" / index).read_text(encoding="utf-8")
    missing = [
        page.name
        for page in (ROOT / "docs" / folder).glob("*.md")
        if page.name != "README.md" and f"{page.name})" not in listed
    ]
    assert missing == []
