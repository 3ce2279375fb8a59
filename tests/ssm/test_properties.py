"""Client and agent joined by a bad link, in simulated time: nothing is lost, doubled or stuck."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from hyperpod_eks_issue_report.ssm.bounds import Limits
from hyperpod_eks_issue_report.ssm.channel import DataChannel
from hyperpod_eks_issue_report.ssm.events import (
    ChannelEvent,
    Closed,
    ExitCode,
    Failed,
    HandshakeDone,
    Output,
    Stream,
)
from hyperpod_eks_issue_report.ssm.messages import PayloadType
from hyperpod_eks_issue_report.ssm.reassembly import Reassembly
from hyperpod_eks_issue_report.ssm.retransmission import MAX_RTO, RoundTripTimer

from .peer import AgentPeer, output_frame

LIMITS = Limits(outgoing=4, early=3)
PAYLOAD_AT = 120
Frame = str | bytes


@dataclass
class World:
    """Both ends, the frames on their way and the time."""

    handshake: bool = True
    now: float = 10.0
    up: bool = True
    to_agent: list[Frame] = field(default_factory=list)
    to_client: list[Frame] = field(default_factory=list)
    events: list[ChannelEvent] = field(default_factory=list)
    channel: DataChannel = field(init=False)
    agent: AgentPeer = field(init=False)
    connections: int = 1

    def __post_init__(self) -> None:
        self.channel = DataChannel(client_id="c", epoch_offset=0.0, limits=LIMITS)
        self.agent = AgentPeer(handshake=self.handshake, early_limit=LIMITS.early)
        self.channel.connected("token-1", self.now)
        self.agent.start(self.now)
        self.collect()

    def collect(self) -> None:
        """Put what both ends want to say on the link."""
        self.events.extend(self.channel.take_events())
        outgoing = self.channel.take_outgoing()
        answers = self.agent.take_outgoing()
        if self.up:
            self.to_agent.extend(outgoing)
            self.to_client.extend(answers)

    def arrive(self, at_client: bool, frame: Frame) -> None:
        if at_client:
            self.channel.receive(frame, self.now)
        else:
            self.agent.receive(frame, self.now)
        self.collect()

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.channel.tick(self.now)
        self.agent.tick(self.now)
        self.collect()

    def disconnect(self) -> None:
        self.up = False
        self.to_agent.clear()
        self.to_client.clear()
        self.channel.disconnected()
        self.agent.dropped()

    def reconnect(self) -> None:
        self.up = True
        self.connections += 1
        self.agent.reconnected()
        self.channel.connected(f"token-{self.connections}", self.now)
        self.collect()

    def settle(self, seconds: float = 60.0) -> None:
        """A good link from now on, for at most so long in simulated time."""
        if not self.up:
            self.reconnect()
        end = self.now + seconds
        while self.now < end:
            while self.to_agent or self.to_client:
                if self.to_agent:
                    self.arrive(False, self.to_agent.pop(0))
                if self.to_client:
                    self.arrive(True, self.to_client.pop(0))
            if self.channel.finished or (self.agent.idle and not self.channel.unacknowledged):
                return
            self.pass_time(0.1)
        raise AssertionError("the two ends do not come to rest on a good link")

    def output(self, stream: Stream) -> bytes:
        return b"".join(e.data for e in self.events if isinstance(e, Output) and e.stream is stream)


class BadLink(RuleBasedStateMachine):
    """Any mix of output, input, loss, doubling, reordering, damage, delay and drops."""

    world: World

    @initialize(handshake=st.booleans())
    def begin(self, handshake: bool) -> None:
        self.world = World(handshake=handshake)
        self.emitted = {Stream.STDOUT: b"", Stream.STDERR: b""}
        self.typed = b""
        self.emissions = 0

    # --- the two ends ---------------------------------------------------------------------------

    @rule(stream=st.sampled_from(Stream), data=st.binary(min_size=1, max_size=40))
    def emit(self, stream: Stream, data: bytes) -> None:
        kind = PayloadType.OUTPUT if stream is Stream.STDOUT else PayloadType.STDERR
        self.emitted[stream] += data
        self.emissions += 1
        self.world.agent.emit(data, self.world.now, kind)
        self.world.collect()

    @rule(data=st.binary(min_size=1, max_size=3000))
    def type_keys(self, data: bytes) -> None:
        taken = self.world.channel.send_input(data, self.world.now)
        assert taken == len(data) or self.world.channel.unacknowledged >= LIMITS.outgoing
        self.typed += data[:taken]
        self.world.collect()

    # --- the link -------------------------------------------------------------------------------

    def pick(self, at_client: bool, index: int) -> tuple[list[Frame], int] | None:
        frames = self.world.to_client if at_client else self.world.to_agent
        # The open frame is the connection's first, ahead of everything else.
        if not at_client and frames and isinstance(frames[0], str):
            return frames, 0
        return (frames, index % len(frames)) if frames else None

    @rule(at_client=st.booleans(), index=st.integers(0, 30))
    def deliver(self, at_client: bool, index: int) -> None:
        if found := self.pick(at_client, index):
            frames, at = found
            self.world.arrive(at_client, frames.pop(at))

    @rule()
    def deliver_all(self) -> None:
        for _ in range(len(self.world.to_agent)):
            self.world.arrive(False, self.world.to_agent.pop(0))
        for _ in range(len(self.world.to_client)):
            self.world.arrive(True, self.world.to_client.pop(0))

    @rule(at_client=st.booleans(), index=st.integers(0, 30))
    def lose(self, at_client: bool, index: int) -> None:
        if found := self.pick(at_client, index):
            frames, at = found
            if isinstance(frames[at], bytes):
                del frames[at]

    @rule(at_client=st.booleans(), index=st.integers(0, 30))
    def double(self, at_client: bool, index: int) -> None:
        if found := self.pick(at_client, index):
            frames, at = found
            frames.append(frames[at])

    @rule(at_client=st.booleans(), index=st.integers(0, 30), where=st.integers(0, 2000))
    def damage(self, at_client: bool, index: int, where: int) -> None:
        """The digest covers the payload only, so that is where damage can be found."""
        if (found := self.pick(at_client, index)) is None:
            return
        frames, at = found
        frame = frames[at]
        if isinstance(frame, bytes) and len(frame) > PAYLOAD_AT:
            spot = PAYLOAD_AT + where % (len(frame) - PAYLOAD_AT)
            frames[at] = frame[:spot] + bytes([frame[spot] ^ 0x55]) + frame[spot + 1 :]

    @rule(index=st.integers(0, 30), length=st.integers(0, 130))
    def cut(self, index: int, length: int) -> None:
        if found := self.pick(True, index):
            frames, at = found
            frame = frames[at]
            if isinstance(frame, bytes) and length < len(frame):
                frames[at] = frame[:length]

    @rule(seconds=st.floats(0.01, 2.0))
    def wait(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @precondition(lambda self: self.world.up)
    @rule()
    def disconnect(self) -> None:
        self.world.disconnect()

    @precondition(lambda self: not self.world.up)
    @rule()
    def reconnect(self) -> None:
        self.world.reconnect()

    # --- what always holds ----------------------------------------------------------------------

    @invariant()
    def delivered_is_a_prefix(self) -> None:
        for stream, emitted in self.emitted.items():
            assert emitted.startswith(self.world.output(stream))

    @invariant()
    def input_is_a_prefix_and_never_too_early(self) -> None:
        taken = b"".join(payload for _, payload in self.world.agent.taken_input)
        assert self.typed.startswith(taken)
        assert self.world.agent.thrown_away == []

    @invariant()
    def the_handshake_is_answered_at_most_once(self) -> None:
        assert not self.world.agent.reader_blocked
        assert sum(isinstance(event, HandshakeDone) for event in self.world.events) <= 1

    @invariant()
    def buffers_are_bounded(self) -> None:
        assert self.world.channel.early <= LIMITS.early
        # One more than the limit: the handshake response never waits for room.
        assert self.world.channel.unacknowledged <= LIMITS.outgoing + 1

    @invariant()
    def nothing_gave_up(self) -> None:
        assert not any(isinstance(event, Failed) for event in self.world.events)

    def teardown(self) -> None:
        """Once the link is good, everything arrives and the end is a complete one."""
        if not hasattr(self, "world"):
            return
        world = self.world
        if not self.emissions:
            self.emit(Stream.STDOUT, b"!")  # without any output there may be nothing to open
        world.settle()
        for stream, emitted in self.emitted.items():
            assert world.output(stream) == emitted
        assert b"".join(payload for _, payload in world.agent.taken_input) == self.typed
        world.agent.emit(b"EXIT_CODE: 7", world.now, PayloadType.EXIT_CODE)
        world.agent.finish(world.now)
        world.collect()
        world.settle()
        assert world.events[-2:] == [ExitCode(7), Closed("", complete=True)]


TestBadLink = BadLink.TestCase
TestBadLink.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)


@settings(max_examples=150, deadline=None)
@given(
    payloads=st.lists(st.binary(min_size=1, max_size=8), min_size=1, max_size=40),
    lost=st.sets(st.integers(0, 300), max_size=150),
)
def test_an_end_under_loss_is_whole_or_known_not_to_be(
    payloads: list[bytes], lost: set[int]
) -> None:
    """The agent waits two seconds for acknowledgements and leaves, whatever is still missing."""
    world = World()
    world.settle()
    for payload in payloads:
        world.agent.emit(payload, world.now)
    world.agent.emit(b"EXIT_CODE: 0", world.now, PayloadType.EXIT_CODE)
    world.agent.finish(world.now)
    count = 0
    for _ in range(100):
        world.collect()
        while world.to_agent or world.to_client:
            while world.to_client:
                frame = world.to_client.pop(0)
                count += 1
                # The service's own last frame is not the agent's to lose.
                if count not in lost or (world.agent.closed and not world.to_client):
                    world.arrive(True, frame)
            while world.to_agent:
                world.arrive(False, world.to_agent.pop(0))
        if world.channel.finished:
            break
        world.pass_time(0.1)
    whole, closed = b"".join(payloads), world.events[-1]
    assert isinstance(closed, Closed)
    assert whole.startswith(world.output(Stream.STDOUT))
    if ExitCode(0) in world.events:
        assert world.output(Stream.STDOUT) == whole
    if world.output(Stream.STDOUT) == whole and ExitCode(0) in world.events:
        assert closed.complete


@given(st.permutations(range(12)), st.integers(0, 11))
def test_reassembly_hands_out_each_number_once_and_in_order(order: list[int], limit: int) -> None:
    def message(sequence: int) -> bytes:
        return output_frame(sequence, b"%d" % sequence)

    channel = DataChannel(client_id="c", epoch_offset=0.0, limits=Limits(early=limit))
    channel.connected("t", 0.0)
    channel.take_outgoing()
    waiting = list(order)
    while waiting:  # whatever is not acknowledged comes again
        sequence = waiting.pop(0)
        channel.receive(message(sequence), 0.0)
        if not channel.take_outgoing():
            waiting.append(sequence)
        assert channel.early <= limit
    outputs = [event.data for event in channel.take_events() if isinstance(event, Output)]
    assert outputs == [b"%d" % n for n in range(12)]


@given(st.lists(st.floats(0, 100), max_size=50))
def test_the_time_out_stays_within_its_bounds(samples: list[float]) -> None:
    timer = RoundTripTimer()
    for sample in samples:
        timer.sample(sample)
        assert 0.01 <= timer.timeout <= MAX_RTO


@given(st.binary(max_size=300) | st.text(max_size=50))
def test_no_frame_whatever_breaks_the_channel(frame: bytes | str) -> None:
    channel = DataChannel(client_id="c", epoch_offset=0.0)
    channel.connected("t", 0.0)
    channel.receive(frame, 0.0)
    assert Reassembly(1).expected == 0


@given(st.integers(0, 15), st.binary(max_size=100))
def test_no_payload_whatever_breaks_the_channel(payload_type: int, payload: bytes) -> None:
    channel = DataChannel(client_id="c", epoch_offset=0.0)
    channel.connected("t", 0.0)
    channel.receive(output_frame(0, payload, payload_type), 0.0)
    assert channel.delivered == 1
