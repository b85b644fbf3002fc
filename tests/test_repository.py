"""What the repository promises: its top level, its locks, its pins, its light import."""

import re
import subprocess
import sys
import tomllib
from itertools import chain

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.tools.check_text import ROOT, offences, tracked_files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TOP_LEVEL = {
    ".ci",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "docs",
    "examples",
    "manifests",
    "meshd",
    "pyproject.toml",
    "requirements-dev.lock",
    "requirements.lock",
    "schemas",
    "tests",
}
LOCKS = {
    "requirements.lock": ["build", "samples"],
    "requirements-dev.lock": ["build", "samples", "dev"],
}


def locked(lock: str) -> dict[str, tuple[str, int]]:
    """Return the version and the number of hashes of each package in a lock."""
    text = re.sub(r"^#.*\n", "", (ROOT / lock).read_text(), flags=re.MULTILINE)
    entries = [entry.replace("\\\n", " ") for entry in re.split(r"\n(?=\S)", text)]
    parts = [re.match(r"([\w.-]+)==(\S+)", entry) for entry in entries]
    return {
        part[1]: (part[2], entry.count("--hash=sha256:"))
        for part, entry in zip(parts, entries, strict=True)
        if part
    }


def required(extras: list[str]) -> list[Requirement]:
    groups = [PROJECT["dependencies"], *(PROJECT["optional-dependencies"][name] for name in extras)]
    return [Requirement(text) for text in chain(*groups)]


def test_the_top_level_holds_what_it_should() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in tracked_files()} <= TOP_LEVEL


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_of_a_lock_is_a_package_with_hashes(lock: str) -> None:
    lines = (ROOT / lock).read_text().splitlines()
    allowed = re.compile(
        r"#.*|[a-z0-9.-]+==[^\s]+( ; [^\\]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?"
    )
    assert [line for line in lines if not allowed.fullmatch(line)] == []
    assert [name for name, (_, hashes) in locked(lock).items() if hashes == 0] == []


@pytest.mark.parametrize(("lock", "extras"), LOCKS.items())
def test_a_lock_meets_every_requirement(lock: str, extras: list[str]) -> None:
    versions = {name: version for name, (version, _) in locked(lock).items()}
    unmet = [
        str(each)
        for each in required(extras)
        if not each.specifier.contains(versions.get(canonicalize_name(each.name), "0"))
    ]
    assert unmet == []


def test_the_locks_agree() -> None:
    assert locked("requirements.lock").items() <= locked("requirements-dev.lock").items()


@pytest.mark.parametrize("name", ["fastmcp", "mcp", "mcp-types"])
def test_the_protocol_packages_are_pinned(name: str) -> None:
    (pin,) = [each.specifier for each in required([]) if each.name == name]
    assert re.fullmatch(r"==\d+\.\d+\.\d+", str(pin))


def test_importing_meshd_imports_nothing_else() -> None:
    program = "import sys; old = {*sys.modules}; import meshd; print(*{*sys.modules} - old)"
    command = [sys.executable, "-c", program]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert output == "meshd\n"


@pytest.mark.parametrize(
    "line",
    [
        "pip install --index" + "-url=x",
        "see https://pypi" + ".org/simple",
        'url = "https://files.pythonhosted' + '.org/packages"',
        '      "resolved' + '": "https://example.org/x.tgz"',
        "cd /root" + "/meshd",
        'path = "/home' + '/somebody/meshd"',
    ],
)
def test_an_offending_line_is_found(line: str) -> None:
    assert [number for number, _ in offences(f"fine\n{line}\n")] == [2]


@pytest.mark.parametrize(
    "line",
    ["docs/work/x", "$HOME/work/", "https://example.org/home/page", "a --format json", "/opt"],
)
def test_an_innocent_line_is_let_be(line: str) -> None:
    assert list(offences(line)) == []
