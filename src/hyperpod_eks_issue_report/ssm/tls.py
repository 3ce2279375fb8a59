"""TLS for many websockets in one process: one shared context, small buffers.

asyncio gives each TLS connection a read buffer of 256 KiB, of which a data channel with frames of
about 1 KiB uses next to nothing; a thousand sessions would hold 256 MB. The size is an
undocumented class attribute, so it is only touched where it looks as expected.
"""

from __future__ import annotations

import asyncio.sslproto
import functools
import os
import ssl

READ_BUFFER = 32 * 1024


def limit_read_buffers(size: int = READ_BUFFER) -> bool:
    """Make TLS connections opened from now on use read buffers of at most `size` bytes.

    Returns:
        Whether the limit is in force. False only means that sessions need more memory.
    """
    protocol = getattr(asyncio.sslproto, "SSLProtocol", None)
    current = getattr(protocol, "max_size", None)
    if protocol is None or type(current) is not int:
        return False
    if current > size:
        protocol.max_size = size
    return True


@functools.lru_cache(maxsize=4)
def client_context(ca_bundle: str | None = None) -> ssl.SSLContext:
    """A context that verifies servers; loading certificates is slow, so it is made once.

    Args:
        ca_bundle: file of trusted certificates; without it the system's.
    """
    return ssl.create_default_context(cafile=ca_bundle)


def default_context() -> ssl.SSLContext:
    """The context for callers without their own: AWS_CA_BUNDLE is honoured as boto3 does."""
    return client_context(os.environ.get("AWS_CA_BUNDLE") or None)
