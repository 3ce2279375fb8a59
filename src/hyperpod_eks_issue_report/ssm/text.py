"""Text from the other side: decoding it stream by stream, and making it safe to show."""

from __future__ import annotations

import codecs

from .events import Stream

#: Longest text of the service or the agent that is passed on, in characters.
TEXT_LIMIT = 1000

_DECODER = codecs.getincrementaldecoder("utf-8")


def plain_text(text: str, limit: int = TEXT_LIMIT) -> str:
    """One line of printable characters, at most `limit` long.

    Control and formatting characters (escape sequences, line breaks, direction marks) could
    forge lines of a log or steer a terminal; each run of them becomes one blank.
    """
    head = text[: 4 * limit]
    shown = " ".join("".join(c if c.isprintable() else " " for c in head).split())
    if len(shown) <= limit and len(head) == len(text):
        return shown
    return shown[: limit - 1] + "…"


class StreamText:
    """Decodes both output streams as UTF-8, each on its own, across message boundaries.

    Invalid bytes become U+FFFD: the agent's output filter is not binary safe, so text may be
    damaged before it gets here (`agent/session/shell/shell.go`).
    """

    __slots__ = ("_decoders",)

    def __init__(self) -> None:
        self._decoders = {stream: _DECODER(errors="replace") for stream in Stream}

    def feed(self, stream: Stream, data: bytes) -> str:
        """The characters that `data` completes."""
        return self._decoders[stream].decode(data)

    def finish(self, stream: Stream) -> str:
        """What an unfinished character at the stream's end stands for: U+FFFD, or nothing."""
        return self._decoders[stream].decode(b"", final=True)
