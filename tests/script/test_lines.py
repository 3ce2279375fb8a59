"""The reader of a node's stdout: any chunks, any garbage, and a trailer that must fit."""

from __future__ import annotations

import base64
import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperpod_eks_issue_report.script.lines import (
    KEPT_NOISE,
    MAX_LINE,
    AnyRecord,
    Beat,
    Begin,
    End,
    Failed,
    NodeLines,
    clean,
    parse,
)

BODY = [
    b"@hpir 1 0 begin time=2025-01-01T00:00:00Z bash=5.2.15(1)-release uid=0 host_b64=aXAtMTA=",
    b"@hpir 1 1 script via=presigned-url bytes=9000",
    b"@hpir 1 2 started index=1 id=disk",
    b"@hpir 1 3 beat",
    b"@hpir 1 4 finished index=1 id=disk rc=0 ms=12 bytes=340 timeout=0",
    b"@hpir 1 5 tarball bytes=10 sha256=" + b"a" * 64 + b" md5=" + b"b" * 32,
    b"@hpir 1 6 uploaded via=node-role",
]


def trailer(lines: list[bytes]) -> bytes:
    text = b"".join(line + b"\n" for line in lines)
    digest = hashlib.sha256(text).hexdigest()
    count = len(lines)
    return f"@hpir 1 {count} end lines={count} bytes={len(text)} sha256={digest} rc=0".encode()


STREAM = b"".join(line + b"\n" for line in [*BODY, trailer(BODY)])
NOISY = (
    b"Last login: today\r\n" + STREAM.replace(b"\n", b"\r\n") + b"$ " + b"z" * 20_000 + b"\nend\n"
)
# One line of just the longest length that counts, ended as a terminal ends it.
LONGEST = (b"@hpir 1 0 beat x=" + b"y" * MAX_LINE)[:MAX_LINE] + b"\r\n"


def state(reader: NodeLines) -> tuple[bool, bool | None, list[str]]:
    return reader.started, reader.trailer_fits, list(reader.noise)


def feed_in_chunks(stream: bytes, cuts: list[int]) -> tuple[list[AnyRecord], NodeLines]:
    reader = NodeLines()
    edges = [0, *sorted(c % (len(stream) + 1) for c in cuts), len(stream)]
    records: list[AnyRecord] = []
    for start, stop in pairwise(edges):
        records += reader.feed(stream[start:stop])
    return records, reader


@pytest.mark.parametrize("stream", [STREAM, NOISY, LONGEST], ids=["plain", "noisy", "longest"])
@given(cuts=st.lists(st.integers(0, 1 << 20), max_size=30))
def test_any_chunking_gives_the_same(stream: bytes, cuts: list[int]) -> None:
    whole = NodeLines()
    expected = whole.feed(stream)
    records, reader = feed_in_chunks(stream, cuts)
    assert records == expected
    assert state(reader) == state(whole)


def test_bytewise() -> None:
    for stream in (STREAM, LONGEST):
        records, _ = feed_in_chunks(stream, list(range(len(stream))))
        assert records == NodeLines().feed(stream)
        assert records


def _held(reader: NodeLines) -> int:
    return len(reader._rest) + sum(len(line) for line in reader.noise)


garbage = st.one_of(
    st.binary(max_size=200),
    st.binary(max_size=60).map(lambda b: b"@hpir 1 " + b + b"\n"),
    st.sampled_from(BODY).flatmap(
        lambda line: st.tuples(st.integers(0, len(line)), st.binary(max_size=5)).map(
            lambda change: line[: change[0]] + change[1] + line[change[0] :] + b"\n"
        )
    ),
    st.integers(0, 3 * MAX_LINE).map(lambda n: b"x" * n),
)


@given(st.lists(garbage, max_size=20))
def test_garbage_never_raises_and_is_bounded(chunks: list[bytes]) -> None:
    reader = NodeLines()
    for chunk in chunks:
        reader.feed(chunk)
        reader.note(chunk)
        assert _held(reader) <= MAX_LINE + 1 + KEPT_NOISE * 300
    assert all(line.isprintable() for line in reader.noise)


def test_line_without_end_is_not_held() -> None:
    reader = NodeLines()
    for _ in range(1000):
        assert reader.feed(b"x" * 10_000) == []
    assert _held(reader) <= MAX_LINE + 1
    # Its end does not begin a line.
    assert reader.feed(b"@hpir 1 0 beat\n@hpir 1 0 beat\n") == [Beat(seq=0)]


def test_trailer_fits() -> None:
    reader = NodeLines()
    *_, end = reader.feed(STREAM)
    assert isinstance(end, End)
    assert reader.done
    assert reader.trailer_fits is True


def test_no_trailer_yet() -> None:
    assert not NodeLines().started
    reader = NodeLines()
    reader.feed(STREAM[:-1])
    assert reader.started
    assert reader.trailer_fits is None
    assert not reader.done


def test_noise_between_does_not_count() -> None:
    reader = NodeLines()
    reader.feed(STREAM.replace(b"\n", b"\nbash: warning\n"))
    assert reader.done


def test_carriage_returns_do_not_count() -> None:
    reader = NodeLines()
    reader.feed(STREAM.replace(b"\n", b"\r\n"))
    assert reader.done


@pytest.mark.parametrize("index", range(len(BODY)))
def test_trailer_does_not_fit_a_lost_line(index: int) -> None:
    reader = NodeLines()
    lines = [*BODY[:index], *BODY[index + 1 :], trailer(BODY)]
    reader.feed(b"\n".join(lines) + b"\n")
    assert reader.trailer_fits is False
    assert not reader.done


@pytest.mark.parametrize("index", range(len(BODY)))
def test_trailer_does_not_fit_a_doubled_line(index: int) -> None:
    reader = NodeLines()
    lines = [*BODY[: index + 1], *BODY[index:], trailer(BODY)]
    reader.feed(b"\n".join(lines) + b"\n")
    assert reader.trailer_fits is False


def test_trailer_does_not_fit_a_changed_line() -> None:
    reader = NodeLines()
    reader.feed(STREAM.replace(b"ms=12", b"ms=13"))
    assert reader.trailer_fits is False


def test_what_follows_the_trailer_is_noise() -> None:
    reader = NodeLines()
    reader.feed(STREAM)
    assert reader.feed(STREAM) == []
    assert reader.done
    assert list(reader.noise) == [line.decode()[:300] for line in STREAM.splitlines()]


def test_only_the_last_noise_is_kept() -> None:
    reader = NodeLines()
    reader.feed(b"".join(b"line %d\n" % n for n in range(100)))
    assert list(reader.noise) == [f"line {n}" for n in range(100 - KEPT_NOISE, 100)]


@pytest.mark.parametrize(
    "line",
    [
        b"@hpir 1",
        b"@hpir 1 0",
        b"@hpir 1 x beat",
        b"@hpir 1 -1 beat",
        b"@hpir 1 0 unknown",
        b"@hpir 1 0 script via=node-role",
        b"@hpir 1 0 script via=node-role bytes=-5",
        b"@hpir 1 0 script via=node-role bytes=" + b"9" * 5000,
        b"@hpir 1 0 started index=1 id=" + b"x" * 201,
        b"@hpir 1 0 tarball bytes=1 sha256=abc md5=" + b"b" * 32,
        b"@hpir 1 0 failed stage=fetch reason=X detail_b64=%%%",
        "@hpir 1 0 beat é".encode(),
    ],
)
def test_malformed_lines_are_noise(line: bytes) -> None:
    assert parse(line) is None
    reader = NodeLines()
    assert reader.feed(line + b"\n") == []
    assert len(reader.noise) == 1
    assert not reader.started


def test_control_characters_are_removed() -> None:
    reader = NodeLines()
    reader.feed(b"\x1b[2Jred\x07\x00\n")
    assert list(reader.noise) == ["[2Jred"]
    host = base64.b64encode(b"\x1b]0;a\x07b\nc").decode()
    record = parse(f"@hpir 1 0 begin time=t bash=b uid=0 host_b64={host}".encode())
    assert isinstance(record, Begin)
    assert record.host == "]0;a b c"


def test_presigned_queries_are_scrubbed() -> None:
    url = "https://b.example/k?X-Amz-Algorithm=A&X-Amz-Signature=secret"
    reader = NodeLines()
    reader.feed(f"curl: ({url}) failed\n".encode())
    reader.note(f"{url}\n".encode())
    assert all("secret" not in line for line in reader.noise)
    assert all("https://b.example/k?…" in line for line in reader.noise)
    detail = base64.b64encode(f"no way to {url} now".encode()).decode()
    record = parse(f"@hpir 1 0 failed stage=fetch reason=X detail_b64={detail}".encode())
    assert isinstance(record, Failed)
    assert record.detail == "no way to https://b.example/k?… now"


def test_clean_is_bounded() -> None:
    assert len(clean("x" * 5000)) == 1000
    assert clean("abc", 2) == "ab"
