"""The manifests that people meet first: free of complaints, and what their READMEs promise."""

import re
from pathlib import Path

import pytest

from meshd.callables.project import find_project_root, read_project
from meshd.daemon.link import link_mesh
from meshd.daemon.prepare import load
from meshd.domain.spec import MeshSpec
from meshd.manifest.files import ProjectInputs
from meshd.manifest.load import read_manifests
from tests.examples.conftest import REPOSITORY

EXAMPLES = sorted(found.parent for found in REPOSITORY.glob("examples/*/meshd.toml"))
SAMPLES = [str(folder.relative_to(REPOSITORY)) for folder in (REPOSITORY / "manifests", *EXAMPLES)]
FILES = sorted(file for folder in SAMPLES for file in (REPOSITORY / folder).glob("*.yaml"))
EXPECTED_WARNINGS = {"examples/sync-and-async": ["M303"]}


def mesh_of(folder: str) -> MeshSpec:
    path = REPOSITORY / folder
    root = str(find_project_root([path]))
    read = read_manifests([path], inputs=ProjectInputs({}, root), project_root=root)
    assert read.diagnostics == ()
    assert read.mesh is not None
    return read.mesh


def test_there_are_five_examples() -> None:
    assert len(SAMPLES) == 6


@pytest.mark.parametrize("folder", SAMPLES)
def test_a_sample_loads_and_every_need_is_bound(folder: str) -> None:
    mesh = mesh_of(folder)
    project, found = read_project([REPOSITORY / folder])
    assert (project.root, found) == (str(REPOSITORY / folder), ())
    loading = load(mesh.agents, project)
    assert loading.diagnostics == ()
    _, found = link_mesh(mesh, loading.signatures, allow_unresolved=False)
    assert [diagnostic.code for diagnostic in found] == EXPECTED_WARNINGS.get(folder, [])


def test_half_of_the_sample_mesh_is_code_that_knows_nothing_of_it() -> None:
    agents = mesh_of("manifests").agents
    objects = [made for agent in agents for made in agent.objects]
    own = {f"{made.name}." for made in objects if made.class_reference.startswith("trip.")}
    tools = [tool.callable for agent in agents for tool in agent.tools]
    foreign = [name for name in tools if not name.startswith(("trip.", *own))]
    assert len(agents) >= 4
    assert len(foreign) * 2 >= len(tools)


def test_the_planner_reaches_others_through_others() -> None:
    mesh = mesh_of("manifests")
    project, _ = read_project([REPOSITORY / "manifests"])
    signatures = load(mesh.agents, project).signatures
    plan, _ = link_mesh(mesh, signatures, allow_unresolved=False)
    edges = {(b.consumer, p.agent) for b in plan.bindings for p in b.providers}
    assert {
        ("planner", "weather"),
        ("weather", "geo"),
        ("weather", "clock"),
        ("geo", "text"),
    } <= edges


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_editors_find_the_schema(path: Path) -> None:
    line = path.read_text(encoding="utf-8").partition("\n")[0]
    modeline = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", line)
    assert modeline is not None
    target = (path.parent / modeline[1]).resolve()
    assert target == REPOSITORY / "schemas" / "meshd.dev" / "v1" / "manifest.schema.json"
