"""Reads the payloads of incoming messages, forgiving what the other side got wrong."""

from __future__ import annotations

import re

import msgspec

from .messages import Acknowledgement, ChannelClosed, HandshakeComplete
from .text import plain_text

_EXIT_CODE = re.compile(rb"EXIT_CODE: (-?[0-9]{1,10})\s*\Z")
_ACKNOWLEDGEMENT = msgspec.json.Decoder(Acknowledgement)
_HANDSHAKE_COMPLETE = msgspec.json.Decoder(HandshakeComplete)
_CHANNEL_CLOSED = msgspec.json.Decoder(ChannelClosed)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)


def exit_code(payload: bytes) -> int | None:
    """The number in `EXIT_CODE: <int>` (payload type 12); None if it is anything else."""
    match = _EXIT_CODE.match(payload)
    return int(match[1]) if match else None


def acknowledged_sequence(payload: bytes) -> int | None:
    """The sequence number an `acknowledge` names; None if it cannot be read."""
    try:
        return _ACKNOWLEDGEMENT.decode(payload).AcknowledgedMessageSequenceNumber
    except _UNREADABLE:
        return None


def customer_message(payload: bytes) -> str:
    """What HandshakeComplete asks to show, made safe; empty if it cannot be read."""
    try:
        return plain_text(_HANDSHAKE_COMPLETE.decode(payload).CustomerMessage)
    except _UNREADABLE:
        return ""


def closing_text(payload: bytes) -> str:
    """The service's last words in `channel_closed`, made safe; every field is optional."""
    try:
        return plain_text(_CHANNEL_CLOSED.decode(payload).Output)
    except _UNREADABLE:
        return ""
