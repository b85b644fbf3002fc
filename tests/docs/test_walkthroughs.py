"""Every page whose readers save files or type commands, done as it says."""

from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks, pages
from tests.docs.walkthrough import prepare, same

WALKS = [
    str(page.relative_to(ROOT))
    for page in pages()
    if any(block.language == "console" for block in blocks(page))
]


@pytest.mark.e2e
@pytest.mark.parametrize("page", WALKS)
def test_commands_print_what_the_page_shows(page: str, tmp_path: Path) -> None:
    walk = prepare(ROOT / page, tmp_path)
    try:
        for block, command, printed in walk.results(ROOT / page):
            where = f"{block.id}: $ {command.text}"
            assert same(command.output, printed), f"{where}\nprinted:\n{printed}"
    finally:
        walk.end()


@pytest.mark.parametrize(
    ("shown", "printed", "answer"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\n…\nd\n", "a\nb\nc\nd\n", True),
        ("a\n…\n", "a\n", True),
        ("…\nd\n", "a\nd\n", True),
        ("a\n…\nd\n", "a\nb\nc\n", False),
        ("a\n", "a\nb\n", False),
        ("", "", True),
        ("took 3 ms (process 5)\n", "took 1,204 ms (process 77)\n", True),
        ("took 3 s\n", "took 4 s\n", False),
    ],
)
def test_output_is_compared_line_by_line(shown: str, printed: str, answer: bool) -> None:
    assert same(shown, printed) is answer
