"""Reads what a node writes on stdout: the node line protocol (docs/protocol.md), and noise.

Everything from a node is untrusted: lines are bounded, texts lose their control characters, and a
protocol line with values that cannot be is noise.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections import deque
from typing import TypeVar

import msgspec

PREFIX = b"@hpir 1 "
MAX_LINE = 8192
KEPT_NOISE = 40
KEPT_LOG = 30
_NOISE_WIDTH = 300
_MAX_TEXT = 1000
_SECRET = re.compile(r"\?[^\s\"']*X-Amz-[^\s\"']*")


class Record(msgspec.Struct, frozen=True, tag_field="kind"):
    """One protocol line; `seq` counts from 0."""

    seq: int


class Begin(Record, frozen=True, tag="begin"):
    time: str
    bash: str
    uid: int
    host: str = ""


class ScriptFetched(Record, frozen=True, tag="script"):
    via: str
    bytes: int


class TaskStarted(Record, frozen=True, tag="started"):
    index: int
    id: str


class TaskFinished(Record, frozen=True, tag="finished"):
    index: int
    id: str
    rc: int
    ms: int
    bytes: int
    timeout: bool


class Tarball(Record, frozen=True, tag="tarball"):
    """`sha256` and `md5` are lower-case hex."""

    bytes: int
    sha256: str
    md5: str


class Uploaded(Record, frozen=True, tag="uploaded"):
    via: str


class Failed(Record, frozen=True, tag="failed"):
    stage: str
    reason: str
    detail: str = ""


class Beat(Record, frozen=True, tag="beat"):
    pass


class End(Record, frozen=True, tag="end"):
    """The trailer: number, bytes and sha256 of all protocol lines before it."""

    lines: int
    bytes: int
    sha256: str
    rc: int


AnyRecord = (
    Begin | ScriptFetched | TaskStarted | TaskFinished | Tarball | Uploaded | Failed | Beat | End
)
R = TypeVar("R", bound=Record)


class NodeLines:
    """Incremental reader; `feed` what arrived, in any pieces.

    Attributes:
        started: whether any protocol line came.
        trailer_fits: None before the trailer; then whether it fits what arrived.
        noise: the last lines that are no protocol.
        log: the last lines of any kind, for the session log of summary.json.
    """

    def __init__(self) -> None:
        self.noise: deque[str] = deque(maxlen=KEPT_NOISE)
        self.log: deque[str] = deque(maxlen=KEPT_LOG)
        self.started = False
        self.trailer_fits: bool | None = None
        self._rest = b""
        self._cut = False
        self._lines = 0
        self._bytes = 0
        self._digest = hashlib.sha256()

    @property
    def done(self) -> bool:
        """Whether the trailer has arrived and fits."""
        return self.trailer_fits is True

    def feed(self, data: bytes) -> list[AnyRecord]:
        """The records that `data` completes."""
        *lines, rest = (self._rest + data).split(b"\n")
        records = [r for line in lines if (r := self._line(line)) is not None]
        # A line without end is held only so far, with room for its \r; the rest of it is dropped.
        self._cut = self._cut or len(rest) > MAX_LINE + 1
        self._rest = rest[: MAX_LINE + 1]
        return records

    def note(self, data: bytes) -> None:
        """Keep other output, such as stderr, as noise."""
        for line in data.splitlines():
            self._keep(line)

    def _line(self, line: bytes) -> AnyRecord | None:
        cut, self._cut = self._cut, False
        line = line.removesuffix(b"\r")
        if cut or len(line) > MAX_LINE or not line.startswith(PREFIX):
            self._keep(line)
            return None
        record = parse(line)
        if record is None or self.trailer_fits is not None:
            self._keep(line)
            return None
        self.started = True
        self.log.append(line.decode("ascii")[:_NOISE_WIDTH])
        if isinstance(record, End):
            self.trailer_fits = (record.lines, record.bytes, record.sha256) == (
                self._lines,
                self._bytes,
                self._digest.hexdigest(),
            )
            return record
        self._lines += 1
        self._bytes += len(line) + 1
        self._digest.update(line + b"\n")
        return record

    def _keep(self, line: bytes) -> None:
        text = clean(line[: 4 * _NOISE_WIDTH].decode("utf-8", "replace"), _NOISE_WIDTH)
        if text.strip():
            self.noise.append(text)
            self.log.append(text)


def clean(text: str, limit: int = _MAX_TEXT) -> str:
    """Bounded, printable, and without the query of a presigned URL."""
    text = _SECRET.sub("?…", text)
    return "".join(c if c.isprintable() else " " for c in text)[:limit].strip()


def parse(line: bytes) -> AnyRecord | None:
    """One protocol line, or None if it is not well-formed."""
    try:
        words = line.decode("ascii").split(" ")
        fields: dict[str, str] = {"seq": words[2], "kind": words[3]}
        for word in words[4:]:
            key, _, value = word.partition("=")
            if key.endswith("_b64"):
                key, value = key[:-4], _unarmour(value)
            fields[key] = value
        record: AnyRecord = msgspec.convert(fields, type=AnyRecord, strict=False)
    except (ValueError, IndexError, msgspec.ValidationError):
        return None
    return record if _plausible(record) else None


def _unarmour(value: str) -> str:
    try:
        return clean(base64.b64decode(value, validate=True).decode("utf-8", "replace"))
    except binascii.Error as error:
        raise ValueError("no base64") from error


def _plausible(record: AnyRecord) -> bool:
    """Numbers in range, digests of the right form, words of a sane length."""
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, int) and not (0 <= value <= 1 << 53):
            return False
        if isinstance(value, str) and name != "detail" and len(value) > 200:
            return False
    digests = {"md5": 32, "sha256": 64}
    return all(
        re.fullmatch(f"[0-9a-f]{{{length}}}", getattr(record, name, "0" * length))
        for name, length in digests.items()
    )
