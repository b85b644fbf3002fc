"""Manifests are read as often as they change, standard input once."""

from io import BytesIO
from pathlib import Path

from meshd.callables.project import Project
from meshd.daemon.source import Source

AGENT = b"apiVersion: meshd.dev/v1\nkind: Agent\nmetadata: {name: %s}\nspec: {}\n"


def names(source: Source) -> list[str]:
    mesh = source.read().manifests.mesh
    assert mesh is not None
    return [agent.name for agent in mesh.agents]


def test_each_reading_is_new(tmp_path: Path) -> None:
    manifest = tmp_path / "a.yaml"
    manifest.write_bytes(AGENT % b"one")
    source = Source([tmp_path], ("hashlib:*",), {})
    assert source.project == Project("")
    assert names(source) == ["one"]
    manifest.write_bytes(AGENT % b"two")
    assert names(source) == ["two"]
    assert list(source.texts.values()) == [(AGENT % b"two").decode()]
    assert source.project.root == str(tmp_path)
    watched = source.read().watched
    assert {manifest, tmp_path, tmp_path / "meshd.toml"} <= set(watched)


def test_standard_input_is_remembered() -> None:
    source = Source([Path("-")], (), {}, stdin=BytesIO(AGENT % b"piped"))
    assert names(source) == ["piped"]
    assert names(source) == ["piped"]


def test_standard_input_is_left_alone_where_nobody_names_it(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(AGENT % b"one")
    stdin = BytesIO(AGENT % b"piped")
    assert names(Source([tmp_path], (), {}, stdin=stdin)) == ["one"]
    assert stdin.tell() == 0


def test_what_is_wrong_with_the_project_is_told_too(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(AGENT % b"one")
    (tmp_path / "meshd.toml").write_text("allow = 3\n")
    assert [one.code for one in Source([tmp_path], (), {}).read().diagnostics] == ["M215"]
