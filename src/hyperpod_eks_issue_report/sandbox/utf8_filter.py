"""The agent's filter over a process's output (`shell.go` processStdoutData): not binary safe.

Bytes that are no UTF-8 pass singly; a genuine U+FFFD loses its last two bytes; anything doubtful
among the last three bytes waits for the next read and is lost at the end of the stream.
"""

from __future__ import annotations

_UTF_MAX = 4


class Utf8Filter:
    """One stream's filter; `feed` returns what is sent for a read."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, read: bytes) -> bytes:
        """Filter what was held back and what was read."""
        data = self._held + read
        passed: list[bytes] = []
        at = 0
        while at < len(data):
            end = _valid_until(data, at)
            passed.append(data[at:end])
            at = end
            if at >= len(data) or len(data) - at < _UTF_MAX:
                break
            passed.append(data[at : at + 1])
            at += 3 if data[at : at + 3] == b"\xef\xbf\xbd" else 1
        self._held = data[at:]
        return b"".join(passed)


def _valid_until(data: bytes, start: int) -> int:
    """Where the first rune stands that Go reads as RuneError: invalid bytes or U+FFFD itself."""
    try:
        data[start:].decode("utf-8")
        end = len(data)
    except UnicodeDecodeError as error:
        end = start + error.start
    genuine = data.find(b"\xef\xbf\xbd", start, end)
    return end if genuine < 0 else genuine
