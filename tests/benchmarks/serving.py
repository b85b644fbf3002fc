"""How fast an agent answers `tools/call`, against a bare echo and stock FastMCP, taking turns.

    python -m tests.benchmarks.serving [--seconds 60]

The servers share one core, the load (wrk) has the other. The echo reads the body, parses it with
orjson and dumps a fixed envelope, on uvicorn set as agents set it, once with the class of
connections that meshd adds. Stock FastMCP is what `FastMCP.http_app()` makes, on uvicorn with
uvloop and httptools. The agents run in a mesh as any do: their code loaded from files, in processes
of their own, metrics on.
"""

import argparse
import contextlib
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import orjson
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from meshd.runtime.http import BACKLOG, Connection
from tests.benchmarks.load import (
    SERVER_CORE,
    Side,
    install_wrk,
    measure,
    pin,
    print_ratio,
    print_side,
)
from tests.e2e.mesh import running_mesh
from tests.e2e.project import instance, until

LATENCY_GOAL_MILLISECONDS = 0.1
NUMBERS = {"a": 1, "b": 2}
TOOLS = """\
    - {callable: "tools:add"}
    - {callable: "tools:add_in_thread"}
    - {callable: "tools:add_inline", execution: inline}
    - {callable: "tools:negated"}
"""
MORE_TOOLS = "".join(f'    - {{callable: "tools:add", name: add_{n}}}\n' for n in range(100))
AGENTS = {
    "small": TOOLS,
    "large": TOOLS + MORE_TOOLS,
    "orders": '    - {callable: "tools:priced"}\n',
}
AGENT = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {{name: {name}}}
spec:
  python: {{path: src}}
  tools:
{tools}"""
MODULE = """\
from datetime import datetime

from pydantic import BaseModel


class Item(BaseModel):
    sku: str
    name: str
    quantity: int
    price: float
    tags: list[str]


class Address(BaseModel):
    street: str
    city: str
    postcode: str
    country: str


class Customer(BaseModel):
    name: str
    email: str
    since: datetime
    address: Address


class Order(BaseModel):
    number: int
    customer: Customer
    items: list[Item]
    total: float = 0.0
    note: str | None = None


async def add(a: int, b: int) -> int:
    return a + b


def add_in_thread(a: int, b: int) -> int:
    return a + b


def add_inline(a: int, b: int) -> int:
    return a + b


def negated(a: int) -> int:
    return -a


async def priced(order: Order) -> Order:
    total = sum(item.quantity * item.price for item in order.items)
    return order.model_copy(update={"total": total})
"""
STOCK = """\
import os
import socket
import subprocess
import sys

import tools
import uvicorn
import uvloop
from fastmcp import FastMCP

server = FastMCP("stock")
for number, name in enumerate(sys.argv[2:]):
    server.tool(getattr(tools, name), name=name if number < 4 else f"{name}_{number}")
config = uvicorn.Config(
    server.http_app(),
    http="httptools",
    log_level="error",
    access_log=False,
    proxy_headers=False,
    server_header=False,
)
with socket.socket(fileno=int(sys.argv[1])) as listener:
    uvloop.run(uvicorn.Server(config).serve([listener]))
"""
SIMPLE = ("add", "add_in_thread", "add_inline", "negated")
ORDER = {
    "number": 20_261_123,
    "customer": {
        "name": "Ada Lovelace",
        "email": "ada@example.org",
        "since": "2019-03-04T05:06:07Z",
        "address": {
            "street": "12 St James's Square",
            "city": "London",
            "postcode": "SW1Y 4JH",
            "country": "GB",
        },
    },
    "items": [
        {
            "sku": f"SKU-{number:06}",
            "name": f"Something that is sold, number {number}",
            "quantity": number + 1,
            "price": 9.75,
            "tags": ["garden", "outdoor", "new"],
        }
        for number in range(13)
    ],
}

Connections = Literal["httptools"] | type[Connection]


async def echo(_: Scope, receive: Receive, send: Send) -> None:
    """Answer with the same each time, as soon as the body is read and parsed."""
    message = await receive()
    body = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    result: dict[str, Any] = {"content": [], "isError": False, "structuredContent": {"result": 3}}
    answer = orjson.dumps({"jsonrpc": "2.0", "id": orjson.loads(body)["id"], "result": result})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(answer)),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def serve_echo(listener: socket.socket, connection: Connections) -> None:
    """Serve the echo with uvicorn, set as agents set it."""
    config = uvicorn.Config(
        echo,
        http=connection,
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
    )
    uvloop.run(uvicorn.Server(config).serve([listener]))


@contextlib.contextmanager
def listening() -> Generator[tuple[socket.socket, str]]:
    """Listen on a free port while the block runs; yield the socket and its URL."""
    # Named as TCP, or each answer waits for a delayed acknowledgement.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(BACKLOG)
        yield listener, f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"


@contextlib.contextmanager
def served_echo(connection: Connections = "httptools") -> Generator[tuple[str, int]]:
    """Serve the echo while the block runs; yield its URL and its process."""
    with listening() as (listener, url):
        server = get_context("fork").Process(target=serve_echo, args=(listener, connection))
        server.start()
        try:
            assert server.pid is not None
            pin(server.pid, SERVER_CORE)
            yield url, server.pid
        finally:
            server.kill()
            server.join()


@contextlib.contextmanager
def served_stock(folder: Path, *tools: str) -> Generator[tuple[str, int]]:
    """Serve these tools with FastMCP alone while the block runs; yield its URL and its process."""
    with listening() as (listener, url):
        number = listener.fileno()
        script = folder / "stock.py"
        script.write_text(STOCK)
        command = [sys.executable, str(script), str(number), *tools]
        with subprocess.Popen(command, pass_fds=[number]) as server:
            try:
                pin(server.pid, SERVER_CORE)
                yield url, server.pid
            finally:
                server.kill()


def write_project(folder: Path) -> Path:
    """Write three agents: with four tools, with a hundred more, and with one that takes a model."""
    project = folder / "project"
    (project / "src").mkdir(parents=True)
    (project / "meshd.toml").touch()
    texts = (AGENT.format(name=name, tools=tools) for name, tools in AGENTS.items())
    (project / "mesh.yaml").write_text("---\n".join(texts))
    (project / "src" / "tools.py").write_text(MODULE)
    return project


@contextlib.contextmanager
def all_sides() -> Generator[dict[str, Side]]:
    """Run all servers; yield what is asked of them."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        project = write_project(folder)

        def stock_with(*tools: str) -> tuple[str, int]:
            return stack.enter_context(served_stock(project / "src", *tools))

        bare = stack.enter_context(served_echo())
        own_echo = stack.enter_context(served_echo(Connection))
        stock, large_stock = stock_with(*SIMPLE), stock_with(*SIMPLE, *["add"] * 96)
        stock_orders = stock_with("priced")
        mesh = stack.enter_context(running_mesh(project, folder=folder))
        found = [instance(mesh, f"{name}-1") for name in AGENTS]
        for each in found:
            pin(each["pid"], SERVER_CORE)
        ours, large, orders = ((f"{each['endpoint']}/mcp", each["pid"]) for each in found)
        order = {"order": ORDER}
        sides = {
            "echo": Side("bare echo", *bare, "add", NUMBERS),
            "own echo": Side("bare echo, meshd's connections", *own_echo, "add", NUMBERS),
            "ours": Side("meshd", *ours, "add", NUMBERS),
            "large": Side("meshd, 104 tools", *large, "add", NUMBERS),
            "stock": Side("stock FastMCP, 4 tools", *stock, "add", NUMBERS),
            "large stock": Side("stock FastMCP, 100 tools", *large_stock, "add", NUMBERS),
            "inline": Side("meshd, sync, inline", *ours, "add_inline", NUMBERS),
            "thread": Side("meshd, sync, in threads", *ours, "add_in_thread", NUMBERS),
            "stock thread": Side("stock FastMCP, sync", *stock, "add_in_thread", NUMBERS),
            "order": Side("meshd, 2 kB model", *orders, "priced", order),
            "stock order": Side("stock FastMCP, 2 kB model", *stock_orders, "priced", order),
        }
        for side in sides.values():
            until(lambda: answers(side), seconds=20)  # noqa: B023  (used at once)
        yield sides


def answers(side: Side) -> bool:
    """Say whether a server answers yet."""
    try:
        side.ask()
    except OSError:
        return False
    return True


def race(sides: dict[str, Side], rounds: int, more: int) -> None:
    """Let all sides take turns; the closest race, with the echo, is run more often."""
    compared = [sides[name] for name in ("echo", "ours", "stock")]
    measure(list(sides.values()), (16,), rounds, 1)
    for number in (32, 1) * rounds:
        for side in compared:
            side.load(number, 1)
    for number in (16, 32) * more:
        for side in compared[:2]:
            side.load(number, 1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="how fast agents answer")
    parser.add_argument("--seconds", type=int, default=60, help="how long the load lasts")
    seconds = parser.parse_args().seconds
    rounds = max(1, seconds // 30)
    install_wrk()
    with all_sides() as sides:
        race(sides, rounds, seconds // 8)
    for side in sides.values():
        print_side(side, 16)
    for number in (32, 1):
        for name in ("echo", "ours", "stock"):
            print_side(sides[name], number)
    for number in (16, 32):
        print_ratio(sides["ours"], sides["echo"], number, "0.6")
        print_ratio(sides["ours"], sides["stock"], number, "20")
    print_ratio(sides["ours"], sides["own echo"], 16, "none")
    print_ratio(sides["large"], sides["large stock"], 16, "100")
    print_ratio(sides["large"], sides["ours"], 16, "1: as many tools as you like")
    print_ratio(sides["inline"], sides["echo"], 16, "none")
    print_ratio(sides["thread"], sides["stock thread"], 16, "none")
    print_ratio(sides["order"], sides["stock order"], 16, "5")
    added = sides["ours"].median(1).p50_milliseconds - sides["echo"].median(1).p50_milliseconds
    print(f"added to the median at one client: {added:.3f} ms (goal: {LATENCY_GOAL_MILLISECONDS})")


if __name__ == "__main__":
    main()
