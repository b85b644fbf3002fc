"""No hostile reference is imported or called, whatever field of a manifest it stands in."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from meshd.callables.agent import load_agent
from meshd.callables.load import Loader
from meshd.diagnostics.model import Diagnostic
from meshd.domain.spec import (
    AgentSpec,
    NeedSpec,
    ObjectSpec,
    ParameterSpec,
    PromptSpec,
    ResourceSpec,
    ResultSpec,
    ToolSpec,
)
from tests.callables.project import loader, write

# From Python 3.13 on, reading a partial from a class warns.
pytestmark = pytest.mark.filterwarnings("ignore:functools.partial will be:FutureWarning")

CORPUS = Path(__file__).with_name("hostile_references.txt")

EVIL = """
    import builtins, contextlib, enum, functools, importlib, importlib.util, logging, operator
    import os, pickle, re, subprocess, sys, threading, types
    from builtins import eval as evaluate, exec as execute, open as opened
    from importlib import import_module
    from operator import attrgetter
    from os import system
    from pathlib import Path
    from pickle import loads
    from subprocess import Popen, check_output, run
    from evil import inner

    shell = os.system
    getter = attrgetter("os.system")
    caller = operator.methodcaller("system", "id")
    partial_shell = functools.partial(os.system, "id")
    partial_twice = functools.partial(functools.partial(subprocess.run), ["id"])
    partial_class = functools.partial(Popen, ["id"])
    cached_shell = functools.lru_cache(os.system)
    logger = logging.getLogger("evil")
    environment = os.environ
    home = Path.home()
    pattern = re.compile("a")
    mapping = {}
    text = "{0.__class__}"
    numbers = []
    frame = sys._getframe()
    generator = (x for x in ())
    thread = threading.Thread(target=print)
    lock = threading.Lock()
    stack = contextlib.ExitStack()
    type_itself = type
    object_class = object
    Enumeration = enum.Enum

    @functools.wraps(subprocess.run)
    def wraps_shell(*a, **k):
        return subprocess.run(*a, **k)

    class Holder:
        module = os
        shell = staticmethod(os.system)
        Popen = Popen
        partial_shell = functools.partial(os.system, "id")

    class Thing:
        def __call__(self):
            return 1

    thing = Thing()
    holder = Holder()
    bound_foreign = types.MethodType(subprocess.run, thing)
    bound_builtin = types.MethodType(os.system, thing)

    def harmless():
        return "harmless"

    def outer():
        def inner():
            return os
        return inner
"""
INNER = """
    import os
    import evil as parent
    from os import system as shell
    from subprocess import run as again
"""
HARMLESS = (
    "def harmless():\n    raise SystemExit('must not run')\n\nraise SystemExit('no import')\n"
)


def entries() -> list[tuple[str, str]]:
    """Return the codes and references of the corpus."""
    lines = CORPUS.read_text(encoding="utf-8").splitlines()
    found = [line.partition(" ")[::2] for line in lines if line and not line.startswith("#")]
    return [(code, json.loads(text) if text[:1] == '"' else text) for code, text in found]


def agent(**fields: object) -> AgentSpec:
    return AgentSpec(name="a", **fields)  # type: ignore[arg-type]


def tool(**fields: object) -> AgentSpec:
    spec = ToolSpec(name="t", **{"callable": "evil:harmless", **fields})  # type: ignore[arg-type]
    return agent(tools=(spec,))


FIELDS: dict[str, Callable[[str], AgentSpec]] = {
    "tools.callable": lambda text: tool(callable=text),
    "tools.result.type": lambda text: tool(result=ResultSpec(type=text)),
    "tools.parameters.type": lambda text: tool(
        callable="evil:outer", parameters=(ParameterSpec(name="x", type=text),)
    ),
    "tools.needs.expects": lambda text: tool(
        needs=(NeedSpec(parameter="x", capability="c", expects=text),)
    ),
    "lifespan": lambda text: agent(lifespan=text),
    "objects.class": lambda text: agent(objects=(ObjectSpec(name="o", class_reference=text),)),
    "resources.callable": lambda text: agent(
        resources=(ResourceSpec(uri="a://b", name="r", callable=text),)
    ),
    "prompts.callable": lambda text: agent(prompts=(PromptSpec(name="p", callable=text),)),
}


@pytest.fixture
def evil(tmp_path: Path) -> Loader:
    outside = write(tmp_path / "outside", {"outside.py": HARMLESS, "inner.py": HARMLESS})
    root = write(
        tmp_path / "root",
        {
            "evil/__init__.py": EVIL.replace("def outer():", "def outer(x=None, **more):"),
            "evil/inner.py": INNER,
            "json.py": HARMLESS,
            "colorsys/__init__.py": HARMLESS,
            "colorsys/inner.py": HARMLESS,
        },
    )
    (outside / "__init__.py").write_text(HARMLESS)
    (root / "linked.py").symlink_to(outside / "outside.py")
    (root / "linked_package").symlink_to(outside)
    (root / "evil" / "linked.py").symlink_to(outside / "outside.py")
    (root / "evil" / "linked_folder").symlink_to(outside)
    found = loader(root)
    load_agent(FIELDS["tools.parameters.type"]("int"), found)
    # From here on the allowed modules are imported, and nothing else may be.
    assert found.load("evil:harmless").value() == "harmless"  # type: ignore[union-attr]
    return found


def test_the_corpus_is_large() -> None:
    assert len(set(entries())) >= 200


@pytest.mark.parametrize("field", FIELDS)
def test_nothing_hostile_is_imported(field: str, evil: Loader) -> None:
    before = dict(sys.modules)
    wrong: list[tuple[str, list[str]]] = []
    for code, text in entries():
        _, diagnostics = load_agent(FIELDS[field](text), evil)
        codes = [d.code for d in diagnostics if d.code not in ("M242", "M243", "M244")]
        if codes != [code if ":" in text else without_colon(field, text)]:
            wrong.append((f"{code} {text}", codes))
    assert wrong == []
    assert dict(sys.modules) == before


def without_colon(field: str, text: str) -> str:
    """Return the code for a text that only some fields read as a reference at all."""
    if field.endswith(("type", "expects")):
        return "M247"
    names_an_object = all(part.isidentifier() for part in text.split(".")) and "." in text
    return "M226" if names_an_object and field != "objects.class" else "M210"


def test_each_refusal_says_why_and_what_to_do(evil: Loader) -> None:
    wrong: list[tuple[str, str, object]] = []
    for code, text in entries():
        found = evil.load(text)
        assert isinstance(found, Diagnostic), text
        said = (found.code, found.message.isprintable(), bool(found.label), bool(found.hint))
        if said != (code, True, True, True):
            wrong.append((code, text, found))
    assert wrong == []
