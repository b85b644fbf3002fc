import pytest

from meshd.runtime.wire.address import Address, NotAnAddress, address_of


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (
            "http://there",
            Address("http", "there", 80, "", "there", "http://there:80"),
        ),
        (
            "https://there:443/a/b/",
            Address("https", "there", 443, "/a/b", "there", "https://there:443"),
        ),
        (
            "http://127.0.0.1:8000/",
            Address("http", "127.0.0.1", 8000, "", "127.0.0.1:8000", "http://127.0.0.1:8000"),
        ),
        (
            "http://[::1]:8000",
            Address("http", "::1", 8000, "", "[::1]:8000", "http://::1:8000"),
        ),
        (
            "http://[fe80::1%eth0]:1",
            Address("http", "fe80::1%eth0", 1, "", "[fe80::1]:1", "http://fe80::1%eth0:1"),
        ),
        (
            "HTTP://Some_Service.Default:1",
            Address(
                "http",
                "some_service.default",
                1,
                "",
                "some_service.default:1",
                "http://some_service.default:1",
            ),
        ),
    ],
)
def test_addresses(url: str, address: Address) -> None:
    assert address_of(url) == address


def test_what_is_encrypted() -> None:
    assert [address_of(f"{scheme}://a").is_tls for scheme in ("http", "https")] == [False, True]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "neither http nor https"),
        ("stdio://there-1", "neither http nor https"),
        ("http://", "no host"),
        ("http://-", "no host"),
        ("http://a b", "characters"),
        ("http://a\r\nX: y", "characters"),
        ("http://a/\x00", "characters"),
        ("http://bücher", "characters"),
        ("http://[::1", "Invalid IPv6 URL"),
        ("http://a:99999", "Port out of range"),
        ("http://a:x", "Port could not be cast"),
        ("http://user:word@a", "more than host"),
        ("http://a/?b=c", "more than host"),
        ("http://a/#b", "more than host"),
        ('http://a/"b"', "path"),
    ],
)
def test_what_is_no_address(url: str, reason: str) -> None:
    with pytest.raises(NotAnAddress, match=reason):
        address_of(url)
