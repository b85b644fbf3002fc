import io
import os
from pathlib import Path

import pytest

from meshd.diagnostics.model import Diagnostic, Span
from meshd.manifest.files import Found, ProjectInputs, find_files, read_bytes
from meshd.manifest.interpolate import NotReadable
from meshd.manifest.load import read_manifests
from meshd.manifest.read import MAX_BYTES

MESH = "apiVersion: meshd.dev/v1\nkind: Mesh\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, which is empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: str, text: str = MESH) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o644)
    return file


def names(*paths: str) -> list[str]:
    found, problems = find_files(paths)
    assert problems == ()
    return [file.name for file in found]


def test_folders_are_searched_to_the_bottom_in_order(folder: Path) -> None:
    for path in ["m/b.yml", "m/a.yaml", "m/c/d.yaml", "m/c.yaml", "m/notes.txt", "m/README.md"]:
        write(path)
    assert names("m") == ["m/a.yaml", "m/b.yml", "m/c.yaml", "m/c/d.yaml"]
    assert names(".") == names("./m")
    assert names("m/c", "m", "m/b.yml") == ["m/c/d.yaml", "m/a.yaml", "m/b.yml", "m/c.yaml"]


def test_leftovers_of_editors_are_ignored(folder: Path) -> None:
    for path in ["a.yaml", ".a.yaml", ".a.yaml.swp", "a.yaml~", ".ipynb_checkpoints/a.yaml"]:
        write(path)
    write(".git/b.yaml")
    assert names(".") == ["a.yaml"]


def test_a_file_that_is_named_twice_is_read_once(folder: Path) -> None:
    write("m/a.yaml")
    Path("link.yaml").symlink_to("m/a.yaml")
    assert names("m/a.yaml", "m/../m/a.yaml", "link.yaml", str(folder / "m")) == ["m/a.yaml"]


def test_links_to_folders_are_not_followed(folder: Path) -> None:
    write("m/a.yaml")
    Path("m/loop").symlink_to(folder)
    assert names("m") == ["m/a.yaml"]


def problem(code: str, message: str, file: str, hint: str) -> Diagnostic:
    return Diagnostic(code=code, message=message, span=Span(file, 1, 1, 1), hint=hint)


def test_paths_that_lead_nowhere(folder: Path) -> None:
    write("a.json")
    Path("empty").mkdir()
    assert find_files(["none.yaml", "a.json", "empty"]) == (
        (),
        (
            problem("M100", "there is no file `none.yaml`", "none.yaml", "check the path"),
            problem(
                "M101",
                "`a.json` is no manifest: it ends in neither `.yaml` nor `.yml`",
                "a.json",
                "rename it",
            ),
            problem(
                "M101",
                "there is no manifest in `empty`",
                "empty",
                "manifests end in `.yaml` or `.yml`",
            ),
        ),
    )


def test_standard_input(folder: Path) -> None:
    (file,), problems = find_files(["-", "-"])
    assert (file, problems) == (Found("<stdin>", None, os.path.realpath(".")), ())
    assert read_bytes(file, io.BytesIO(b"abc")) == b"abc"
    assert read_bytes(file, None) == b""


def test_what_anyone_may_write_is_refused(folder: Path) -> None:
    path = write("a.yaml")
    (file,), _ = find_files([path])
    assert read_bytes(file, None) == MESH.encode()
    path.chmod(0o664)
    assert read_bytes(file, None) == MESH.encode()
    path.chmod(0o646)
    assert read_bytes(file, None) == problem(
        "M104", "anyone may write `a.yaml`", "a.yaml", "run `chmod o-w a.yaml`"
    )


def test_what_is_no_file_is_refused_without_waiting(folder: Path) -> None:
    os.mkfifo("a.yaml")
    (file,), _ = find_files(["a.yaml"])
    assert read_bytes(file, None) == problem("M100", "`a.yaml` is not a regular file", "a.yaml", "")


def test_a_file_that_goes_away(folder: Path) -> None:
    path = write("a.yaml")
    (file,), _ = find_files([path])
    path.unlink()
    found = read_bytes(file, None)
    assert isinstance(found, Diagnostic)
    assert (found.code, found.label) == ("M100", "No such file or directory")


def test_no_more_is_read_than_is_needed_to_refuse_it(folder: Path) -> None:
    path = write("a.yaml", "x" * (MAX_BYTES + 1000))
    (file,), _ = find_files([path])
    data = read_bytes(file, None)
    assert isinstance(data, bytes)
    assert len(data) == MAX_BYTES + 1


def test_inputs_come_from_the_environment_and_the_project(folder: Path) -> None:
    project = folder / "project"
    write("project/secrets/a.txt", "hush\r\n")
    write("outside.txt")
    (project / "link.txt").symlink_to(folder / "outside.txt")
    (project / "bad.txt").write_bytes(b"\xff")
    (project / "large.txt").write_bytes(b"x" * (MAX_BYTES + 1))
    inputs = ProjectInputs({"A": "1"}, str(project))
    assert (inputs.variable("A"), inputs.variable("B")) == ("1", None)
    here = str(project / "manifests")
    assert inputs.text_of("../secrets/a.txt", here) == "hush"
    assert inputs.text_of("../none.txt", here) is None
    refusals = {
        "../link.txt": f"it lies outside of the project `{project}`",
        "../../outside.txt": f"it lies outside of the project `{project}`",
        "/etc/passwd": f"it lies outside of the project `{project}`",
        "../bad.txt": "it is not UTF-8",
        "../large.txt": "it has more than 1,048,576 bytes",
        "../secrets": "Is a directory",
    }
    for path, reason in refusals.items():
        with pytest.raises(NotReadable) as refused:
            inputs.text_of(path, here)
        assert str(refused.value) == reason


def test_everything_at_the_paths_is_reported_at_once(folder: Path) -> None:
    write("m/a.yaml", "kind: [\n")
    write("m/b.yaml", MESH + "spec: {a: 1}\n")
    write("m/c.yaml").chmod(0o666)
    found = read_manifests(
        ["m", "none.yaml", "-"],
        inputs=ProjectInputs({}, str(folder)),
        project_root=str(folder),
        stdin=io.BytesIO(b"kind: Nothing\napiVersion: meshd.dev/v1\n"),
    )
    assert found.mesh is None
    places = [(d.code, d.span.file, d.span.line) for d in found.diagnostics if d.span]
    assert places == [
        ("M123", "<stdin>", 1),
        ("M105", "m/a.yaml", 1),
        ("M120", "m/b.yaml", 3),
        ("M104", "m/c.yaml", 1),
        ("M100", "none.yaml", 1),
    ]
    assert set(found.sources) == {"<stdin>", "m/a.yaml", "m/b.yaml"}


def test_a_mesh_is_read_from_a_folder(folder: Path) -> None:
    write("m/a.yaml", MESH)
    agent = "apiVersion: meshd.dev/v1\nkind: Agent\nmetadata: {name: a}\n"
    write("m/b.yaml", agent + "spec: {python: {path: ../src}, description: '${env:TEXT}'}\n")
    found = read_manifests(
        ["m"],
        inputs=ProjectInputs({"TEXT": "hello"}, str(folder)),
        project_root=str(folder),
    )
    assert found.diagnostics == ()
    assert found.mesh is not None
    (spec,) = found.mesh.agents
    assert (spec.roots, spec.description) == ((str(folder / "src"),), "hello")


def test_a_file_of_a_secret_may_be_anywhere(folder: Path) -> None:
    inputs = ProjectInputs({}, str(folder / "project"))
    write("secrets/a")
    Path("link").symlink_to("secrets/a")
    found = [inputs.is_file(str(folder / name)) for name in ("secrets/a", "link", "secrets", "no")]
    assert found == [True, True, False, False]
    assert not inputs.is_file("a\0b")


@pytest.mark.parametrize("name", ["a" * 300 + ".yaml", "a\0b.yaml"])
def test_a_name_that_no_file_can_have_is_a_diagnostic(name: str) -> None:
    found, [problem] = find_files([name])
    assert found == ()
    assert problem.code == "M100"
    assert problem.message.endswith("cannot be read")
    assert problem.label
