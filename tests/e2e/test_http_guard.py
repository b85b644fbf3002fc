"""Host and Origin are checked on every route and verb, so that no web page reaches an agent."""

import socket
from collections.abc import Iterator
from itertools import product
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.e2e.mesh import Mesh

pytestmark = pytest.mark.e2e
ROUTES = (
    "/mcp",
    "/mcp/",
    "/health",
    "/ready",
    "/livez",
    "/startupz",
    "/metadata",
    "/",
    "/no/such/route",
    "/%6dcp",
    "//mcp",
)
VERBS = ("GET", "POST", "DELETE", "OPTIONS", "PUT", "PATCH", "HEAD", "TRACE")
FOREIGN_HOSTS = (
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1.evil.example:{port}",
    "localhost.evil.example",
    "2130706433:{port}",
    "0.0.0.0:{port}",
)
MALFORMED_HOSTS = (
    "evil.example@127.0.0.1:{port}",
    "127.0.0.1:{port}.evil.example",
    "127.0.0.1:{port}, evil.example",
    "127.0.0.1:{port}/evil.example",
)
FOREIGN_ORIGINS = (
    "http://evil.example",
    "https://evil.example:{port}",
    "http://127.0.0.1.evil.example",
    "null",
    "file://",
    "http://127.0.0.1:{port}@evil.example",
)
MALFORMED, REFUSED_HOST, REFUSED_ORIGIN = 400, 421, 403


@pytest.fixture(scope="module")
def http(probe_mesh: Mesh) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=probe_mesh.endpoint("probe"), timeout=10) as client:
        yield client


def port_of(client: httpx2.Client) -> int:
    assert client.base_url.port is not None
    return client.base_url.port


def statuses(client: httpx2.Client, headers: dict[str, str]) -> dict[tuple[str, str], int]:
    """Return the status of every verb on every route."""
    found: dict[tuple[str, str], int] = {}
    for verb, route in product(VERBS, ROUTES):
        # Streamed, because a GET on the MCP route may answer with an endless stream.
        with client.stream(verb, f"{client.base_url}{route}", headers=headers) as answer:
            found[verb, route] = answer.status_code
    return found


REFUSALS = [
    *(("Host", host, REFUSED_HOST) for host in FOREIGN_HOSTS),
    *(("Host", host, MALFORMED) for host in MALFORMED_HOSTS),
    *(("Origin", origin, REFUSED_ORIGIN) for origin in FOREIGN_ORIGINS),
]


@pytest.mark.parametrize(("name", "value", "expected"), REFUSALS)
def test_a_foreign_host_or_origin_is_refused_everywhere(
    http: httpx2.Client, name: str, value: str, expected: int
) -> None:
    found = statuses(http, {name: value.format(port=port_of(http))})
    assert {place: status for place, status in found.items() if status != expected} == {}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "127.0.0.1:{port}"},
        {"Host": "localhost:{port}"},
        {"Origin": "http://127.0.0.1:{port}"},
        {"Origin": "http://localhost:{port}", "Host": "localhost:{port}"},
    ],
)
def test_what_is_at_home_passes_the_guard(http: httpx2.Client, headers: dict[str, str]) -> None:
    port = port_of(http)
    filled = {name: value.format(port=port) for name, value in headers.items()}
    found = statuses(http, filled)
    assert {s for s in found.values() if s in (REFUSED_HOST, REFUSED_ORIGIN)} == set()
    assert found["GET", "/health"] == 200
    assert found["GET", "/no/such/route"] == 404
    assert found["POST", "/health"] == 405


def raw(endpoint: str, request: str) -> str:
    """Send bytes as they are; return the status line, or nothing if the connection was closed."""
    address = urlsplit(endpoint)
    with socket.create_connection((str(address.hostname), address.port or 0), 10) as connection:
        connection.sendall(request.replace("\n", "\r\n").encode())
        with connection.makefile("rb") as answer:
            return answer.readline().decode().strip()


HOME, EVIL = "127.0.0.1", "evil.example"


@pytest.mark.parametrize(
    "lines",
    [
        ["GET /health HTTP/1.1"],
        ["GET /health HTTP/1.0"],
        ["GET /health HTTP/1.1", "Host:"],
        ["GET /health HTTP/1.1", f"Host: {EVIL}", f"Host: {HOME}"],
        ["GET /health HTTP/1.1", f"Host: {HOME}", f"Host: {EVIL}"],
        ["GET /health HTTP/1.1", f"Host: {HOME}, {EVIL}"],
        [
            "GET /health HTTP/1.1",
            f"Host: {HOME}",
            f"Origin: http://{EVIL}",
            f"Origin: http://{HOME}",
        ],
        [
            "GET /health HTTP/1.1",
            f"Host: {HOME}",
            f"Origin: http://{HOME}",
            f"Origin: http://{EVIL}",
        ],
        ["GET /health HTTP/1.1", f"Host: {EVIL}", f"X-Forwarded-Host: {HOME}"],
        ["GET /health HTTP/1.1", f"Host: {EVIL}", f"Forwarded: host={HOME}"],
    ],
    ids=lambda lines: "|".join(lines[1:]) or lines[0][-8:],
)
def test_a_host_or_origin_that_is_missing_or_said_twice_is_refused(
    probe_mesh: Mesh, lines: list[str]
) -> None:
    request = "\n".join([*lines, "Connection: close", "", ""])
    status = raw(probe_mesh.endpoint("probe"), request)
    assert status.split(" ")[1:2] in (["400"], ["403"], ["421"]), status
