"""Byte codec of Session Manager's data channel: bytes ↔ `Message`, and the JSON inside it.

Layout (all integers big-endian): HeaderLength u32 at 0, MessageType 32 bytes at 4, SchemaVersion
u32 at 36, CreatedDate u64 (epoch ms) at 40, SequenceNumber i64 at 48, Flags u64 at 56, MessageId
16 bytes at 64, PayloadDigest 32 bytes (SHA-256) at 80, PayloadType u32 at 112, PayloadLength u32
at HeaderLength, payload behind it. Frames made by the service itself have HeaderLength 112: they
lack PayloadType. Source: aws/session-manager-plugin `src/message/{clientmessage,messageparser}.go`
and aws/amazon-ssm-agent `agent/session/contracts/agentmessage.go`; the 112 variant is reported by
third-party clients only.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from uuid import UUID, uuid4

import msgspec

HEADER_LENGTH = 116
SERVICE_HEADER_LENGTH = 112
SCHEMA_VERSION = 1
#: Largest payload that either side cuts a stream into, in bytes (`StreamDataPayloadSize`).
CHUNK_SIZE = 1024

_FIXED = struct.Struct(">I32sIQqQ16s32s")
_U32 = struct.Struct(">I")


class MessageType:
    """The message types a client can see (`clientmessage.go`) and the agent's session state."""

    INPUT = "input_stream_data"
    OUTPUT = "output_stream_data"
    ACKNOWLEDGE = "acknowledge"
    CHANNEL_CLOSED = "channel_closed"
    START_PUBLICATION = "start_publication"
    PAUSE_PUBLICATION = "pause_publication"
    AGENT_SESSION_STATE = "agent_session_state"


class PayloadType(IntEnum):
    """What a stream message's payload is (`clientmessage.go`, `model.go`)."""

    NONE = 0
    OUTPUT = 1
    ERROR = 2
    SIZE = 3
    PARAMETER = 4
    HANDSHAKE_REQUEST = 5
    HANDSHAKE_RESPONSE = 6
    HANDSHAKE_COMPLETE = 7
    ENCRYPTION_CHALLENGE_REQUEST = 8
    ENCRYPTION_CHALLENGE_RESPONSE = 9
    FLAG = 10
    STDERR = 11
    EXIT_CODE = 12


class Flags(IntFlag):
    """Header flags; acknowledgements carry both bits."""

    NONE = 0
    SYN = 1
    FIN = 2
    SYN_FIN = 3


class ActionStatus(IntEnum):
    """Answer to one requested action of the handshake."""

    SUCCESS = 1
    FAILED = 2
    UNSUPPORTED = 3


class MalformedMessageError(ValueError):
    """The bytes are no message: too short, or a length points outside the frame."""


@dataclass(frozen=True, slots=True)
class Message:
    """One binary frame of the data channel.

    `payload_type` is an int, not the enum: unknown numbers are legal on the wire.
    `created_date` is in milliseconds since the epoch and must not be 0.
    """

    message_type: str
    sequence_number: int
    flags: int
    payload_type: int
    payload: bytes
    created_date: int
    message_id: UUID = field(default_factory=uuid4)
    schema_version: int = SCHEMA_VERSION

    def encode(self) -> bytes:
        """Serialise as both Go writers do: HeaderLength 116, type padded with blanks."""
        head = _FIXED.pack(
            HEADER_LENGTH,
            self.message_type.encode("ascii").ljust(32),
            self.schema_version,
            self.created_date,
            self.sequence_number,
            self.flags,
            swap_uuid_halves(self.message_id.bytes),
            hashlib.sha256(self.payload).digest(),
        )
        return b"".join(
            (head, _U32.pack(self.payload_type), _U32.pack(len(self.payload)), self.payload)
        )


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A decoded frame and whether its digest fits its payload (True when there is no payload)."""

    message: Message
    header_length: int
    digest_matches: bool


def decode(frame: bytes) -> ReceivedMessage:
    """Read one binary frame.

    The payload is what follows the length field, as both Go parsers take it; the length itself
    is unreliable in start/pause_publication frames of the service, so it is not enforced there.

    Raises:
        MalformedMessageError: the frame is truncated or its lengths contradict it.
    """
    if len(frame) < SERVICE_HEADER_LENGTH + 4:
        raise MalformedMessageError(f"a frame of {len(frame)} bytes is shorter than a header")
    header_length, kind, schema, created, sequence, flags, raw_id, digest = _FIXED.unpack_from(
        frame
    )
    if not SERVICE_HEADER_LENGTH <= header_length <= len(frame) - 4:
        raise MalformedMessageError(
            f"header length {header_length} does not fit {len(frame)} bytes"
        )
    try:
        message_type = kind.strip(b"\x00 \t\r\n").decode("ascii")
    except UnicodeDecodeError as error:
        raise MalformedMessageError("message type is not ASCII") from error
    payload = bytes(frame[header_length + 4 :])
    (length,) = _U32.unpack_from(frame, header_length)
    unreliable = message_type in (MessageType.START_PUBLICATION, MessageType.PAUSE_PUBLICATION)
    if length != len(payload) and not unreliable:
        raise MalformedMessageError(f"payload length says {length}, frame holds {len(payload)}")
    payload_type = (
        _U32.unpack_from(frame, SERVICE_HEADER_LENGTH)[0] if header_length >= HEADER_LENGTH else 0
    )
    message = Message(
        message_type=message_type,
        sequence_number=sequence,
        flags=flags,
        payload_type=payload_type,
        payload=payload,
        created_date=created,
        message_id=UUID(bytes=swap_uuid_halves(raw_id)),
        schema_version=schema,
    )
    matches = not payload or hashlib.sha256(payload).digest() == digest
    return ReceivedMessage(message, header_length, matches)


def swap_uuid_halves(raw: bytes) -> bytes:
    """The wire carries a UUID's second eight bytes before its first eight."""
    return raw[8:] + raw[:8]


# --- JSON payloads -------------------------------------------------------------------------------
# Field names are the wire's, so that the encoded key order is the one of the protocol.


class Acknowledgement(msgspec.Struct, frozen=True):
    """Payload of `acknowledge`; the receiver matches by sequence number only."""

    AcknowledgedMessageType: str
    AcknowledgedMessageId: str
    AcknowledgedMessageSequenceNumber: int
    IsSequentialMessage: bool = True


class ChannelClosed(msgspec.Struct, frozen=True):
    """Payload of `channel_closed`; every field is optional."""

    MessageId: str = ""
    CreatedDate: str = ""
    DestinationId: str = ""
    SessionId: str = ""
    MessageType: str = ""
    SchemaVersion: int = 1
    Output: str = ""


class RequestedClientAction(msgspec.Struct, frozen=True):
    ActionType: str
    ActionParameters: object = None


class HandshakeRequest(msgspec.Struct, frozen=True):
    """Payload type 5, agent → client."""

    AgentVersion: str = ""
    RequestedClientActions: list[RequestedClientAction] = msgspec.field(default_factory=list)


class ProcessedClientAction(msgspec.Struct, frozen=True):
    ActionType: str
    ActionStatus: int
    ActionResult: object = None
    Error: str = ""


class HandshakeResponse(msgspec.Struct, frozen=True):
    """Payload type 6, client → agent."""

    ClientVersion: str
    ProcessedClientActions: list[ProcessedClientAction]
    Errors: list[str] | None = None


class HandshakeComplete(msgspec.Struct, frozen=True):
    """Payload type 7, agent → client; the time is in nanoseconds."""

    HandshakeTimeToComplete: int = 0
    CustomerMessage: str = ""


class OpenDataChannelInput(msgspec.Struct, frozen=True):
    """The first frame of a connection, a TEXT frame. TokenValue is a secret."""

    MessageSchemaVersion: str
    RequestId: str
    TokenValue: str
    ClientId: str = ""
    ClientVersion: str = ""

    def __repr__(self) -> str:
        return f"OpenDataChannelInput(RequestId={self.RequestId!r}, TokenValue=…)"


def acknowledge(received: Message, *, created_date: int, message_id: UUID | None = None) -> Message:
    """Build the acknowledgement of a stream message (flags 3, sequence 0, payload type 0)."""
    body = Acknowledgement(
        received.message_type, str(received.message_id), received.sequence_number
    )
    return Message(
        message_type=MessageType.ACKNOWLEDGE,
        sequence_number=0,
        flags=Flags.SYN_FIN,
        payload_type=PayloadType.NONE,
        payload=msgspec.json.encode(body),
        created_date=created_date,
        message_id=message_id or uuid4(),
    )
