"""What is good in manifests with errors goes on; what is wrong keeps its last good version."""

import os
from pathlib import Path

import pytest

from meshd.domain.spec import AgentSpec, MeshSpec
from meshd.manifest.files import ProjectInputs
from meshd.manifest.interpolate import Mode
from meshd.manifest.load import Manifests, read_manifests
from meshd.manifest.partial import merged
from tests.manifest.reading import FakeInputs, manifests

MESH = "apiVersion: meshd.dev/v1\nkind: Mesh\nspec: {registry: {url: http://r:8000}}\n"


def agent(name: str, spec: str = "{}") -> str:
    return f"apiVersion: meshd.dev/v1\nkind: Agent\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def names(mesh: MeshSpec | None) -> list[str] | None:
    return None if mesh is None else [one.key for one in mesh.agents]


GOOD = {"mesh.yaml": MESH, "a.yaml": agent("a"), "b.yaml": agent("b")}


def good() -> MeshSpec:
    mesh = manifests(GOOD).mesh
    assert mesh is not None
    return mesh


def changed(**files: str) -> Manifests:
    """Read the good files with some of them replaced; an empty one is gone."""
    texts = GOOD | {f"{name}.yaml": text for name, text in files.items()}
    return manifests({name: text for name, text in texts.items() if text})


def test_where_nothing_is_wrong_the_good_part_is_all() -> None:
    read = manifests(GOOD)
    assert read.partial is read.mesh
    assert read.bad_files == frozenset()
    assert merged(read, MeshSpec(agents=(AgentSpec(name="old"),))) == read.mesh


WRONG = {
    "unknown key": agent("b", "{verison: 1.0.0}"),
    "wrong value": agent("b", "{replicas: many}"),
    "broken rule": agent("b", "{heartbeat: {interval: 1ms}}"),
    "not supported": agent("b", "{health: 'a:b'}"),
    "no YAML": agent("b", "{"),
    "duplicate key": agent("b") + "kind: Agent\n",
    "a tag": agent("b", "!!map {}"),
    "no interpolation": agent("b", "{description: '${nothing}'}"),
    "no kind": "apiVersion: meshd.dev/v1\nmetadata: {name: b}\nspec: {}\n",
    "no mapping": "- b\n",
    "no text": "\x00",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_a_bad_file_leaves_the_others(text: str) -> None:
    read = changed(a=agent("a", "{version: 2.0.0}"), b=text)
    assert (read.mesh, names(read.partial), read.bad_files) == (None, ["a"], {"b.yaml"})
    last = good()
    mesh = merged(read, last)
    assert mesh is not None
    assert [(one.name, one.version) for one in mesh.agents] == [("a", "2.0.0"), ("b", "1.0.0")]
    assert mesh.agents[1] is last.agents[1]
    assert mesh.registry_url == "http://r:8000"


@pytest.mark.parametrize(
    ("bad", "kept"),
    [
        (agent("c", "{health: 'a:b'}"), ["a", "d"]),
        (agent("c", "{"), ["a"]),  # what follows cannot be read
        ("kind: Agent\n" + agent("c"), ["a", "d"]),
        ("%YAML 1.1\n---\n" + agent("c"), ["a", "d"]),
        ("&a [*a]\n", ["a"]),
    ],
)
def test_a_bad_document_leaves_the_others_of_its_file(bad: str, kept: list[str]) -> None:
    head = "...\n" if bad.startswith("%") else "---\n"
    text = agent("a", "{version: 2.0.0}") + head + bad + "---\n" + agent("d")
    read = manifests({"all.yaml": text})
    assert read.bad_files == {"all.yaml"}
    assert read.partial is not None
    assert [name for name in ("a", "c", "d") if name in (names(read.partial) or [])] == kept
    assert read.partial.agents[0].version == "2.0.0"


def test_agents_of_a_bad_file_are_kept_and_those_of_good_files_are_not() -> None:
    both = manifests(GOOD | {"b.yaml": agent("b") + "---\n" + agent("c")}).mesh
    assert both is not None
    assert names(merged(changed(b=agent("b", "{x: 1}")), both)) == ["a", "b", "c"]
    assert names(merged(changed(a=agent("a", "{x: 1}")), both)) == ["b", "a"]
    assert names(merged(changed(a="", b=agent("b", "{x: 1}")), both)) == ["b", "c"]
    moved = changed(a=agent("a") + "---\n" + agent("c", "{version: 2.0.0}"), b=agent("b", "{x: 1}"))
    mesh = merged(moved, both)
    assert mesh is not None
    assert [(one.name, one.version) for one in mesh.agents] == [
        ("a", "1.0.0"),
        ("c", "2.0.0"),
        ("b", "1.0.0"),
    ]


CLASHES = {
    "names": {"a": agent("b")},
    "ports": {"a": agent("a", "{http: {port: 1}}"), "b": agent("b", "{http: {port: 1}}")},
    "replicas": {"a": agent("a", "{process: p}"), "b": agent("b", "{process: p, replicas: 2}")},
    "environments": {
        "a": agent("a", "{process: p, env: {A: x}}"),
        "b": agent("b", "{process: p, env: {A: y}}"),
    },
    "meshes": {"a": MESH},
    "a clash with what is wrong": {
        "a": agent("a", "{http: {port: 1}}"),
        "b": agent("b", "{http: {port: 1}, x: 1}"),
    },
    "the mesh": {"mesh": MESH.replace("http://", "ftp://")},
    "the mesh's YAML": {"mesh": MESH + "kind: Mesh\n"},
    "what the mesh says has no room": {"mesh": MESH.replace("spec", "sepc")},
}


@pytest.mark.parametrize("files", CLASHES.values(), ids=CLASHES)
def test_what_concerns_the_mesh_leaves_no_part(files: dict[str, str]) -> None:
    read = changed(**files)
    assert (read.mesh, read.partial, merged(read, good())) == (None, None, None)


@pytest.mark.parametrize("text", ["{", MESH.replace("Mesh", "Mush"), "\x00", "- a\n"])
def test_a_mesh_that_cannot_be_read_is_not_taken_for_none(text: str) -> None:
    read = changed(mesh=text)
    assert names(read.partial) == ["a", "b"]
    assert merged(read, good()) is None
    without = manifests({"a.yaml": agent("a")}).mesh
    assert without is not None
    assert names(merged(read, without)) == ["a", "b"]


def test_a_mesh_that_is_gone_or_moved_is_no_error() -> None:
    read = changed(mesh="", b=agent("b", "{x: 1}"))
    mesh = merged(read, good())
    assert mesh is not None
    assert mesh.registry_url == ""
    moved = changed(mesh="{", a=agent("a") + "---\n" + MESH)
    assert names(merged(moved, good())) == ["a", "b"]


def test_new_agents_may_not_clash_with_those_that_are_kept() -> None:
    last = manifests(GOOD | {"b.yaml": agent("b", "{http: {port: 1}, process: p}")}).mesh
    assert last is not None
    bad = "{"
    for clashing in ("{http: {port: 1}}", "{process: p, replicas: 2}"):
        read = changed(a=agent("a", clashing), b=bad)
        assert names(read.partial) == ["a"]
        assert merged(read, last) is None
    assert names(merged(changed(a=agent("a", "{process: p}"), b=bad), last)) == ["a", "b"]


def test_an_input_that_is_not_there_concerns_its_document() -> None:
    texts = {"a.yaml": agent("a"), "b.yaml": agent("b", "{description: '${env:NO}'}")}
    assert names(manifests(texts).partial) == ["a", "b"]
    read = manifests(texts, FakeInputs(), Mode.NOW)
    assert (names(read.partial), read.bad_files) == (["a"], {"b.yaml"})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, which holds the good files in `m`."""
    monkeypatch.chdir(tmp_path)
    os.mkdir("m")  # noqa: PTH102
    for name, text in GOOD.items():
        Path("m", name).write_text(text)
    return tmp_path


def read(*paths: str, project: str = ".") -> Manifests:
    return read_manifests(
        paths, inputs=ProjectInputs({}, project), project_root=os.path.realpath(project)
    )


def test_a_file_that_may_not_be_read_leaves_the_others(folder: Path) -> None:
    last = read("m").mesh
    assert last is not None
    Path("m/b.yaml").chmod(0o666)
    found = read("m")
    assert (names(found.partial), found.bad_files) == (["a"], {"m/b.yaml"})
    assert names(merged(found, last)) == ["a", "b"]


@pytest.mark.parametrize("missing", ["gone", "gone.yaml", "empty"])
def test_a_path_that_leads_nowhere_leaves_no_part(folder: Path, missing: str) -> None:
    Path("empty").mkdir()
    found = read("m", missing)
    assert (found.mesh, found.partial) == (None, None)


def test_all_that_was_looked_at_or_for_is_watched(folder: Path) -> None:
    Path("real").mkdir()
    Path("real/c.yaml").write_text(
        agent(
            "c",
            "{description: '${file:../text.txt}', env: {A: {file: ../keys/a}, B: {file: /run/b}, "
            "C: {env: C}, D: '${file:none}', E: {file: '${env:LATER}'}}}",
        )
    )
    Path("link").symlink_to("real")
    Path("text.txt").write_text("x")
    found = read("m", "link/c.yaml", "gone.yaml", "m/a.yaml", "-")
    assert found.watch == tuple(
        folder / name
        for name in (
            *("m", "link/c.yaml", "gone.yaml", "m/a.yaml", "m/b.yaml", "m/mesh.yaml"),
            *("real/../text.txt", "real/none", "keys/a", "/run/b"),
        )
    )


def test_what_a_bad_document_asks_for_is_watched_too(folder: Path) -> None:
    Path("m/b.yaml").write_text(agent("b", "{x: 1, description: '${file:../../outside}'}"))
    assert folder / "m/../../outside" in read("m").watch
