"""The pages of the documentation and the blocks of code in them.

A comment before a block says what the block is: `<!-- file: src/rota.py -->` that a reader saves it
under this name, `<!-- wrong -->` that it shows a mistake; `<!-- file: oncall.yaml; wrong -->` both.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(
    r"(?:^<!--\s*(?P<label>[^\n]*?)\s*-->\n)?"
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)\n", re.MULTILINE)
INDENTED = re.compile(r"(?:(?<=\n\n)|\A)(?: {4}.*\n)+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code: `start` is where its text begins in the page, `line` its first line."""

    page: str
    line: int
    start: int
    language: str
    text: str
    file: str = ""
    wrong: bool = False

    @property
    def id(self) -> str:
        """Where to find it."""
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Return every page of the documentation."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    return found + sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    name, text = str(page.relative_to(ROOT)), page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        said = [part.strip() for part in (match["label"] or "").split(";")]
        files = [part.removeprefix("file:").strip() for part in said if part.startswith("file:")]
        start = match.start("text")
        yield Block(
            page=name,
            line=text.count("\n", 0, start) + 1,
            start=start,
            language=match["language"],
            text=match["text"],
            file=files[0] if files else "",
            wrong="wrong" in said,
        )


def all_blocks() -> list[Block]:
    """Return the fenced blocks of all pages."""
    return [block for page in pages() for block in blocks(page)]


@dataclass(frozen=True, slots=True)
class Command:
    """A command that a page shows, what it is said to print, and where in the page that begins."""

    text: str
    output: str
    start: int


def commands(block: Block) -> list[Command]:
    """Return the commands of a `console` block, each after its `$`."""
    found = list(COMMAND.finditer(block.text))
    ends = [match.start() for match in found[1:]] + [len(block.text)]
    return [
        Command(
            text=re.sub(r"\\\n\s*", "", match[1]),
            output=block.text[match.end() : end],
            start=block.start + match.end(),
        )
        for match, end in zip(found, ends, strict=True)
    ]


def command_lines(page: Path) -> Iterator[str]:
    """Yield every line that a page's blocks tell readers to type."""
    for block in blocks(page):
        if block.language == "console":
            yield from (command.text for command in commands(block))
        elif block.language == "sh":
            yield from re.sub(r"\\\n\s*", "", block.text).splitlines()
    for match in INDENTED.finditer(FENCE.sub("", page.read_text(encoding="utf-8"))):
        yield from (line.strip() for line in match[0].splitlines())


def mentioned_commands(page: Path) -> list[str]:
    """Return every `meshd …` in a page's sentences; decisions also weigh what does not exist."""
    if page.parent.name == "decisions":
        return []
    return re.findall(r"`(meshd [a-z][^`\n…]*)`", FENCE.sub("", page.read_text(encoding="utf-8")))
