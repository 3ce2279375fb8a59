"""Opens and leaves one websocket without letting its address or frames show anywhere.

The exceptions of the websocket library and of the socket below may carry the address, so they are
turned into words here and never chained.
"""

from __future__ import annotations

import logging
import os
import socket
import ssl
from typing import Final
from urllib.parse import urlsplit

from websockets import exceptions as ws_errors
from websockets.asyncio.client import ClientConnection, connect

from hyperpod_eks_issue_report.errors import DialError

from . import tls

#: Largest message accepted, in bytes: output is about 1 KiB, only channel_closed may be longer.
MAX_MESSAGE = 256 * 1024
#: Frames read ahead of the session; together with the write limit this bounds its memory.
MAX_QUEUE = (16, 4)
WRITE_LIMIT = 8 * 1024
#: Seconds between websocket pings, as the plugin sends them, and to wait for the answer.
PING_INTERVAL = 300.0
PING_TIMEOUT = 60.0
#: Seconds to wait for the other side's half of a close.
CLOSE_TIMEOUT = 2.0

# The library logs whole frames, the token's among them, at DEBUG. This logger is part of no
# hierarchy, so that no configuration can switch it on.
_SILENT = logging.Logger("silent")
_SILENT.disabled = True


class _Connect(connect):
    """Dials the given address only: the token is meant for no other host."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def dial(
    stream_url: str,
    *,
    ssl_context: ssl.SSLContext | None,
    allow_plaintext: bool,
    timeout: float,  # noqa: ASYNC109 (the library's own limit, given through)
) -> ClientConnection:
    """Open the websocket of a session, through the environment's proxy if there is one.

    Args:
        stream_url: the address exactly as the service gave it.
        ssl_context: for `wss://`; without it a shared default.
        allow_plaintext: whether `ws://` will do.
        timeout: seconds for the whole of it.

    Raises:
        DialError: it could not be opened; neither its text nor its chain holds the address.
    """
    host, secure = _check_address(stream_url, allow_plaintext=allow_plaintext)
    if secure:
        tls.limit_read_buffers()
    try:
        return await _Connect(
            stream_url,
            ssl=(ssl_context or tls.default_context()) if secure else None,
            compression=None,
            proxy=True,
            open_timeout=timeout,
            close_timeout=CLOSE_TIMEOUT,
            ping_interval=PING_INTERVAL,
            ping_timeout=PING_TIMEOUT,
            max_size=MAX_MESSAGE,
            max_queue=MAX_QUEUE,
            write_limit=WRITE_LIMIT,
            logger=_SILENT,
        )
    except Exception as error:
        problem = _describe(error, timeout)
    # Raised out here so that the exception has no context either.
    raise DialError(f"The data channel at {host} could not be opened: {problem}.")


async def hang_up(connection: ClientConnection) -> None:
    """Close politely, waiting for the other side no longer than the close time-out."""
    try:
        await connection.close()
    finally:
        connection.transport.abort()


async def abort(connection: ClientConnection) -> None:
    """Drop the connection at once."""
    connection.transport.abort()
    await connection.wait_closed()


def _check_address(stream_url: str, *, allow_plaintext: bool) -> tuple[str, bool]:
    try:
        address = urlsplit(stream_url)
        host, scheme = address.hostname, address.scheme
    except ValueError:
        host, scheme = None, ""
    if not host or scheme not in ("wss", "ws"):
        raise DialError("The service gave an address for the data channel that is no websocket's.")
    if scheme == "ws" and not allow_plaintext:
        raise DialError(
            f"The service asked for an unencrypted data channel to {host}; that is refused.",
            hint="Unencrypted channels are only for an SSM endpoint that is itself http://.",
        )
    return host, scheme == "wss"


def _describe(error: Exception, seconds: float) -> str:
    """What went wrong, in words that hold no address and no header."""
    if isinstance(error, TimeoutError):
        return f"no answer within {seconds:g} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate was not accepted ({error.verify_message}). If a proxy here "
            "inspects TLS, set AWS_CA_BUNDLE to the file of its certificate authority"
        )
    if isinstance(error, ws_errors.InvalidProxyStatus | ws_errors.InvalidStatus):
        who = "the proxy" if isinstance(error, ws_errors.InvalidProxyStatus) else "it"
        return f"{who} answered with HTTP status {error.response.status_code}"
    if isinstance(error, OSError) and error.errno and not isinstance(error, _OWN_WORDS):
        return os.strerror(error.errno)
    for kind, words in _WORDS.items():
        if isinstance(error, kind):
            return words
    return f"unexpected {type(error).__name__}"


#: What is left, first match first; the system's words for these would mislead.
_WORDS: Final[dict[type[Exception], str]] = {
    ssl.SSLError: "TLS failed",
    socket.gaierror: "its name cannot be resolved",
    OSError: "the connection failed",
    ImportError: "SOCKS proxies need the Python package python-socks",
    ws_errors.InvalidProxy: "the proxy address of the environment (HTTPS_PROXY) is not valid",
    ws_errors.ProxyError: "the proxy of the environment (HTTPS_PROXY) could not be used",
    ws_errors.InvalidHandshake: "its answer is not a websocket's",
    EOFError: "it hung up",
}
_OWN_WORDS: Final = (ssl.SSLError, socket.gaierror)
