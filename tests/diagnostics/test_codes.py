import re
from pathlib import Path

from meshd.diagnostics.codes import CODES

PACKAGE = Path(__file__).parents[2] / "meshd"
USED = {
    code: path
    for path in PACKAGE.rglob("*.py")
    if path.name != "codes.py"
    for code in re.findall(r"\"(M[0-9]{3})\"", path.read_text(encoding="utf-8"))
}


def test_every_code_that_is_used_has_a_meaning() -> None:
    assert {code: path for code, path in USED.items() if code not in CODES} == {}


def test_every_meaning_stands_alone_in_one_line() -> None:
    for code, meaning in CODES.items():
        assert re.fullmatch(r"M[1-4][0-9]{2}", code)
        assert re.fullmatch(r"[^\n.][^\n]*[^\n.]", meaning), code
