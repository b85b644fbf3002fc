"""Addresses in manifests are accepted or refused with a reason that shows nothing of them."""

import pytest

from meshd.manifest.addresses import advertised_problem, host_problem, registry_problem

NAMES = ["localhost", "planner", "a-b.example.org", "10.0.0.7", "my_host", "x1"]


@pytest.mark.parametrize("text", [*NAMES, "0.0.0.0", "::", "::1", "fe80::1%eth0"])  # noqa: S104
def test_hosts(text: str) -> None:
    assert host_problem(text) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        ("[::1]", "an IPv6 address stands here without brackets"),
        ("planner:80", "it is no IPv6 address, and the port has a field of its own"),
        ("::g", "it is no IPv6 address, and the port has a field of its own"),
        ("127.1", "an IPv4 address has four numbers up to 255"),
        ("10.0.0.256", "an IPv4 address has four numbers up to 255"),
        ("http//x", "it is neither an address nor a name of a host"),
        ("a b", "it is neither an address nor a name of a host"),
        ("a\n", "it is neither an address nor a name of a host"),
        ("-a", "it is neither an address nor a name of a host"),
        ("a..b", "it is neither an address nor a name of a host"),
        ("a" * 254, "it is neither an address nor a name of a host"),
        ("é", "it is neither an address nor a name of a host"),
    ],
)
def test_what_is_no_host(text: str, reason: str) -> None:
    assert host_problem(text) == reason


@pytest.mark.parametrize(
    "text", [*NAMES, "planner:80", "10.0.0.7:65535", "::1", "[::1]", "[::1]:80", "[fe80::1%eth0]:1"]
)
def test_addresses_that_can_be_advertised(text: str) -> None:
    assert advertised_problem(text) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("http://planner", "a host, or `host:port`, without scheme and path"),
        ("planner/mcp", "a host, or `host:port`, without scheme and path"),
        ("planner:0", "a port is a number from 1 to 65535"),
        ("planner:65536", "a port is a number from 1 to 65535"),
        ("planner:", "a port is a number from 1 to 65535"),
        ("planner:http", "a port is a number from 1 to 65535"),
        ("planner:\u0661", "a port is a number from 1 to 65535"),
        ("planner:80\n", "a port is a number from 1 to 65535"),
        (":80", "it is empty"),
        ("10.0.0.256:80", "an IPv4 address has four numbers up to 255"),
        ("a b:80", "it is neither an address nor a name of a host"),
        ("[planner]:80", "in brackets stands an IPv6 address"),
        ("[127.0.0.1]:80", "in brackets stands an IPv6 address"),
        ("[::1]80", "an IPv6 address is written as `[::1]` or `[::1]:8080`"),
        ("[::1", "an IPv6 address is written as `[::1]` or `[::1]:8080`"),
    ],
)
def test_what_nobody_can_be_told(text: str, reason: str) -> None:
    assert advertised_problem(text) == reason


@pytest.mark.parametrize(
    "text",
    [
        "http://localhost:8000",
        "http://localhost:8000/",
        "https://registry.example.org",
        "HTTP://10.0.0.7:80",
        "http://[::1]:8000",
        "http://[::1]",
    ],
)
def test_registries(text: str) -> None:
    assert registry_problem(text) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("localhost:8000", "it begins with neither `http://` nor `https://`"),
        ("registry", "it begins with neither `http://` nor `https://`"),
        ("redis://localhost", "it begins with neither `http://` nor `https://`"),
        ("http://me:hush@registry:8000", "a user or password may not stand in it"),
        ("http://registry:8000/v1", "nothing may follow host and port"),
        ("http://registry:8000?a=b", "nothing may follow host and port"),
        ("http://registry:8000#", "nothing may follow host and port"),
        ("http://", "it is empty"),
        ("http://:8000", "it is empty"),
        ("http://a_-:8000", "it is neither an address nor a name of a host"),
        ("http://10.0.0.256", "an IPv4 address has four numbers up to 255"),
        ("http://registry:", "a port is a number from 1 to 65535"),
        ("http://registry:99999", "a port is a number from 1 to 65535"),
        ("http://registry:http", "a port is a number from 1 to 65535"),
        ("http://[::1]:0", "a port is a number from 1 to 65535"),
        ("http://[::1", "it is no URL"),
        ("http://[nothing]:80", "it is no URL"),
        (" http://registry", "it holds a space or a control character"),
        ("http://regis\ntry", "it holds a space or a control character"),
    ],
)
def test_what_is_no_registry(text: str, reason: str) -> None:
    assert registry_problem(text) == reason
