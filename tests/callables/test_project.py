import sysconfig
from pathlib import Path

import pytest

from meshd.callables.project import (
    Project,
    check_roots,
    find_project_root,
    read_allow_list,
    read_project,
)
from meshd.diagnostics.model import Span
from tests.callables.project import write


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        ("", ()),
        ("[imports]\n", ()),
        ("[imports]\nallow = []\n", ()),
        (
            '[imports]\nallow = ["trip.*", "trip", "a.b.*", "hashlib:sha256", "a.b:C.d"]',
            ("trip.*", "trip", "a.b.*", "hashlib:sha256", "a.b:C.d"),
        ),
    ],
)
def test_the_allow_list_is_read(text: str, patterns: tuple[str, ...]) -> None:
    assert read_allow_list(text, "meshd.toml") == (patterns, ())


@pytest.mark.parametrize(
    ("text", "place", "message", "label", "hint"),
    [
        (
            "[imports\n",
            (1, 9),
            "`meshd.toml` is not TOML",
            "Expected ']' at the end of a table declaration",
            "",
        ),
        ("a = ", (1, 5), "`meshd.toml` is not TOML", "Invalid value", ""),
        ("[import]\nallow = []", (1, 2), "unknown key `import`", "", "did you mean `imports`?"),
        ("# import\n\n[x]", (3, 2), "unknown key `x`", "", "known: imports"),
        ("[imports]\nalow = []", (2, 1), "unknown key `alow`", "", "did you mean `allow`?"),
        (
            '[imports]\nallow = "a"',
            (2, 1),
            "`allow` is not a list",
            "",
            'write `allow = ["package.*"]`',
        ),
        ("imports = 1", (1, 1), "`imports` is not a table", "", "write `[imports]`"),
        ("[[imports]]", (1, 3), "`imports` is not a table", "", "write `[imports]`"),
        ('["im\\u0070ort"]', (1, 1), "unknown key `import`", "", "did you mean `imports`?"),
    ],
)
def test_mistakes_in_the_file_have_a_place(
    text: str, place: tuple[int, int], message: str, label: str, hint: str
) -> None:
    patterns, (diagnostic,) = read_allow_list(text, "meshd.toml")
    span = diagnostic.span
    assert span is not None
    assert patterns == ()
    assert (span.line, span.column) == place
    assert (diagnostic.code, diagnostic.message, diagnostic.label, diagnostic.hint) == (
        "M215",
        message,
        label,
        hint,
    )


@pytest.mark.parametrize(
    ("pattern", "label"),
    [
        ('"*"', "it would allow every module there is"),
        ('".*"', "a part between two dots is empty"),
        ('"trip.*.plan"', "`*` is not an identifier"),
        ('"trip*"', "`trip*` is not an identifier"),
        ('"trip:*"', "`*` is not an identifier"),
        ('"trip:a:b"', "it needs exactly one colon between module and name"),
        ('"../trip"', "a part between two dots is empty"),
        ('"__main__"', "`__main__` is internal to Python"),
        (f'"{"a" * 300}"', "it is longer than 250 characters"),
        ("7", "`7` is not a string"),
    ],
)
def test_a_bad_pattern_leaves_the_good_ones(pattern: str, label: str) -> None:
    patterns, (diagnostic,) = read_allow_list(
        f'[imports]\nallow = [\n  "good.*",\n  {pattern}]', "meshd.toml"
    )
    assert patterns == ("good.*",)
    assert (diagnostic.code, diagnostic.label) == ("M215", label)
    assert diagnostic.span is not None
    assert diagnostic.span.line == (2 if pattern == "7" else 4)


def test_the_root_is_the_nearest_folder_with_a_meshd_toml(tmp_path: Path) -> None:
    write(tmp_path, {"meshd.toml": "", "a/meshd.toml": "", "a/b/m.yaml": "", "c/d/m.yaml": ""})
    assert find_project_root([tmp_path / "a" / "b" / "m.yaml"]) == tmp_path / "a"
    assert find_project_root([tmp_path / "a"]) == tmp_path / "a"
    assert find_project_root([tmp_path / "c" / "d"]) == tmp_path
    assert find_project_root([tmp_path / "a" / "b", tmp_path / "c" / "d" / "m.yaml"]) == tmp_path


def test_without_a_meshd_toml_the_root_is_the_folder_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"a/m.yaml": "", "b/m.yaml": ""})
    assert find_project_root([tmp_path / "a"]) == tmp_path / "a"
    assert find_project_root([str(tmp_path / "a" / "m.yaml")]) == tmp_path / "a"
    assert find_project_root([tmp_path / "a", tmp_path / "b"]) == tmp_path
    monkeypatch.chdir(tmp_path / "b")
    assert find_project_root(["-"]) == tmp_path / "b"
    assert find_project_root([]) == tmp_path / "b"


def test_a_project_has_the_patterns_of_the_file_and_of_the_command_line(tmp_path: Path) -> None:
    write(tmp_path, {"meshd.toml": '[imports]\nallow = ["math.*"]'})
    assert read_project([tmp_path], ["json:loads"]) == (
        Project(str(tmp_path), ("math.*", "json:loads")),
        (),
    )


def test_a_bad_pattern_on_the_command_line_is_refused(tmp_path: Path) -> None:
    project, (diagnostic,) = read_project([tmp_path], ["*"])
    assert project == Project(str(tmp_path), ())
    assert (diagnostic.code, diagnostic.message, diagnostic.span) == (
        "M215",
        "`--allow *` is not a pattern",
        None,
    )


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "meshd.toml").write_bytes(b"\xff\xfe\x00")
    project, (diagnostic,) = read_project([tmp_path])
    assert (project.patterns, diagnostic.code) == ((), "M215")
    assert diagnostic.message == f"`{tmp_path / 'meshd.toml'}` cannot be read"


def test_roots_must_be_folders_of_the_projects_own_code(tmp_path: Path) -> None:
    project = write(
        tmp_path / "project",
        {
            "src/a.py": "",
            "file.py": "",
            ".venv/lib/python3.11/site-packages/x.py": "",
            "copy/os.py": "",
            "copy/site.py": "",
            "copy/abc.py": "",
        },
    )
    write(tmp_path, {"elsewhere/a.py": ""})
    (project / "link").symlink_to(tmp_path / "elsewhere")
    span = Span("m.yaml", 3, 4, 9)
    roots = [
        "src",
        ".",
        "none",
        "file.py",
        "link",
        "../elsewhere",
        ".venv/lib/python3.11/site-packages",
        "copy",
    ]
    found = check_roots(str(project), [str(project / root) for root in roots], span)
    installed = "it belongs to the installed packages or the standard library"
    outside = f"it lies outside the project, which is {project}"
    assert [(d.code, Path(d.message.split("`")[1]).name, d.label, d.span) for d in found] == [
        ("M214", "none", "there is no such folder", span),
        ("M214", "file.py", "there is no such folder", span),
        ("M214", "link", outside, span),
        ("M214", "elsewhere", outside, span),
        ("M214", "site-packages", installed, span),
        ("M214", "copy", "it holds a standard library", span),
    ]


@pytest.mark.parametrize("name", ["stdlib", "purelib"])
def test_the_running_pythons_own_folders_are_no_roots(name: str) -> None:
    folder = sysconfig.get_path(name)
    (diagnostic,) = check_roots("/", [folder])
    assert diagnostic.label == "it belongs to the installed packages or the standard library"
