"""A channel on the bench: the client's state machine with a hand on its every lever."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from hyperpod_eks_issue_report.ssm.bounds import DEFAULT_LIMITS, Limits
from hyperpod_eks_issue_report.ssm.channel import DataChannel
from hyperpod_eks_issue_report.ssm.events import ChannelEvent, ExitCode, Output, Stream
from hyperpod_eks_issue_report.ssm.messages import Message, MessageType, decode

from .peer import ack_frame, handshake_complete, handshake_request

TOKEN = "token-1"


@dataclass
class Bench:
    limits: Limits = DEFAULT_LIMITS
    now: float = 100.0
    channel: DataChannel = field(init=False)
    events: list[ChannelEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.channel = DataChannel(client_id="client", epoch_offset=1e9, limits=self.limits)
        self.channel.connected(TOKEN, self.now)
        self.sent_raw()

    def give(self, *frames: str | bytes) -> list[Message]:
        """Receive frames; what the channel wants to send in answer."""
        for frame in frames:
            self.channel.receive(frame, self.now)
        return self.sent()

    def open(self) -> Bench:
        """Through the handshake; the next sequence number of the agent is 2."""
        self.give(handshake_request(0))
        self.give(handshake_complete(1))
        self.acknowledge_all()
        return self

    def acknowledge_all(self) -> None:
        """Strike off everything of ours, by resending it to see what it is."""
        while (due := self.channel.next_deadline()) is not None:
            self.channel.tick(max(due, self.now))
            for frame in self.sent_raw():
                assert isinstance(frame, bytes)
                if decode(frame).message.message_type == MessageType.INPUT:
                    self.channel.receive(ack_frame(frame), self.now)

    def sent_raw(self) -> list[str | bytes]:
        return self.channel.take_outgoing()

    def sent(self) -> list[Message]:
        return [decode(frame).message for frame in self.sent_raw() if isinstance(frame, bytes)]

    def heard(self) -> list[ChannelEvent]:
        """Everything that happened so far."""
        self.events.extend(self.channel.take_events())
        return self.events

    def output(self, stream: Stream = Stream.STDOUT) -> bytes:
        return b"".join(
            event.data
            for event in self.heard()
            if isinstance(event, Output) and event.stream is stream
        )

    def exit_codes(self) -> list[int]:
        return [event.code for event in self.heard() if isinstance(event, ExitCode)]


def acks(messages: list[Message]) -> list[int]:
    """The sequence numbers that acknowledgements among these messages name."""
    return [
        json.loads(message.payload)["AcknowledgedMessageSequenceNumber"]
        for message in messages
        if message.message_type == MessageType.ACKNOWLEDGE
    ]


def inputs(messages: list[Message]) -> list[Message]:
    return [message for message in messages if message.message_type == MessageType.INPUT]
