import sys
import sysconfig
import xml.etree
import xml.sax
from pathlib import Path

import pytest

from meshd.callables.load import Loaded, after_standard_library
from meshd.diagnostics.model import Diagnostic, Span
from tests.callables.project import failure, loader, write

# An exact pattern may lead through these modules, which then are attributes of `xml`.
assert xml.sax
assert xml.etree

SPAN = Span("m.yaml", 1, 2, 3)

FILES = {
    "shop/__init__.py": "",
    "shop/orders.py": """
        import functools, logging, os
        from shop import models
        from shop.models import Model, build

        def create_order(): "Create."

        class Book:
            size = 3

            @property
            def broken(self):
                raise LookupError("no pages")

            def read(self): return "read"

            @classmethod
            def make(cls): return cls()

            @staticmethod
            def stamp(): return 1

            @functools.lru_cache
            def cached(self): return 1

        class Bag(dict):
            pass

        book = Book()
        bag = Bag()
        reader = book.read
        partial = functools.partial(functools.partial(create_order))
        cached = functools.cache(create_order)
        anonymous = lambda: 1
        Orders = list[Book]
        union = int | str

        def __getattr__(name):
            if name == "explosive":
                raise RuntimeError("boom")
            raise AttributeError(name)
    """,
    "shop/models.py": "class Model: pass\ndef build(): return Model()\n",
    "shop/raises.py": """
        import json

        def parse(text):
            return json.loads(text)

        parse("{")
    """,
    "shop/dependency.py": "import no_such_package_at_all\n",
    "shop/sibling.py": "import shop.no_such_module\n",
    "shop/renamed.py": "from shop.models import Modle\n",
    "shop/syntax.py": "def f(:\n    pass\n",
    "shop/exits.py": "raise SystemExit(3)\n",
    "shop/odd.py": "raise ModuleNotFoundError('not really', name='shop.odd')\n",
    "shop/bare.py": "raise ModuleNotFoundError('no name')\n",
    "shop/long.py": "raise ValueError('x' * 500)\n",
    "shop/broken_str.py": """
        class Broken(Exception):
            def __str__(self): raise TypeError

        raise Broken()
    """,
    "space/part.py": "def f(): return 1\n",
    "helpers.py": "from shop.models import build\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "src", FILES)


@pytest.mark.parametrize(
    "reference",
    [
        "shop.orders:create_order",
        "shop.orders:Book",
        "shop.orders:Book.make",
        "shop.orders:Book.stamp",
        "shop.orders:Book.cached",
        "shop.orders:book",
        "shop.orders:book.read",
        "shop.orders:bag",
        "shop.orders:bag.update",
        "shop.orders:reader",
        "shop.orders:partial",
        "shop.orders:cached",
        "shop.orders:anonymous",
        "shop.orders:Model",
        "shop.orders:build",
        "space.part:f",
        "helpers:build",
    ],
)
def test_objects_of_the_project_are_loaded(reference: str, root: Path) -> None:
    found = loader(root).load(reference, SPAN)
    assert isinstance(found, Loaded)
    module, _, way = reference.partition(":")
    expected = sys.modules[module]
    for part in way.split("."):
        expected = getattr(expected, part)
    assert found.value == expected


@pytest.mark.parametrize(
    ("reference", "code", "message", "label", "hint"),
    [
        (
            "shop.order:create_order",
            "M220",
            "module `shop.order` not found",
            "`shop` has no module `order`",
            "did you mean `shop.orders`?",
        ),
        (
            "shop.orders.inner:f",
            "M220",
            "module `shop.orders.inner` not found",
            "`shop.orders` has no module `inner`",
            "add `inner` to `shop.orders`",
        ),
        (
            "shop.deep.er:f",
            "M220",
            "module `shop.deep.er` not found",
            "`shop` has no module `deep`",
            (
                "name one of `shop.bare`, `shop.broken_str`, `shop.dependency`, `shop.exits`, "
                "`shop.long`, …"
            ),
        ),
        (
            "shopp.orders:create_order",
            "M211",
            "`shopp.orders` is not allowed to be imported",
            "not below `python.path`, and not on the allow list",
            "did you mean `shop`?",
        ),
        (
            "shop.orders:creat_order",
            "M223",
            "`shop.orders:creat_order` not found",
            "module `shop.orders` has no `creat_order`",
            "did you mean `create_order`?",
        ),
        (
            "shop.orders:Book.raed",
            "M223",
            "`shop.orders:Book.raed` not found",
            "`shop.orders:Book` has no `raed`",
            "did you mean `read`?",
        ),
        (
            "shop.orders:book.size.zzz",
            "M223",
            "`shop.orders:book.size.zzz` not found",
            "`shop.orders:book.size` has no `zzz`",
            (
                "name one of `as_integer_ratio`, `bit_count`, `bit_length`, `conjugate`, "
                "`denominator`, …"
            ),
        ),
        (
            "shop.orders:book.broken",
            "M221",
            "reading `broken` of `shop.orders:book` raised `LookupError`",
            "LookupError: no pages",
            "correct what is read there",
        ),
        (
            "shop.orders:explosive",
            "M221",
            "reading `explosive` of `shop.orders` raised `RuntimeError`",
            "RuntimeError: boom",
            "correct what is read there",
        ),
        (
            "shop.orders:models.build",
            "M213",
            "`models` of `shop.orders` is a module, through which nothing is reached",
            "it is the module `shop.models`",
            "name that module before the colon: `shop.models:build`",
        ),
        (
            "shop.orders:models",
            "M213",
            "`models` of `shop.orders` is a module, through which nothing is reached",
            "it is the module `shop.models`",
            "name that module before the colon: `shop.models:NAME`",
        ),
        (
            "shop.orders:os.system",
            "M213",
            "`os` of `shop.orders` is a module, through which nothing is reached",
            "it is the module `os`",
            "name that module before the colon: `os:system`",
        ),
        (
            "shop.orders:Orders",
            "M213",
            "`shop.orders:Orders` is not an object of `shop`",
            "it comes from `types`",
            'if it is meant, write `"shop.orders:Orders"` in meshd.toml\'s allow list',
        ),
        (
            "shop.dependency:f",
            "M222",
            "`shop.dependency` imports `no_such_package_at_all`, which is not installed",
            "`no_such_package_at_all` is missing",
            "install what provides `no_such_package_at_all`",
        ),
        (
            "shop.sibling:f",
            "M222",
            "`shop.sibling` imports `shop.no_such_module`, which does not exist",
            "`shop.no_such_module` is missing",
            "correct the import",
        ),
        (
            "shop.exits:f",
            "M221",
            "the import of `shop.exits` raised `SystemExit`",
            "SystemExit: 3",
            "correct the module so that it can be imported",
        ),
        (
            "shop.odd:f",
            "M221",
            "the import of `shop.odd` raised `ModuleNotFoundError`",
            "ModuleNotFoundError: not really",
            "correct the module so that it can be imported",
        ),
        (
            "shop.bare:f",
            "M221",
            "the import of `shop.bare` raised `ModuleNotFoundError`",
            "ModuleNotFoundError: no name",
            "correct the module so that it can be imported",
        ),
        (
            "shop.syntax:f",
            "M221",
            "the import of `shop.syntax` raised `SyntaxError`",
            "SyntaxError: invalid syntax",
            "correct the module so that it can be imported",
        ),
        (
            "shop.long:f",
            "M221",
            "the import of `shop.long` raised `ValueError`",
            f"ValueError: {'x' * 107}…",
            "correct the module so that it can be imported",
        ),
    ],
)
def test_each_failure_is_told_in_its_own_way(
    reference: str, code: str, message: str, label: str, hint: str, root: Path
) -> None:
    found = loader(root).load(reference, SPAN)
    assert failure(found) == (code, message, label, hint)
    assert isinstance(found, Diagnostic)
    assert found.span == SPAN


def test_a_type_alias_is_a_type_but_not_a_callable(root: Path) -> None:
    for name in ("Orders", "union"):
        found = loader(root).load(f"shop.orders:{name}", as_type=True)
        assert isinstance(found, Loaded)


def test_the_traceback_has_the_users_frames_only_and_the_exception_last(root: Path) -> None:
    found = loader(root).load("shop.raises:f")
    assert isinstance(found, Diagnostic)
    file = root / "shop" / "raises.py"
    # How Python underlines the code differs between its versions.
    lines = [line for line in found.detail.splitlines() if line.strip(" ~^")]
    assert lines == [
        "Traceback (most recent call last):",
        f'  File "{file}", line 7, in <module>',
        '    parse("{")',
        f'  File "{file}", line 5, in parse',
        "    return json.loads(text)",
        (
            "json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: "
            "line 1 column 2 (char 1)"
        ),
    ]


def test_an_exception_that_cannot_be_written_is_still_told(root: Path) -> None:
    code, message, label, _ = failure(loader(root).load("shop.broken_str:f"))
    assert (code, message) == ("M221", "the import of `shop.broken_str` raised `Broken`")
    assert label == "shop.broken_str.Broken: <exception str() failed>"


def test_a_missing_name_in_an_import_is_an_error_of_the_module(root: Path) -> None:
    code, message, label, _ = failure(loader(root).load("shop.renamed:f"))
    assert (code, message) == ("M221", "the import of `shop.renamed` raised `ImportError`")
    assert label.startswith("ImportError: cannot import name 'Modle' from 'shop.models'")


def test_a_module_that_failed_runs_only_once(root: Path) -> None:
    write(root, {"counts.py": "import sys\nsys.path.append('ran')\nraise ValueError\n"})
    loading = loader(root)
    first, second = loading.load("counts:a"), loading.load("counts:b", SPAN)
    assert failure(first) == failure(second)
    assert isinstance(second, Diagnostic)
    assert second.span == SPAN
    assert sys.path.count("ran") == 1


def test_interruption_by_the_user_is_not_swallowed(root: Path) -> None:
    write(root, {"interrupted.py": "raise KeyboardInterrupt\n"})
    with pytest.raises(KeyboardInterrupt):
        loader(root).load("interrupted:f")


def test_a_module_that_another_folder_provides_already_is_refused(
    root: Path, tmp_path: Path
) -> None:
    other = write(tmp_path / "other", {"shop/__init__.py": "", "shop/orders.py": "x = 1"})
    assert isinstance(loader(root).load("shop.orders:create_order"), Loaded)
    code, message, label, hint = failure(loader(other).load("shop.orders:x"))
    assert (code, message) == ("M212", "`shop` has the name of a module from elsewhere")
    assert label == f"Python already knows `shop` from {root / 'shop' / '__init__.py'}"
    assert hint == "rename your `shop`"


def test_a_folder_does_not_stand_in_for_an_installed_package(root: Path) -> None:
    # Without an __init__.py, Python would take the installed package and run its code.
    write(root, {"pip/part.py": "", "sniffer/part.py": ""})
    code, message, _, _ = failure(loader(root).load("pip.part:f"))
    assert (code, message) == ("M212", "`pip` has the name of a module from elsewhere")
    assert "pip" not in sys.modules


def test_a_module_of_an_installed_package_cannot_be_a_root_module(root: Path) -> None:
    write(root, {"pytest.py": "def f(): pass"})
    code, message, label, _ = failure(loader(root).load("pytest:f"))
    assert (code, message) == ("M212", "`pytest` has the name of a module from elsewhere")
    assert label == f"Python already knows `pytest` from {pytest.__file__}"


def test_own_code_wins_over_installed_packages_and_loses_to_the_standard_library(
    root: Path,
) -> None:
    write(
        root, {"pip/__init__.py": "def f(): return 'own'", "json.py": "def loads(): return 'own'"}
    )
    loading = loader(root, allow=("json:loads",))
    own, standard = loading.load("pip:f"), loading.load("json:loads")
    assert isinstance(own, Loaded)
    assert isinstance(standard, Loaded)
    assert (own.value(), standard.value("1")) == ("own", 1)


@pytest.mark.parametrize(
    ("pattern", "reference"),
    [
        ("math.*", "math:sqrt"),
        ("math", "math:sqrt"),
        ("json.*", "json.decoder:JSONDecoder"),
        ("json.*", "json:JSONDecoder"),
        ("datetime", "datetime:date.fromisoformat"),
        ("collections.*", "collections:OrderedDict.fromkeys"),
        ("builtins", "builtins:str.upper"),
        ("fractions", "fractions:Fraction.from_float"),
        ("hashlib:sha256", "hashlib:sha256"),
        ("os.path:join", "os.path:join"),
        ("xml:sax.parse", "xml:sax.parse"),
        ("textwrap.*", "textwrap:TextWrapper.wrap"),
    ],
)
def test_patterns_allow_what_they_say(pattern: str, reference: str) -> None:
    assert isinstance(loader(allow=(pattern,)).load(reference), Loaded)


@pytest.mark.parametrize(
    ("pattern", "reference", "code"),
    [
        ("json", "json.decoder:JSONDecoder", "M211"),
        ("json.decoder.*", "json:loads", "M211"),
        ("js.*", "json:loads", "M211"),
        ("hashlib:sha256", "hashlib:sha512", "M211"),
        ("hashlib:sha256", "hashlib:sha256.mro", "M211"),
        ("math:sqrt", "math.sqrt:x", "M211"),
        ("hashlib.*", "hashlib:sha256", "M213"),
        ("os.*", "os:system", "M213"),
        ("json.*", "json:codecs.open", "M213"),
        ("math.*", "math:pi", "M213"),
        ("math:pie", "math:pie", "M223"),
        ("xml:etree", "xml:etree", "M224"),
        ("nosuchthing.*", "nosuchthing.deep:x", "M220"),
        ("math.*", "math.deep:x", "M220"),
        ("json.*", "json.decoderr:x", "M220"),
    ],
)
def test_patterns_allow_nothing_more(pattern: str, reference: str, code: str) -> None:
    assert failure(loader(allow=(pattern,)).load(reference))[0] == code


def test_what_is_not_installed_says_so() -> None:
    assert failure(loader(allow=("nosuchthing.*",)).load("nosuchthing:x")) == (
        "M220",
        "module `nosuchthing` not found",
        "no such module is installed",
        "install what provides `nosuchthing`",
    )


def test_a_module_that_takes_itself_out_is_missing(root: Path) -> None:
    write(root, {"vanishing.py": "import sys\nsys.modules[__name__] = None\n"})
    assert failure(loader(root).load("vanishing:f")) == (
        "M221",
        "the import of `vanishing` left no module",
        "the module removed itself from `sys.modules`",
        "let the module stay",
    )


def test_roots_come_after_the_standard_library_and_before_installed_packages(root: Path) -> None:
    library, packages = sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")
    path = ["/first", library, f"{library}/lib-dynload", packages]
    loading = loader(root, root / "shop")
    loading._path = path  # pyright: ignore[reportPrivateUsage]
    loading.load("shop.orders:create_order")
    loading.load("shop.models:build")
    assert path == [
        "/first",
        library,
        f"{library}/lib-dynload",
        str(root),
        str(root / "shop"),
        packages,
    ]
    assert after_standard_library([]) == 0
