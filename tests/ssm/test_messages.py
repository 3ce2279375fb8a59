"""The byte codec against vectors that the real agent and plugin accepted."""

from __future__ import annotations

import contextlib
import json
import struct
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperpod_eks_issue_report.ssm.messages import (
    ChannelClosed,
    MalformedMessageError,
    Message,
    MessageType,
    OpenDataChannelInput,
    acknowledge,
    decode,
    swap_uuid_halves,
)

from .peer import service_frame

CREATED = 1_700_000_000_000
MESSAGE_ID = UUID("00112233-4455-6677-8899-aabbccddeeff")
ACK_ID = UUID("ffeeddcc-bbaa-9988-7766-554433221100")

V1 = bytes.fromhex(
    "000000746f75747075745f73747265616d5f6461746120202020202020202020"
    "20202020000000010000018bcfe5680000000000000000000000000000000001"
    "8899aabbccddeeff001122334455667798ea6e4f216f2fb4b69fff9b3a44842c"
    "38686ca685f3f55dc48c5d3fb1107be4000000010000000368690a"
)
V2 = bytes.fromhex(
    "0000007461636b6e6f776c656467652020202020202020202020202020202020"
    "20202020000000010000018bcfe5680000000000000000000000000000000003"
    "7766554433221100ffeeddccbbaa99889a9176a8e3205c39888df3a9f7a681bc"
    "dfb7bbaff53e9c21ddb8d9bab6f05a1200000000000000b07b2241636b6e6f77"
    "6c65646765644d65737361676554797065223a226f75747075745f7374726561"
    "6d5f64617461222c2241636b6e6f776c65646765644d6573736167654964223a"
    "2230303131323233332d343435352d363637372d383839392d61616262636364"
    "6465656666222c2241636b6e6f776c65646765644d6573736167655365717565"
    "6e63654e756d626572223a302c22497353657175656e7469616c4d6573736167"
    "65223a747275657d"
)
V3 = bytes.fromhex(
    "000000706368616e6e656c5f636c6f7365640000000000000000000000000000"
    "00000000000000010000018bcfe5680000000000000000000000000000000000"
    "8899aabbccddeeff00112233445566774f4e710d5ea45ca21a5b4d055e226cd7"
    "368cd403d26ceb394694c2df42a27fcf000000a77b224d657373616765496422"
    "3a2230303131323233332d343435352d363637372d383839392d616162626363"
    "646465656666222c224372656174656444617465223a22222c2244657374696e"
    "6174696f6e4964223a22222c2253657373696f6e4964223a22732d31222c224d"
    "65737361676554797065223a226368616e6e656c5f636c6f736564222c225363"
    "68656d6156657273696f6e223a312c224f7574707574223a22227d"
)
V4 = bytes.fromhex(
    "000000746f75747075745f73747265616d5f6461746120202020202020202020"
    "20202020000000010000018bcfe5680000000000000000050000000000000000"
    "8899aabbccddeeff001122334455667736d3d82a1d9ec37b129364f4a1dfda9b"
    "1c9c97c4df3e5338e88bcf42497278e70000000c0000000c455849545f434f44"
    "453a2037"
)

OUTPUT = Message(MessageType.OUTPUT, 0, 1, 1, b"hi\n", CREATED, MESSAGE_ID)
EXIT = Message(MessageType.OUTPUT, 5, 0, 12, b"EXIT_CODE: 7", CREATED, MESSAGE_ID)


@pytest.mark.parametrize(
    ("message", "frame"),
    [
        pytest.param(OUTPUT, V1, id="V1 output"),
        pytest.param(
            acknowledge(OUTPUT, created_date=CREATED, message_id=ACK_ID), V2, id="V2 acknowledge"
        ),
        pytest.param(EXIT, V4, id="V4 exit code"),
    ],
)
def test_vectors_encode_and_decode_exactly(message: Message, frame: bytes) -> None:
    assert message.encode() == frame
    received = decode(frame)
    assert received.message == message
    assert received.header_length == 116
    assert received.digest_matches


def test_v3_channel_closed_of_the_service() -> None:
    received = decode(V3)
    assert received.header_length == 112
    assert received.digest_matches
    assert received.message.message_type == MessageType.CHANNEL_CLOSED
    assert received.message.payload_type == 0
    assert received.message.message_id == MESSAGE_ID
    body = json.loads(received.message.payload)
    assert body == {
        "MessageId": str(MESSAGE_ID),
        "CreatedDate": "",
        "DestinationId": "",
        "SessionId": "s-1",
        "MessageType": "channel_closed",
        "SchemaVersion": 1,
        "Output": "",
    }
    assert list(body) == list(ChannelClosed.__struct_fields__)


def test_v3_encodes_exactly_as_the_service_writes_it() -> None:
    payload = decode(V3).message.payload
    frame = bytearray(service_frame(MessageType.CHANNEL_CLOSED, payload))
    frame[64:80] = swap_uuid_halves(MESSAGE_ID.bytes)
    assert bytes(frame) == V3


def test_message_id_of_a_real_capture() -> None:
    wire = UUID("a3de282f-478b-a6e6-812e-f34f87bd449e").bytes
    assert UUID(bytes=swap_uuid_halves(wire)) == UUID("812ef34f-87bd-449e-a3de-282f478ba6e6")


@pytest.mark.parametrize("padding", [b" ", b"\0", b"\0 \0 "])
def test_message_type_is_trimmed_of_blanks_and_nuls(padding: bytes) -> None:
    name = (b"output_stream_data" + padding * 32)[:32]
    assert decode(V1[:4] + name + V1[36:]).message.message_type == MessageType.OUTPUT


def test_a_longer_header_moves_the_payload() -> None:
    longer = struct.pack(">I", 124) + V1[4:116] + b"\xee" * 8 + V1[116:]
    received = decode(longer)
    assert received.message.payload == b"hi\n"
    assert received.message.payload_type == 1


def test_a_wrong_digest_is_told() -> None:
    assert not decode(V1[:-1] + b"!").digest_matches


def test_publication_frames_may_lie_about_their_length() -> None:
    frame = service_frame(MessageType.PAUSE_PUBLICATION, b"{}", garbage=True)
    assert decode(frame).message.message_type == MessageType.PAUSE_PUBLICATION


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(b"", id="empty"),
        pytest.param(V1[:100], id="cut in the header"),
        pytest.param(V1[:-1], id="cut in the payload"),
        pytest.param(V1 + b"x", id="too long"),
        pytest.param(struct.pack(">I", 0) + V1[4:], id="header length 0"),
        pytest.param(struct.pack(">I", 0xFFFFFFFF) + V1[4:], id="header length beyond the end"),
        pytest.param(V1[:4] + b"\xff" * 32 + V1[36:], id="type not ASCII"),
    ],
)
def test_malformed_frames_are_refused(frame: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        decode(frame)


@given(
    sequence=st.integers(0, 2**63 - 1),
    flags=st.integers(0, 3),
    payload_type=st.integers(0, 2**32 - 1),
    payload=st.binary(max_size=2000),
    created=st.integers(1, 2**64 - 1),
    message_id=st.uuids(),
)
def test_every_message_survives_the_wire(
    sequence: int, flags: int, payload_type: int, payload: bytes, created: int, message_id: UUID
) -> None:
    message = Message(
        MessageType.INPUT, sequence, flags, payload_type, payload, created, message_id
    )
    assert decode(message.encode()).message == message


@given(st.binary(max_size=400))
def test_any_bytes_decode_or_are_refused(frame: bytes) -> None:
    with contextlib.suppress(MalformedMessageError):
        decode(frame)


@given(position=st.integers(0, len(V1) - 1), value=st.integers(0, 255))
def test_any_damaged_byte_decodes_or_is_refused(position: int, value: int) -> None:
    damaged = V1[:position] + bytes([value]) + V1[position + 1 :]
    with contextlib.suppress(MalformedMessageError):
        decode(damaged)


def test_the_open_frame_hides_its_token_in_repr() -> None:
    assert "secret" not in repr(OpenDataChannelInput("1.0", "r", "secret"))
