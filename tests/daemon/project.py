"""A project on disk that tests of a whole daemon change, break and mend."""

from pathlib import Path

AGENT = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {{name: {name}}}
spec:
  python: {{path: src}}
{more}
  tools:
{tools}
"""

PROBE = '''\
import os


def pid() -> int:
    return os.getpid()


def variable(name: str) -> str | None:
    return os.environ.get(name)


def initial(pid: int) -> str:
    """Return the environment that a process began with."""
    with open(f"/proc/{pid}/environ", "rb") as file:
        return file.read().decode(errors="replace")


def crash() -> None:
    os._exit(3)
'''

PRICES = """\
import os

CURRENCY = "EUR"


def price(item: str) -> str:
    return f"{len(item)} {CURRENCY}"


def pid() -> int:
    return os.getpid()
"""

SHOP = """\
async def order(item: str, price) -> str:
    return f"{item} costs {await price(item=item)}"
"""


class ProjectFiles:
    """The folder, and how to write what is in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "src"
        self.source.mkdir(parents=True)
        (folder / "meshd.toml").write_text("")
        self.module("probe", PROBE)

    def agent(self, name: str, *callables: str, more: str = "", needs: str = "") -> None:
        """Write an agent's manifest; `more` are lines of its spec, `needs` those of each tool."""
        needed = f"\n      needs: {needs}" if needs else ""
        tools = "\n".join(f'    - callable: "{one}"{needed}' for one in callables)
        indented = "\n".join(f"  {line}" for line in more.splitlines())
        self.manifest(name).write_text(AGENT.format(name=name, more=indented, tools=tools))

    def manifest(self, name: str) -> Path:
        """Return where an agent's manifest is."""
        return self.folder / f"{name}.yaml"

    def module(self, name: str, text: str) -> Path:
        """Write a Python module."""
        file = self.source / f"{name}.py"
        file.write_text(text)
        return file

    def shop(self) -> None:
        """Write two agents, one of which needs the other."""
        self.module("prices", PRICES)
        self.module("shop", SHOP)
        self.prices()
        self.agent("shop", "shop:order", needs="{price: {capability: price, required: true}}")

    def prices(self, more: str = "") -> None:
        """Write the manifest of the agent that others need."""
        self.agent("prices", "prices:price", "prices:pid", more=more)
        manifest = self.manifest("prices")
        text = manifest.read_text()
        with_capability = '"prices:price"\n      capability: price'
        manifest.write_text(text.replace('"prices:price"', with_capability))
