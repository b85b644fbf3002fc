from pathlib import Path

import pytest

from meshd.callables.find import find_module, is_inside, leads_out, sibling_modules
from tests.callables.project import write


@pytest.fixture
def roots(tmp_path: Path) -> tuple[str, str]:
    first = write(
        tmp_path / "first",
        {
            "alone.py": "",
            "both.py": "",
            "both/__init__.py": "",
            "package/__init__.py": "",
            "package/inner.py": "",
            "package/data.txt": "",
            "space/one.py": "",
            "bad-name.py": "",
        },
    )
    second = write(
        tmp_path / "second", {"space/two.py": "", "alone.py": "", "space/__init__.txt": ""}
    )
    return str(first), str(second)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("alone", "first/alone.py"),
        ("both", "first/both/__init__.py"),
        ("package", "first/package/__init__.py"),
        ("package.inner", "first/package/inner.py"),
        ("package.data", None),
        ("package.inner.deeper", None),
        ("alone.inner", None),
        ("space", "first/space"),
        ("space.one", "first/space/one.py"),
        ("space.two", "second/space/two.py"),
        ("space.three", None),
        ("nothing", None),
        ("nothing.at.all", None),
    ],
)
def test_modules_are_found_as_python_finds_them(
    name: str, found: str | None, roots: tuple[str, str], tmp_path: Path
) -> None:
    assert find_module(name, roots) == (tmp_path / found if found else None)


def test_a_link_inside_the_root_is_followed_and_one_that_leaves_it_is_not(tmp_path: Path) -> None:
    root = write(tmp_path / "root", {"real/__init__.py": "", "real/inner.py": ""})
    write(tmp_path, {"outside.py": ""})
    (root / "alias").symlink_to(root / "real")
    (root / "out.py").symlink_to(tmp_path / "outside.py")
    (root / "broken.py").symlink_to(tmp_path / "nowhere.py")
    roots = [str(root)]
    assert find_module("alias.inner", roots) == root / "alias" / "inner.py"
    assert [find_module(name, roots) for name in ("out", "broken")] == [None, None]
    assert [leads_out(name, roots) for name in ("out", "alias.inner", "nothing")] == [
        True,
        False,
        False,
    ]


def test_a_root_may_itself_be_a_link(tmp_path: Path) -> None:
    write(tmp_path / "real", {"a.py": ""})
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert find_module("a", [str(tmp_path / "link")]) == tmp_path / "link" / "a.py"
    assert is_inside(tmp_path / "real" / "a.py", tmp_path / "link")
    assert not is_inside(tmp_path / "really", tmp_path / "real")


@pytest.mark.parametrize(
    ("package", "names"),
    [
        ("", ["alone", "both", "both", "package", "space", "alone", "space"]),
        ("package", ["inner"]),
        ("space", ["one"]),
        ("nothing", []),
        ("alone", []),
    ],
)
def test_siblings_are_what_a_typing_mistake_may_have_meant(
    package: str, names: list[str], roots: tuple[str, str]
) -> None:
    assert list(sibling_modules(package, [*roots, "/no/such/root"])) == names
