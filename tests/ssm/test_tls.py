"""Small TLS buffers where the interpreter allows it, and one context for all."""

from __future__ import annotations

import asyncio.sslproto
import ssl
from pathlib import Path

import pytest
import trustme

from hyperpod_eks_issue_report.ssm import connection, tls

from .server import running, stay_mute


@pytest.fixture(autouse=True)
def _restore(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio.sslproto.SSLProtocol, "max_size", 256 * 1024)
    tls.client_context.cache_clear()


def test_read_buffers_become_small() -> None:
    assert tls.limit_read_buffers()
    assert asyncio.sslproto.SSLProtocol.max_size == 32 * 1024
    assert tls.limit_read_buffers()


async def test_dialled_connections_have_the_small_buffer() -> None:
    """Fails when a Python keeps its buffer elsewhere: then `tls` needs another way."""
    authority = trustme.CA()
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server_side)
    client_side = ssl.create_default_context()
    authority.configure_trust(client_side)
    async with running(stay_mute, tls=server_side) as node:
        websocket = await connection.dial(
            node.url, ssl_context=client_side, allow_plaintext=False, timeout=20
        )
        protocol = vars(websocket.transport)["_ssl_protocol"]
        assert len(vars(protocol)["_ssl_buffer"]) == 32 * 1024
        await connection.abort(websocket)


def test_a_smaller_buffer_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio.sslproto.SSLProtocol, "max_size", 1024)
    assert tls.limit_read_buffers()
    assert asyncio.sslproto.SSLProtocol.max_size == 1024


@pytest.mark.parametrize("odd", [None, "256k", property(lambda _self: 1)])
def test_an_interpreter_that_looks_different_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, odd: object
) -> None:
    monkeypatch.setattr(asyncio.sslproto.SSLProtocol, "max_size", odd)
    assert not tls.limit_read_buffers()
    monkeypatch.delattr(asyncio.sslproto, "SSLProtocol")
    assert not tls.limit_read_buffers()


def test_the_default_context_is_made_once_and_honours_the_bundle(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    system = tls.default_context()
    assert tls.default_context() is system
    assert system.verify_mode is ssl.CERT_REQUIRED
    assert system.check_hostname
    bundle = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    assert len(tls.default_context().get_ca_certs()) == 1
