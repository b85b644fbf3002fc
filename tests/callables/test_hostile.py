"""Tricks that need a project made for them: canaries that tell when they are imported or called."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from meshd.callables.agent import load_agent
from meshd.callables.clashes import clashes
from meshd.callables.find import find_module, leads_out, sibling_modules
from meshd.callables.load import Loaded, Loader
from meshd.callables.project import check_roots, find_project_root, read_allow_list
from meshd.diagnostics.model import Diagnostic
from meshd.domain.spec import AgentSpec
from tests.callables.project import loader, write
from tests.callables.test_hostile_references import FIELDS

IMPORTED = "from tripped import trip\ntrip(__name__)\n"
CALLED = """
    from tripped import trip

    def act(*values, **more):
        trip("act")

    def make():
        def made(*values):
            trip("made")
        return made

    class Foreign:
        def __init__(self, *values):
            trip("Foreign")

        @classmethod
        def create(cls):
            trip("create")
"""
OUTSIDE = {
    "tripped.py": """
        from pathlib import Path

        def trip(what):
            with Path(__file__).with_name("record").open("a") as record:
                record.write(f"{what} ")
    """,
    "foreign.py": CALLED,
    "shared/far.py": CALLED,
    "shared/canary.py": IMPORTED,
    "labelled/__init__.py": CALLED,
    "masked/__init__.py": IMPORTED,
    "masked/inner.py": IMPORTED,
    "vendored/__init__.py": "import foreign\nfrom foreign import act\nfrom shared import far\n",
    "canary.py": IMPORTED,
}
ROOT = {
    "evil.py": "def harmless(): pass\ndef outer(x=None, **more): pass\n",  # named by FIELDS
    "trap/__init__.py": "",
    "trap/mod.py": """
        import abc, functools, types
        import foreign as harmless
        from foreign import Foreign, act, make
        from labelled import act as labelled_act
        from shared.far import act as far_act, Foreign as FarForeign

        def plain(x=None, **more):
            return x

        class Holder(abc.ABC):
            act = act
            made = classmethod(act)
            kept = staticmethod(act)
            Foreign = Foreign
            later = functools.partialmethod(act)
            space = types.SimpleNamespace(act=act, harmless=harmless)

            @property
            def seen(self):
                return act

            @property
            def quits(self):
                raise SystemExit(3)

        class Below(Holder):
            pass

        holder = Holder()
        below = Below()
        dispatch = functools.singledispatch(act)
        own_dispatch = functools.singledispatch(plain)
        cached = functools.cache(act)
        cached_partial = functools.cache(functools.partial(act))
        partial_of_method = functools.partial(holder.act)
        closure = make()
        space = Holder.space
        proxy = types.MappingProxyType({"act": act})
    """,
    "trap/lazy.py": """
        import foreign

        def __getattr__(name):
            return getattr(foreign, name)
    """,
    "trap/replaced.py": "import sys\nimport foreign\nsys.modules[__name__] = foreign\n",
    "shared/own.py": "def plain(): pass\n",
    "labelled/notes.txt": "",
    "masked/notes.txt": "",
    "turtle.py": IMPORTED,
    "this/__init__.py": IMPORTED,
    "idlelib/run.py": IMPORTED,
    "trap/run.txt": "",
    "trap/canary.txt": IMPORTED,
}
TRICKS = """
    M211 canary:x
    M211 canary.deeper:x
    M211 vendored_:act
    M211 vendore:act
    M211 antigravity:geohash
    M211 webbrowser:open
    M211 pty:spawn
    M211 idlelib.help:HelpParser
    M211 trapp.mod:plain
    M211 Trap.mod:plain
    M211 class:x
    M211 looping:x
    M211 trap.away:x
    M211 trap.folder.canary:x
    M211 folder.canary:x
    M211 jumped:x
    M212 turtle:x
    M212 this:s
    M212 idlelib.run:main
    M212 idlelib:run
    M212 masked:x
    M212 labelled:act
    M212 labelled:make
    M220 masked.inner:x
    M220 shared.canary:x
    M220 shared.far:act
    M220 trap.canary:x
    M220 trap.run:x
    M220 trap.mod.plain:x
    M220 trap.class:x
    M220 trap.looping:x
    M213 vendored:act
    M213 vendored:far.act
    M213 vendored:foreign.act
    M213 trap.mod:harmless
    M213 trap.mod:harmless.act
    M213 trap.mod:labelled_act
    M213 trap.mod:far_act
    M213 trap.mod:FarForeign
    M213 trap.mod:FarForeign.create
    M213 trap.mod:act
    M213 trap.mod:make
    M213 trap.mod:Foreign
    M213 trap.mod:Foreign.create
    M213 trap.mod:Holder.act
    M213 trap.mod:Holder.made
    M213 trap.mod:Holder.kept
    M213 trap.mod:Holder.Foreign
    M213 trap.mod:Holder.Foreign.create
    M213 trap.mod:Holder.later
    M213 trap.mod:Holder.space.act
    M213 trap.mod:Holder.space.harmless
    M213 trap.mod:Holder.space.harmless.act
    M213 trap.mod:Holder.seen
    M213 trap.mod:Holder.register
    M213 trap.mod:Holder.mro
    M213 trap.mod:holder.act
    M213 trap.mod:holder.made
    M213 trap.mod:holder.kept
    M213 trap.mod:holder.later
    M213 trap.mod:holder.later.func
    M213 trap.mod:holder.seen
    M213 trap.mod:holder.Foreign
    M213 trap.mod:Below.made
    M213 trap.mod:below.act
    M213 trap.mod:below.made
    M213 trap.mod:dispatch
    M213 trap.mod:dispatch.register
    M213 trap.mod:own_dispatch.register
    M213 trap.mod:own_dispatch.dispatch
    M213 trap.mod:own_dispatch.registry.get
    M213 trap.mod:cached
    M213 trap.mod:cached_partial
    M213 trap.mod:cached.cache_clear
    M213 trap.mod:partial_of_method
    M213 trap.mod:closure
    M213 trap.mod:space.act
    M213 trap.mod:space.harmless.act
    M213 trap.mod:proxy.get
    M213 trap.lazy:act
    M213 trap.lazy:Foreign.create
    M213 trap:mod.act
    M213 trap:mod
    M212 trap.replaced:act
    M212 trap.replaced:make
    M221 trap.mod:holder.quits
    M223 vendored:Act
    M223 trap.mod:None
    M223 trap.mod:def
    M223 trap.mod:Plain
    M223 trap.mod:plain.inner
    M223 trap.mod:plain.func_globals
    M223 trap.mod:_plain
    M223 trap.mod:trap.mod.plain
"""


class Trap(NamedTuple):
    loader: Loader
    record: Path


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    """Return a project whose own modules are imported already."""
    outside, root = write(tmp_path / "outside", OUTSIDE), write(tmp_path / "root", ROOT)
    for place, target in {
        "folder": outside,
        "jumped.py": outside / "canary.py",
        "looping.py": "looping.py",
        "trap/folder": outside,
        "trap/away.py": "../../outside/canary.py",
        "trap/looping": "looping",
    }.items():
        (root / place).symlink_to(target)
    sys.path.append(str(outside))  # where installed packages are
    found = loader(root, allow=("vendored.*",))
    for module in ("evil", "trap.mod", "trap.lazy", "trap.replaced", "shared.own", "vendored"):
        found.load(f"{module}:x")
    load_agent(FIELDS["tools.parameters.type"]("int"), found)  # pydantic imports more then
    assert {"trap.mod", "trap.lazy", "shared.own", "foreign", "vendored"} <= sys.modules.keys()
    return Trap(found, outside / "record")


def tricks() -> list[tuple[str, str]]:
    parts = [str(line).split() for line in TRICKS.split("\n") if line.strip()]
    return [(code, text) for code, text in parts]


@pytest.mark.parametrize("field", FIELDS)
def test_no_canary_is_imported_or_called(field: str, trap: Trap) -> None:
    before = dict(sys.modules)
    wrong: list[tuple[str, list[str]]] = []
    for code, text in tricks():
        _, diagnostics = load_agent(FIELDS[field](text), trap.loader)
        told = [d for d in diagnostics if d.code not in ("M243", "M244")]
        if [d.code for d in told] != [code] or not (told[0].label or told[0].hint):
            wrong.append((f"{code} {text}", [f"{d.code} {d.message}" for d in told]))
    assert wrong == []
    assert dict(sys.modules) == before
    assert not trap.record.exists()


def test_a_canary_tells(trap: Trap) -> None:
    found = loader(allow=("canary", "foreign:act"))
    found.load("canary:x")
    act = found.load("foreign:act")
    assert isinstance(act, Loaded)
    act.value()
    assert trap.record.read_text() == "canary act "


@pytest.mark.parametrize(
    ("name", "length"), [("\u4e00", 249), ("\U00020000", 120), ("a", 249), ("\u4e00", 84)]
)
@pytest.mark.parametrize("form", ["{}:x", "trap.{}:x", "trap.mod:{}"])
def test_a_name_that_is_too_long_for_a_file_is_no_reference(
    name: str, length: int, form: str, trap: Trap
) -> None:
    found = trap.loader.load(form.format(name * length))
    assert isinstance(found, Diagnostic)
    assert found.code == "M210"
    assert found.label in ("it is longer than 250 characters", "it is longer than 250 bytes")


def test_methods_that_a_class_defines_inherits_or_decorates_are_its_own(tmp_path: Path) -> None:
    source = """
        import collections, datetime, enum, foreign

        class Day(datetime.date):
            pass

        class Count(collections.Counter):
            pass

        class Colour(enum.Enum):
            RED = 1

        class Thing:
            decorated = foreign.decorate(lambda self: 1)

            def plain(self):
                return 1

        class Below(Thing):
            pass

        count, thing, below = Count("aab"), Thing(), Below()
    """
    outside = {"foreign.py": "def decorate(f):\n    return lambda *a: f(*a)\n"}
    sys.path.append(str(write(tmp_path / "outside", outside)))
    found = loader(write(tmp_path / "root", {"own.py": source}))
    for text in (
        "own:Day.fromisoformat",
        "own:Count.fromkeys",
        "own:count.most_common",
        "own:count.get",
        "own:Colour",
        "own:thing.plain",
        "own:thing.decorated",
        "own:below.plain",
        "own:below.decorated",
    ):
        assert isinstance(found.load(text), Loaded), text


def test_what_a_property_misses_is_not_the_property(tmp_path: Path) -> None:
    source = """
        class Thing:
            @property
            def broken(self):
                return self.missing

            def __dir__(self):
                raise ValueError

        class Shown(Thing):
            __dir__ = object.__dir__

        thing, shown = Thing(), Shown()
    """
    found = loader(write(tmp_path, {"own.py": source}))
    broken, hidden = found.load("own:shown.broken"), found.load("own:thing.nothing")
    assert isinstance(broken, Diagnostic)
    assert isinstance(hidden, Diagnostic)
    assert (broken.code, broken.message, broken.label) == (
        "M221",
        "reading `broken` of `own:shown` raised `AttributeError`",
        "AttributeError: 'Shown' object has no attribute 'missing'",
    )
    assert (hidden.code, hidden.label) == ("M223", "`own:thing` has no `nothing`")


def test_an_interruption_while_something_is_read_is_not_swallowed(tmp_path: Path) -> None:
    source = """
        class Thing:
            @property
            def x(self):
                raise KeyboardInterrupt

        thing = Thing()
    """
    with pytest.raises(KeyboardInterrupt):
        loader(write(tmp_path, {"own.py": source})).load("own:thing.x")


def test_a_note_does_not_hide_the_exception(tmp_path: Path) -> None:
    source = "error = ValueError('boom\\nand more')\nerror.add_note('a note')\nraise error\n"
    found = loader(write(tmp_path, {"own.py": source})).load("own:x")
    assert isinstance(found, Diagnostic)
    assert found.label == "ValueError: boom"
    assert found.detail.endswith("ValueError: boom\nand more\na note")


def test_the_place_of_a_syntax_error_is_in_the_detail(tmp_path: Path) -> None:
    found = loader(write(tmp_path, {"own.py": "x = 1\ndef f(:\n"})).load("own:x")
    assert isinstance(found, Diagnostic)
    assert found.detail.splitlines()[0] == f'  File "{tmp_path / "own.py"}", line 2'


def test_links_that_lead_nowhere_and_caches_are_not_suggested(trap: Trap) -> None:
    (Path(trap.loader.policy.roots[0]) / "shared" / "__pycache__").mkdir(exist_ok=True)
    looping, cache = trap.loader.load("loopin:x"), trap.loader.load("shared.pycache:x")
    assert isinstance(looping, Diagnostic)
    assert isinstance(cache, Diagnostic)
    assert looping.hint == 'if it is meant, write `"loopin:x"` in meshd.toml\'s allow list'
    assert "__pycache__" not in cache.hint


def test_an_object_that_hides_its_origin_is_refused(tmp_path: Path) -> None:
    source = """
        class Hiding(type):
            @property
            def __module__(cls):
                raise ValueError

        class Hidden(metaclass=Hiding):
            pass
    """
    found = loader(write(tmp_path, {"own.py": source})).load("own:Hidden")
    assert isinstance(found, Diagnostic)
    assert (found.code, found.label) == ("M213", "it comes from no module that it names")


def test_a_module_that_answers_every_name_by_raising_is_no_package(tmp_path: Path) -> None:
    write(tmp_path, {"raising.py": "def __getattr__(name):\n    raise RuntimeError(name)\n"})
    sys.path.append(str(tmp_path))
    found = loader(allow=("raising.*",)).load("raising.inner:x")
    del sys.modules["raising"]
    assert isinstance(found, Diagnostic)
    assert (found.code, found.label) == ("M220", "`raising` has no module `inner`")


def test_a_root_with_too_long_a_name_is_no_folder(tmp_path: Path) -> None:
    root = str(tmp_path / ("x" * 300))
    (problem,) = check_roots(str(tmp_path), [root])
    assert (problem.code, problem.label) == ("M214", "there is no such folder")
    assert find_module("own", [root]) is None
    assert not leads_out("own", [root])
    assert list(sibling_modules("", [root])) == []


def test_paths_that_lead_in_a_circle_or_are_too_long_have_a_project(tmp_path: Path) -> None:
    (tmp_path / "circle.yaml").symlink_to("circle.yaml")
    for name in ("circle.yaml", "x" * 300):
        assert find_project_root([tmp_path / name]) == tmp_path


@pytest.mark.parametrize("value", ["[" * 5000, "1" * 5000])
def test_what_is_too_deep_or_too_long_in_the_allow_list_is_refused(value: str) -> None:
    patterns, (problem,) = read_allow_list(f"[imports]\nallow = {value}", "meshd.toml")
    assert (patterns, problem.code, problem.message) == ((), "M215", "`meshd.toml` is not TOML")
    assert problem.span is not None


def folders_without_code(tmp_path: Path) -> tuple[AgentSpec, AgentSpec]:
    files = {"shared/same.py": "def f(): pass\n"}
    one = write(tmp_path / "one", {**files, "shared/left.py": "def f(): pass\n"})
    two = write(tmp_path / "two", {**files, "shared/right.py": "def f(): pass\n"})
    return (
        AgentSpec(name="a", roots=(str(one),), lifespan="shared.left:f"),
        AgentSpec(name="b", roots=(str(two),), lifespan="shared.right:f"),
    )


def test_folders_without_code_are_one_package_and_do_not_clash(tmp_path: Path) -> None:
    left, right = folders_without_code(tmp_path)
    assert clashes([left, right]) == ()
    for agent in (left, right):
        found = loader(Path(agent.roots[0])).load(str(agent.lifespan))
        assert isinstance(found, Loaded)
        assert str(found.value.__code__.co_filename).startswith(agent.roots[0])


def test_modules_of_one_name_in_folders_without_code_clash_once(tmp_path: Path) -> None:
    agents = [replace(a, lifespan="shared.same:f") for a in folders_without_code(tmp_path)]
    assert [d.message for d in clashes(agents)] == [
        "agents `a` and `b` both have a module `shared.same`"
    ]


def test_a_package_clashes_once_whatever_is_in_it(tmp_path: Path) -> None:
    files = {"shop/__init__.py": "", "shop/deep/__init__.py": "", "shop/deep/app.py": ""}
    agents = [
        AgentSpec(name=n, roots=(str(write(tmp_path / n, files)),), lifespan="shop.deep.app:f")
        for n in "ab"
    ]
    assert [d.message for d in clashes(agents)] == ["agents `a` and `b` both have a module `shop`"]


def test_the_search_path_does_not_grow_with_each_loader(tmp_path: Path) -> None:
    root = write(tmp_path / "root", {"own.py": "def f(): pass\n"})
    lengths: list[int] = []
    for _ in range(3):
        assert isinstance(loader(root).load("own:f"), Loaded)
        lengths.append(len(sys.path))
    assert lengths == [lengths[0]] * 3
    assert sys.path.count(str(root)) == 1


def test_a_root_behind_installed_packages_comes_before_them(tmp_path: Path) -> None:
    root = write(tmp_path / "root", {"own.py": "def f(): return 'own'\n"})
    outside = write(tmp_path / "outside", {"own.py": "def f(): return 'installed'\n"})
    sys.path += [str(outside), os.fspath(root)]
    found = loader(root).load("own:f")
    assert isinstance(found, Loaded)
    assert found.value() == "own"


def test_a_root_that_python_searches_first_stays_where_it_is(tmp_path: Path) -> None:
    root = write(tmp_path / "root", {"own.py": "def f(): pass\n"})
    sys.path.insert(0, str(root))
    before = list(sys.path)
    assert isinstance(loader(root).load("own:f"), Loaded)
    assert sys.path == before


def test_a_finder_that_raises_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Raising:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> None:
            if name == "unfindable":
                raise ImportError(name)

    monkeypatch.setattr(sys, "meta_path", [Raising, *sys.meta_path])
    found = loader(allow=("unfindable",)).load("unfindable:x")
    assert isinstance(found, Diagnostic)
    assert (found.code, found.hint) == ("M220", "install what provides `unfindable`")
