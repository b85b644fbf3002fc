"""What an agent has beside its tools: objects, a lifespan, resources and prompts."""

import sys
from pathlib import Path
from typing import Any

import pytest

from meshd.callables.agent import LoadedAgent, load_agent, uri_parameters
from meshd.diagnostics.model import Diagnostic, Severity, Span
from meshd.domain.signature import Mode
from meshd.domain.spec import AgentSpec, ObjectSpec, PromptSpec, ResourceSpec, ToolSpec
from tests.callables.project import loader, write

FILES = {
    "trip/__init__.py": "",
    "trip/cart.py": """
        import contextlib, datetime, json, logging

        class Store:
            shelf = json

            def __init__(self):
                self.logger = logging.getLogger("store")

            def get(self, key: str) -> str:
                return f"got {key}"

        class Cart(Store):
            def __init__(self, limit: int, since: datetime.date | None = None, *, tag="x"):
                super().__init__()
                self.limit, self.since, self.tag = limit, since, tag
                self.store = Store()
                self.foreign = json.dumps

            def add(self, count: int) -> int:
                "Add to the cart."
                return self.limit + count

            async def later(self, count: int) -> int:
                return self.limit + count

            @property
            def total(self):
                raise RuntimeError("empty")

        class Open:
            def __init__(self, name, /, **options):
                self.name, self.options = name, options

            def show(self): return [self.name, self.options]

        class Picky:
            def __init__(
                self, limit: int, connection: "Connection" = None, to: logging.Handler = None
            ):
                self.connection = connection

        class Connection:
            pass

        class Needy:
            def __init__(self, handler: logging.Handler):
                self.handler = handler

            def show(self): return self.handler

        class Raising:
            def __init__(self): raise OSError("no disk")

        class Leaving:
            def __init__(self): raise SystemExit(2)

        class Interrupted:
            def __init__(self): raise KeyboardInterrupt

        def make_cart(limit: int): return Cart(limit)

        async def make_later(): return Cart(1)

        number = 7
    """,
    "trip/app.py": """
        import contextlib

        entered = []

        @contextlib.asynccontextmanager
        async def lifespan(cart, other=None, *rest, **more):
            entered.append((cart.limit, other, rest, more))
            yield
            entered.append("left")

        @contextlib.asynccontextmanager
        async def by_position(cart, /):
            entered.append(cart.limit)
            yield

        @contextlib.asynccontextmanager
        async def unknown(crt):
            yield

        @contextlib.asynccontextmanager
        async def alone():
            yield

        async def undecorated(cart):
            yield

        async def coroutine(cart):
            pass

        @contextlib.contextmanager
        def sync(cart):
            yield

        class Manager:
            def __init__(self, cart): self.cart = cart
            async def __aenter__(self): entered.append(("class", self.cart.limit))
            async def __aexit__(self, *error): pass

        number = 7
    """,
    "trip/pages.py": """
        def page(city: str, days: int = 1) -> str:
            "A page."
            return f"{city} {days}"

        def fixed() -> str:
            return "fixed"

        def question(city: str, days: int, tags: list[str] | None = None):
            "Ask."
            return [city, days, tags]
    """,
}
CART = ObjectSpec(name="cart", class_reference="trip.cart:Cart", arguments={"limit": 10})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path, FILES)


def spec(**fields: Any) -> AgentSpec:
    return AgentSpec(name="a", **fields)


def loaded(root: Path, **fields: Any) -> LoadedAgent:
    agent, diagnostics = load_agent(spec(**fields), loader(root))
    assert diagnostics == ()
    assert agent is not None
    return agent


def problems(root: Path, **fields: Any) -> list[tuple[str, str, str, str]]:
    agent, diagnostics = load_agent(spec(**fields), loader(root))
    assert agent is None
    return [(d.code, d.message, d.label, d.hint) for d in diagnostics]


def made(root: Path, reference: str, **arguments: Any) -> Any:
    entry = ObjectSpec(name="o", class_reference=reference, arguments=arguments)
    return loaded(root, objects=(entry,)).objects["o"]


def unmade(root: Path, reference: str, **arguments: Any) -> Diagnostic:
    entry = ObjectSpec(
        name="o",
        class_reference=reference,
        arguments=arguments,
        origins={
            "class_reference": Span("m.yaml", 1, 1, 2),
            "arguments": Span("m.yaml", 2, 1, 2),
        },
    )
    tool = ToolSpec(callable="o.show", name="t")
    agent, (diagnostic,) = load_agent(spec(objects=(entry,), tools=(tool,)), loader(root))
    assert agent is None
    return diagnostic


def test_tools_name_methods_of_objects(root: Path) -> None:
    tools = (
        ToolSpec(callable="cart.add", name="add"),
        ToolSpec(callable="cart.later", name="later"),
        ToolSpec(callable="cart.get", name="inherited"),
        ToolSpec(callable="cart.store.get", name="deeper"),
    )
    agent = loaded(root, objects=(CART,), tools=tools)
    assert {name: tool.signature.mode for name, tool in agent.tools.items()} == {
        "add": Mode.SYNC,
        "later": Mode.ASYNC,
        "inherited": Mode.SYNC,
        "deeper": Mode.SYNC,
    }
    add = agent.tools["add"]
    assert add.signature.description == "Add to the cart."
    assert add.invoke(add.validate({"count": 2})) == 12
    assert add.target == agent.objects["cart"].add


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "crt.add",
            (
                "M226",
                "there is no object `crt`",
                "the agent has no such object under `objects:`",
                "did you mean `cart`?",
            ),
        ),
        (
            "zzz.add",
            (
                "M226",
                "there is no object `zzz`",
                "the agent has no such object under `objects:`",
                "write `package.module:name`",
            ),
        ),
        ("cart.ad", ("M223", "`cart.ad` not found", "`cart` has no `ad`", "did you mean `add`?")),
        (
            "cart.total",
            (
                "M221",
                "reading `total` of `cart` raised `RuntimeError`",
                "RuntimeError: empty",
                "correct what is read there",
            ),
        ),
        (
            "cart.limit",
            (
                "M213",
                "`cart.limit` is not an object of `trip`",
                "it comes from `builtins`",
                "name a method of the object's own class",
            ),
        ),
        (
            "cart.store",
            (
                "M224",
                "`cart.store` cannot be called",
                "it is of type `trip.cart.Store`",
                "name a function, a method, a class or an object that can be called",
            ),
        ),
        (
            "cart.shelf.dumps",
            (
                "M213",
                "`shelf` of `cart` is a module, through which nothing is reached",
                "it is the module `json`",
                "name that module before the colon: `json:dumps`",
            ),
        ),
        (
            "cart.foreign",
            (
                "M213",
                "`cart.foreign` is not an object of `trip`",
                "it comes from `json`",
                "name a method of the object's own class",
            ),
        ),
        (
            "cart.logger.info",
            (
                "M213",
                "`cart.logger.info` is not an object of `trip`",
                "it comes from `logging`",
                "name a method of the object's own class",
            ),
        ),
        (
            "cart",
            (
                "M210",
                "`cart` does not name a callable",
                "it is a single name",
                "write `package.module:name`, or `object.method`",
            ),
        ),
        (
            "cart.__class__",
            (
                "M210",
                "`cart.__class__` does not name a callable",
                "`__class__` is internal to Python",
                "write `package.module:name`, or `object.method`",
            ),
        ),
    ],
)
def test_what_cannot_be_reached_in_an_object(
    text: str, problem: tuple[str, str, str, str], root: Path
) -> None:
    tool = ToolSpec(callable=text, name="t")
    assert problems(root, objects=(CART,), tools=(tool,)) == [problem]


def test_a_function_that_dispatches_by_its_first_argument_gets_it_by_position(root: Path) -> None:
    text = """
        import functools

        @functools.singledispatch
        def kind(value, more=0): return ["other", more]

        @kind.register
        def _(value: str, more=0): return ["text", more]
    """
    write(root, {"dispatching.py": text})
    tool = loaded(root, tools=(ToolSpec(callable="dispatching:kind", name="t"),)).tools["t"]
    assert tool.invoke(tool.validate({"value": "a", "more": 2})) == ["text", 2]
    assert tool.invoke(tool.validate({"value": 1})) == ["other", 0]


def test_methods_of_objects_of_an_exactly_allowed_class_may_be_named() -> None:
    objects = (ObjectSpec(name="c", class_reference="collections:Counter"),)
    tools = (ToolSpec(callable="c.most_common", name="t"),)
    agent, diagnostics = load_agent(
        spec(objects=objects, tools=tools), loader(allow=("collections:Counter",))
    )
    assert (agent is not None, diagnostics) == (True, ())


def test_arguments_of_objects_are_converted(root: Path) -> None:
    cart = made(root, "trip.cart:Cart", limit="4", since="2026-11-23", tag=[1])
    assert (cart.limit, cart.since.isoformat(), cart.tag) == (4, "2026-11-23", [1])
    assert made(root, "trip.cart:make_cart", limit=3).limit == 3
    assert made(root, "trip.cart:Open", name="n", size=3).show() == ["n", {"size": 3}]
    assert made(root, "trip.cart:Picky", limit=1).connection is None
    # What has no JSON form passes as it is, since the constructor may know what to do.
    assert made(root, "trip.cart:Needy", handler={"a": 1}).show() == {"a": 1}


def test_a_class_without_a_signature_gets_its_arguments_as_they_are() -> None:
    entry = ObjectSpec(name="o", class_reference="builtins:dict", arguments={"a": 1})
    agent, diagnostics = load_agent(spec(objects=(entry,)), loader(allow=("builtins:dict",)))
    assert diagnostics == ()
    assert agent is not None
    assert agent.objects == {"o": {"a": 1}}


@pytest.mark.parametrize(
    ("reference", "arguments", "line", "told"),
    [
        (
            "trip.cart:Cart",
            {"limt": 3, "tag": 1},
            2,
            (
                "M225",
                "object `o` cannot be made from `trip.cart:Cart`",
                "`limt` is not a parameter (did you mean `limit`?); `limit` is missing",
                "correct its `arguments`",
            ),
        ),
        (
            "trip.cart:Cart",
            {"limit": "many"},
            2,
            (
                "M225",
                "object `o` cannot be made from `trip.cart:Cart`",
                "`limit` should be a valid integer, unable to parse string as an integer",
                "correct its `arguments`",
            ),
        ),
        (
            "trip.cart:number",
            {},
            1,
            (
                "M213",
                "`trip.cart:number` is not an object of `trip`",
                "it comes from `builtins`",
                'if it is meant, write `"trip.cart:number"` in meshd.toml\'s allow list',
            ),
        ),
        (
            "trip.cart:make_later",
            {},
            1,
            (
                "M225",
                "object `o` cannot be made from `trip.cart:make_later`",
                "it is a coroutine or generator function",
                "name a class",
            ),
        ),
        (
            "trip.cart:Raising",
            {},
            1,
            (
                "M225",
                "making object `o` raised `OSError`",
                "OSError: no disk",
                "correct the constructor, or its `arguments`",
            ),
        ),
        (
            "trip.cart:Leaving",
            {},
            1,
            (
                "M225",
                "making object `o` raised `SystemExit`",
                "SystemExit: 2",
                "correct the constructor, or its `arguments`",
            ),
        ),
    ],
)
def test_an_object_that_cannot_be_made_is_told_once(
    reference: str,
    arguments: dict[str, Any],
    line: int,
    told: tuple[str, str, str, str],
    root: Path,
) -> None:
    found = unmade(root, reference, **arguments)
    assert (found.code, found.message, found.label, found.hint) == told
    assert found.span == Span("m.yaml", line, 1, 2)


def test_the_traceback_of_a_constructor_shows_the_users_frames(root: Path) -> None:
    assert unmade(root, "trip.cart:Raising").detail.splitlines() == [
        "Traceback (most recent call last):",
        f'  File "{root / "trip" / "cart.py"}", line 53, in __init__',
        '    def __init__(self): raise OSError("no disk")',
        "                        ^^^^^^^^^^^^^^^^^^^^^^^^",
        "OSError: no disk",
    ]


def test_a_required_argument_that_has_no_json_form_is_told(root: Path) -> None:
    assert unmade(root, "trip.cart:Needy").code == "M240"


def test_what_is_not_callable_makes_no_object(root: Path) -> None:
    write(root, {"things.py": "class A: pass\na = A()\n"})
    found = unmade(root, "things:a")
    assert (found.code, found.label, found.hint) == (
        "M225",
        "it is of type `A`",
        "name a class",
    )


def test_interruption_by_the_user_is_not_swallowed(root: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        made(root, "trip.cart:Interrupted")


@pytest.mark.parametrize(
    ("name", "entered"),
    [
        ("lifespan", [(10, None, (), dict[str, Any]()), "left"]),
        ("by_position", [10]),
        ("Manager", [("class", 10)]),
        ("alone", []),
    ],
)
async def test_a_lifespan_receives_objects_by_name(
    name: str, entered: list[Any], root: Path
) -> None:
    agent = loaded(root, objects=(CART,), lifespan=f"trip.app:{name}")
    assert agent.lifespan is not None
    for _ in range(2):
        async with agent.lifespan():
            pass
    assert sys.modules["trip.app"].entered == entered * 2


@pytest.mark.parametrize(
    ("name", "label", "hint"),
    [
        (
            "unknown",
            "its parameter `crt` is not the name of an object",
            "did you mean `cart`?",
        ),
        (
            "undecorated",
            "it is an async generator function, not an async context manager",
            "decorate an async generator function with `contextlib.asynccontextmanager`",
        ),
        (
            "coroutine",
            "it is not an async context manager",
            "decorate an async generator function with `contextlib.asynccontextmanager`",
        ),
        (
            "sync",
            "it is not an async context manager",
            "decorate an async generator function with `contextlib.asynccontextmanager`",
        ),
    ],
)
def test_what_is_no_lifespan_is_told(name: str, label: str, hint: str, root: Path) -> None:
    assert problems(root, objects=(CART,), lifespan=f"trip.app:{name}") == [
        ("M227", f"`trip.app:{name}` is no lifespan", label, hint)
    ]


def test_a_lifespan_without_its_object_is_told(root: Path) -> None:
    (problem,) = problems(root, lifespan="trip.app:lifespan")
    assert problem[2:] == (
        "its parameter `cart` is not the name of an object",
        "declare it under `objects:`",
    )


def test_a_lifespan_must_exist_and_be_callable(root: Path) -> None:
    write(root, {"things.py": "class A: pass\na = A()\n"})
    assert [p[0] for p in problems(root, lifespan="trip.app:no")] == ["M223"]
    assert [p[2] for p in problems(root, lifespan="things:a")] == ["it is of type `A`"]


def test_resources_and_prompts_take_their_arguments_as_text(root: Path) -> None:
    agent = loaded(
        root,
        resources=(
            ResourceSpec(uri="page://{city}", name="page", callable="trip.pages:page"),
            ResourceSpec(uri="page://{city}{?days}", name="more", callable="trip.pages:page"),
            ResourceSpec(uri="page://fixed", name="fixed", callable="trip.pages:fixed"),
        ),
        prompts=(PromptSpec(name="ask", callable="trip.pages:question", description="Ask away."),),
    )
    page = agent.resources["page://{city}{?days}"]
    assert page.invoke(page.validate_texts({"city": "7", "days": "2"})) == "7 2"
    assert page.signature.description == "A page."
    ask = agent.prompts["ask"]
    texts = {"city": "Oslo", "days": "3", "tags": '["a"]'}
    assert ask.invoke(ask.validate_texts(texts)) == ["Oslo", 3, ["a"]]
    assert ask.signature.description == "Ask away."


@pytest.mark.parametrize(
    ("uri", "callable_name", "label", "hint"),
    [
        (
            "page://{cty}",
            "page",
            "`trip.pages:page` has no parameter `cty`",
            "did you mean `city`?",
        ),
        (
            "page://{city}/{zzz}",
            "page",
            "`trip.pages:page` has no parameter `zzz`",
            "remove it from the URI",
        ),
        (
            "page://{days}",
            "page",
            "`trip.pages:page` needs `city`",
            "add `{city}` to the URI, or give the parameter a default",
        ),
        (
            "page://{x}",
            "fixed",
            "`trip.pages:fixed` has no parameter `x`",
            "remove it from the URI",
        ),
    ],
)
def test_a_uri_must_fit_its_callable(
    uri: str, callable_name: str, label: str, hint: str, root: Path
) -> None:
    resource = ResourceSpec(uri=uri, name="r", callable=f"trip.pages:{callable_name}")
    found = problems(root, resources=(resource,))
    message = f"the URI `{uri}` does not fit its callable"
    assert ("M253", message, label, hint) in found


@pytest.mark.parametrize(
    ("uri", "names"),
    [
        ("a://b", []),
        ("a://{b}/{c}", ["b", "c"]),
        ("a://{path*}", ["path"]),
        ("a://{b}{?c,d}", ["b", "c", "d"]),
    ],
)
def test_the_parameters_of_a_uri_are_known(uri: str, names: list[str]) -> None:
    assert uri_parameters(uri) == names


def test_all_problems_of_an_agent_are_told_at_once_in_file_order(root: Path) -> None:
    def at(line: int) -> dict[str, Span]:
        return {"callable": Span("m.yaml", line, 1, 2)}

    agent, found = load_agent(
        spec(
            lifespan="trip.app:undecorated",
            objects=(CART,),
            tools=(
                ToolSpec(callable="trip.cart:Crt", name="b", origins=at(9)),
                ToolSpec(callable="os:system", name="c", origins=at(4)),
                ToolSpec(callable="trip.cart:Picky", name="d", origins=at(6)),
            ),
            prompts=(PromptSpec(name="p", callable="trip.nothing:x", origins=at(7)),),
            resources=(ResourceSpec(uri="a://b", name="r", callable="x.y", origins=at(8)),),
            origins={"lifespan": Span("m.yaml", 2, 1, 2)},
        ),
        loader(root),
    )
    assert agent is None
    assert [(d.code, d.span and d.span.line, d.severity) for d in found] == [
        ("M227", 2, Severity.ERROR),
        ("M211", 4, Severity.ERROR),
        ("M241", 6, Severity.WARNING),
        ("M241", 6, Severity.WARNING),
        ("M220", 7, Severity.ERROR),
        ("M226", 8, Severity.ERROR),
        ("M223", 9, Severity.ERROR),
    ]


def test_warnings_alone_do_not_keep_an_agent_from_loading(root: Path) -> None:
    agent, found = load_agent(
        spec(tools=(ToolSpec(callable="trip.cart:Picky", name="t"),)), loader(root)
    )
    assert agent is not None
    assert [d.code for d in found] == ["M241", "M241"]
