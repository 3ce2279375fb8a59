"""Frames that the service itself makes: header length 112, NUL padding, careless lengths.

Third-party clients report that channel_closed of the real service has no PayloadType and pads its
type with NULs, and that start/pause_publication carry a nonsense length and digest.
"""

from __future__ import annotations

import hashlib
import struct
import time
from uuid import uuid4

import msgspec

from hyperpod_eks_issue_report.ssm.messages import (
    SERVICE_HEADER_LENGTH,
    ChannelClosed,
    swap_uuid_halves,
)

_HEAD = struct.Struct(">I32sIQqQ16s32s")


def channel_closed(session_id: str, output: str = "") -> bytes:
    """The end of a session as the client sees it; `output` is the text for the user."""
    message_id = uuid4()
    body = ChannelClosed(
        MessageId=str(message_id),
        SessionId=session_id,
        MessageType="channel_closed",
        Output=output,
    )
    payload = msgspec.json.encode(body)
    digest = hashlib.sha256(payload).digest()
    head = _head("channel_closed", message_id.bytes, digest)
    return head + struct.pack(">I", len(payload)) + payload


def publication(kind: str) -> bytes:
    """`start_publication` or `pause_publication`: the length is little-endian, the digest noise."""
    payload = b"{}"
    head = _head(kind, uuid4().bytes, hashlib.sha256(kind.encode()).digest())
    return head + struct.pack("<I", len(payload)) + payload


def _head(kind: str, message_id: bytes, digest: bytes) -> bytes:
    return _HEAD.pack(
        SERVICE_HEADER_LENGTH,
        kind.encode().ljust(32, b"\0"),
        1,
        int(time.time() * 1000),
        0,
        0,
        swap_uuid_halves(message_id),
        digest,
    )
