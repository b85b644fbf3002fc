"""Encrypted connections, with an authority of the test's own."""

import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from meshd.clock import SystemClock
from meshd.runtime.wire.address import address_of
from meshd.runtime.wire.failures import NotSent
from meshd.runtime.wire.pool import Pool
from meshd.runtime.wire.request import post, start_of
from tests.runtime.wire.peers import Peer, peers


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a certificate of 127.0.0.1 that signs itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "there")])
    host = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    now = SystemClock().now()
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([host]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


def server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def echo(peer: Peer) -> None:
    while True:
        request = await peer.request()
        await peer.answer(request.partition(b"\r\n\r\n")[2])


async def test_an_encrypted_connection_is_used_again(certificate: Path) -> None:
    pool = Pool(ssl.create_default_context(cafile=certificate))
    async with peers(echo, tls=server_side(certificate)) as server:
        address = address_of(server.url.replace("http://", "https://"))
        start = start_of(address, "/", {})
        for body in (b"1", b"2" * 300_000, b"3"):
            assert (await pool.ask(address, post(start, b"", body), 1_000_000)).body == body
        await pool.close()
    assert server.count == 1


async def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    pool = Pool()
    async with peers(echo, tls=server_side(certificate)) as server:
        address = address_of(server.url.replace("http://", "https://"))
        with pytest.raises(NotSent, match="certificate verify failed"):
            await pool.ask(address, b"", 1)
        await pool.close()


async def test_a_server_that_speaks_no_tls() -> None:
    async def plain(peer: Peer) -> None:
        await peer.reader.read(1)
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    pool = Pool()
    async with peers(plain) as server:
        address = address_of(server.url.replace("http://", "https://"))
        with pytest.raises(NotSent):
            await pool.ask(address, b"", 1)
        await pool.close()
