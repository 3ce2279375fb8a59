"""What a data channel delivers, as frozen records."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from hyperpod_eks_issue_report.errors import SessionError


class Stream(enum.Enum):
    """Which of the command's two output streams bytes belong to."""

    STDOUT = "stdout"
    STDERR = "stderr"


@dataclass(frozen=True, slots=True)
class Output:
    """Bytes of one stream, each byte exactly once and in order within its stream.

    The agent may cut a character in two at any message, so text needs an incremental decoder.
    """

    stream: Stream
    data: bytes


@dataclass(frozen=True, slots=True)
class ExitCode:
    """The agent reported the command's exit code and no message before it is missing.

    -1 means killed by a signal. The code alone does not prove that the output is whole.
    """

    code: int


@dataclass(frozen=True, slots=True)
class HandshakeDone:
    """The handshake is complete and input flows; both texts are safe to show."""

    agent_version: str
    customer_message: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The service closed the channel.

    `text` is its closing text, made safe to show; `complete` is False when messages that are
    known to exist never arrived.
    """

    text: str
    complete: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """The channel cannot go on; what is still outgoing should be written before leaving."""

    error: SessionError


ChannelEvent = Output | ExitCode | HandshakeDone | Closed | Failed
