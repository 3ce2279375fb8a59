"""What one channel may hold, and what it has counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one channel, in messages (of about 1 KiB each) and in attempts.

    `outgoing` holds back input beyond it, `early` is how much may wait for a missing message, and
    `resends` is how often one message is sent again (at most ten times a second).
    """

    outgoing: int = 64
    early: int = 1024
    resends: int = 1200


DEFAULT_LIMITS = Limits()


@dataclass(slots=True)
class Counters:
    """How often something happened on one channel, for debug output."""

    frames: int = 0
    text_frames: int = 0
    malformed: int = 0
    corrupt: int = 0
    unknown_types: int = 0
    ignored_payloads: int = 0
    publications: int = 0
    duplicates: int = 0
    early: int = 0
    refused: int = 0
    resends: int = 0
