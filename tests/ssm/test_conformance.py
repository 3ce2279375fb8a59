"""The fifteen behaviours a Session Manager client must show, by number and name."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from uuid import UUID

import pytest

from hyperpod_eks_issue_report.errors import (
    DeliveryError,
    EncryptionRequiredError,
    HandshakeError,
    SessionLostError,
    SessionRefusedError,
    SilentSessionError,
    TargetNotConnectedError,
)
from hyperpod_eks_issue_report.ssm.bounds import Limits
from hyperpod_eks_issue_report.ssm.channel import DataChannel
from hyperpod_eks_issue_report.ssm.events import Closed, Failed, HandshakeDone, Stream
from hyperpod_eks_issue_report.ssm.messages import MessageType, PayloadType, decode
from hyperpod_eks_issue_report.ssm.states import State
from hyperpod_eks_issue_report.ssm.text import StreamText

from .bench import Bench, acks, inputs
from .peer import (
    EPOCH_MS,
    ack_frame,
    channel_closed,
    handshake_complete,
    handshake_request,
    json_frame,
    output_frame,
    service_frame,
)
from .server import SESSION_ID, Link, carry_on, running, succeed
from .test_messages import V1, V3, V4
from .test_session import PATIENT, SHORT, Caller, drop_in_the_middle

# --- 1 codec -------------------------------------------------------------------------------------
# The exact vectors, the half-swapped UUID, trimming and HeaderLength are in test_messages.


def test_01_codec_vectors_through_the_channel() -> None:
    bench = Bench()
    assert acks(bench.give(V1)) == [0]
    assert bench.output() == b"hi\n"
    fillers = [output_frame(n, b".") for n in range(1, 5)]
    bench.give(*fillers, V4, V3)
    assert bench.exit_codes() == [7]
    assert bench.heard()[-1] == Closed("", complete=True)


# --- 2 acknowledgement shape ---------------------------------------------------------------------


def test_02_ack_shape() -> None:
    message_id = UUID("812ef34f-87bd-449e-a3de-282f478ba6e6")
    [ack] = Bench().give(output_frame(0, b"x", message_id=message_id))
    assert (ack.message_type, ack.flags, ack.sequence_number) == ("acknowledge", 3, 0)
    assert ack.payload_type == 0
    assert json.loads(ack.payload) == {
        "AcknowledgedMessageType": "output_stream_data",
        "AcknowledgedMessageId": str(message_id),
        "AcknowledgedMessageSequenceNumber": 0,
        "IsSequentialMessage": True,
    }
    assert ack.created_date == int((100.0 + 1e9) * 1000)


def test_02_each_in_order_message_is_acknowledged_once() -> None:
    bench = Bench()
    assert acks(bench.give(*(output_frame(n, b"x") for n in range(50)))) == list(range(50))


# --- 3 duplicate ---------------------------------------------------------------------------------


def test_03_duplicate_is_acknowledged_again_and_delivered_once() -> None:
    bench = Bench()
    frame = output_frame(0, b"once")
    first, again = bench.give(frame, frame)
    assert json.loads(first.payload) == json.loads(again.payload)
    assert bench.output() == b"once"
    assert bench.channel.counters.duplicates == 1


# --- 4 gap then fill -----------------------------------------------------------------------------


def test_04_gap_then_fill() -> None:
    bench = Bench()
    frames = {n: output_frame(n, b"%d" % n) for n in range(4)}
    assert acks(bench.give(frames[0])) == [0]
    assert acks(bench.give(frames[2], frames[3])) == [2, 3]
    assert bench.output() == b"0"
    assert acks(bench.give(frames[3])) == [3]
    assert acks(bench.give(frames[1])) == [1]
    assert bench.output() == b"0123"


def test_04_handshake_types_inside_the_buffer_reach_the_handshake() -> None:
    bench = Bench()
    bench.channel.send_input(b"held", bench.now)
    bench.give(output_frame(2, b"data"), handshake_complete(1, "hello"))
    assert bench.heard() == []
    answered = inputs(bench.give(handshake_request(0)))
    assert [m.payload_type for m in answered] == [PayloadType.HANDSHAKE_RESPONSE, 1]
    assert bench.heard()[0] == HandshakeDone("3.3.987.0", "hello")
    assert bench.output() == b"data"


def test_04_full_buffer_does_not_acknowledge_and_takes_the_resend_later() -> None:
    bench = Bench(Limits(early=2))
    frames = [output_frame(n, b"%d" % n) for n in range(5)]
    assert acks(bench.give(frames[1], frames[2], frames[3], frames[4])) == [1, 2]
    assert bench.channel.counters.refused == 2
    assert acks(bench.give(frames[0])) == [0]
    assert acks(bench.give(frames[3], frames[4])) == [3, 4]
    assert bench.output() == b"01234"


# --- 5 acknowledgement lost ----------------------------------------------------------------------


async def test_05_lost_ack_does_not_delay_the_end() -> None:
    async def script(link: Link) -> None:
        link.start()
        link.emit(b"data\n")
        await link.pump(lambda: link.peer.ready)
        lost = link.peer.take_outgoing()
        await link.send(*lost)
        for _ in lost:
            await link.websocket.recv()  # acknowledgements that never reach the agent
        await link.pump(lambda: link.peer.idle)
        await link.finish()

    async with running(script) as node:
        caller = Caller(node)
        outcome = await caller.run()
    assert caller.stdout == b"data\n"
    assert outcome.complete
    assert sorted(set(node.peer.acks_seen)) == [0, 1, 2]


# --- 6 retransmission ----------------------------------------------------------------------------


def test_06_only_the_head_is_resent_at_the_time_out_with_identical_bytes() -> None:
    bench = Bench()
    bench.channel.receive(output_frame(0, b"$ "), bench.now)
    bench.sent_raw()
    bench.channel.send_size(300, 100, bench.now)
    bench.channel.send_input(b"ls\n", bench.now)
    size, _keys = bench.sent_raw()
    assert isinstance(size, bytes)
    assert decode(size).message.payload == b'{"cols":300,"rows":100}'

    assert bench.channel.next_deadline() == pytest.approx(bench.now + 0.2)
    bench.channel.tick(bench.now + 0.199)
    assert bench.sent_raw() == []
    bench.channel.tick(bench.now + 0.2)
    assert bench.sent_raw() == [size]
    bench.channel.tick(bench.now + 0.3)
    assert bench.sent_raw() == []
    bench.channel.tick(bench.now + 0.4)
    assert bench.sent_raw() == [size]


def test_06_an_ack_stops_it_and_sets_the_time_out_by_the_formula() -> None:
    bench = Bench()
    bench.give(output_frame(0, b"$ "))
    bench.channel.send_input(b"a", bench.now)
    bench.channel.send_input(b"b", bench.now)
    first, second = bench.sent_raw()
    assert isinstance(first, bytes)
    assert isinstance(second, bytes)
    bench.channel.receive(ack_frame(first), bench.now + 0.18)
    variation, mean = 0.25 * 0.08, 0.1 * 7 / 8 + 0.18 / 8
    assert bench.channel.next_deadline() == pytest.approx(bench.now + mean + 4 * variation)
    bench.channel.receive(ack_frame(second), bench.now + 50)
    assert bench.channel.next_deadline() is None
    bench.channel.send_input(b"c", bench.now)
    assert bench.channel.next_deadline() == pytest.approx(bench.now + 1.0), "capped at 1 s"


def test_06_however_short_the_round_trip_ten_resends_a_second_are_the_most() -> None:
    bench = Bench()
    bench.give(output_frame(0, b"$ "))
    for _ in range(50):
        bench.channel.send_input(b"a", bench.now)
        [frame] = bench.sent_raw()
        assert isinstance(frame, bytes)
        bench.channel.receive(ack_frame(frame), bench.now + 0.001)
    bench.channel.send_input(b"a", bench.now)
    assert bench.channel.next_deadline() == pytest.approx(bench.now + 0.1)


def test_06_after_the_last_attempt_a_typed_failure() -> None:
    bench = Bench(Limits(resends=3))
    bench.give(output_frame(0, b"$ "))
    bench.channel.send_input(b"a", bench.now)
    for _ in range(4):
        due = bench.channel.next_deadline()
        assert due is not None
        bench.channel.tick(due)
    assert bench.channel.counters.resends == 3
    [failed] = [event for event in bench.heard() if isinstance(event, Failed)]
    assert isinstance(failed.error, DeliveryError)
    assert bench.channel.next_deadline() is None


def test_06_full_outgoing_buffer_pushes_back_and_throws_nothing_away() -> None:
    bench = Bench(Limits(outgoing=2))
    bench.give(output_frame(0, b"$ "))
    data = bytes(range(256)) * 12
    assert bench.channel.send_input(data, bench.now) == 2048
    assert not bench.channel.send_size(1, 1, bench.now)
    frames = bench.sent_raw()
    assert (
        b"".join(decode(f).message.payload for f in frames if isinstance(f, bytes)) == data[:2048]
    )
    assert isinstance(frames[0], bytes)
    bench.channel.receive(ack_frame(frames[0]), bench.now)
    assert bench.channel.send_input(data[2048:], bench.now) == 1024


def test_06_zero_length_payloads_are_never_sent() -> None:
    bench = Bench().open()
    assert bench.channel.send_input(b"", bench.now) == 0
    assert bench.sent_raw() == []


# --- 7 digest mismatch ---------------------------------------------------------------------------


def test_07_digest_mismatch_is_neither_acknowledged_nor_delivered_nor_fatal() -> None:
    bench = Bench()
    good = output_frame(0, b"right")
    assert bench.give(good[:-1] + b"!") == []
    assert bench.channel.counters.corrupt == 1
    assert acks(bench.give(good)) == [0]
    assert bench.output() == b"right"


@pytest.mark.parametrize("kind", ["start_publication", "pause_publication"])
def test_07_garbage_in_publication_frames_is_fine(kind: str) -> None:
    bench = Bench()
    assert bench.give(service_frame(kind, b"{}", garbage=True)) == []
    assert bench.channel.counters.publications == 1
    assert bench.channel.counters.corrupt == 0


# --- 8 what does not belong ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param('{"text": "frame"}', id="TEXT"),
        pytest.param(b"", id="empty"),
        pytest.param(output_frame(0, b"cut")[:-1], id="truncated"),
        pytest.param(service_frame("interactive_shell", b"{}"), id="unknown type"),
        pytest.param(service_frame("agent_session_state", b"{}"), id="session state"),
        pytest.param(service_frame("", b"{}"), id="no type"),
        pytest.param(output_frame(-1, b"x"), id="negative sequence number"),
        pytest.param(service_frame("acknowledge", b"[]"), id="unreadable acknowledgement"),
        pytest.param(ack_frame(output_frame(999, b"x")), id="acknowledgement of nothing"),
    ],
)
def test_08_foreign_frames_are_ignored_and_the_session_lives(frame: str | bytes) -> None:
    bench = Bench()
    assert bench.give(frame) == []
    assert bench.heard() == []
    bench.give(output_frame(0, b"alive"))
    assert bench.output() == b"alive"


@pytest.mark.parametrize("payload_type", [0, 2, 3, 4, 8, 9, 10, 13, 261, 2**32 - 1])
def test_08_unknown_payload_types_are_acknowledged_and_ignored(payload_type: int) -> None:
    bench = Bench()
    assert acks(bench.give(output_frame(0, b"?", payload_type))) == [0]
    assert bench.heard() == []
    assert bench.channel.counters.ignored_payloads == 1
    bench.give(output_frame(1, b"next"))
    assert bench.output() == b"next"


# --- 9 UTF-8 -------------------------------------------------------------------------------------


def test_09_bytes_are_exact_across_split_and_invalid_characters() -> None:
    data = "héllo 日本".encode() + b"\xff\xfe\xc3" + "�".encode()
    bench = Bench()
    for n, byte in enumerate(data):
        bench.give(output_frame(n, bytes([byte])))
    assert bench.output() == data


@pytest.mark.parametrize("size", [1024, 1027, 1055])
def test_09_payloads_longer_than_a_chunk_are_accepted(size: int) -> None:
    bench = Bench()
    assert acks(bench.give(output_frame(0, b"\xff" * size))) == [0]
    assert bench.output() == b"\xff" * size


def test_09_text_is_decoded_stream_by_stream() -> None:
    text = StreamText()
    euro = "€".encode()
    seen = text.feed(Stream.STDOUT, euro[:1]) + text.feed(Stream.STDERR, b"E")
    assert seen + text.feed(Stream.STDOUT, euro[1:]) == "E€"
    assert text.feed(Stream.STDERR, b"\xff") == "�"
    assert text.feed(Stream.STDERR, euro[:2]) == ""
    assert text.finish(Stream.STDERR) == "�"
    assert text.finish(Stream.STDOUT) == ""


# --- 10 streams and exit code --------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 7, 255, -1])
def test_10_exit_code_is_read(code: int) -> None:
    bench = Bench()
    bench.give(output_frame(0, b"EXIT_CODE: %d" % code, PayloadType.EXIT_CODE))
    assert bench.exit_codes() == [code]


@pytest.mark.parametrize("payload", [b"EXIT_CODE:", b"EXIT_CODE: x", b"0", b"", b"EXIT_CODE: 1e3"])
def test_10_what_is_no_exit_code_counts_for_none(payload: bytes) -> None:
    bench = Bench()
    assert acks(bench.give(output_frame(0, payload, PayloadType.EXIT_CODE))) == [0]
    assert bench.exit_codes() == []


def test_10_stderr_is_kept_apart_also_after_the_exit_code() -> None:
    bench = Bench()
    bench.give(
        output_frame(0, b"o"),
        output_frame(1, b"e", PayloadType.STDERR),
        output_frame(2, b"EXIT_CODE: 1", PayloadType.EXIT_CODE),
        output_frame(3, b"late", PayloadType.STDERR),
    )
    assert (bench.output(), bench.output(Stream.STDERR)) == (b"o", b"elate")


def test_10_exit_code_behind_a_gap_waits_for_the_gap() -> None:
    bench = Bench()
    bench.give(output_frame(1, b"EXIT_CODE: 0", PayloadType.EXIT_CODE))
    assert bench.exit_codes() == []
    bench.give(output_frame(0, b"x"))
    assert bench.exit_codes() == [0]


def test_10_closed_with_a_gap_open_is_incomplete() -> None:
    bench = Bench()
    bench.give(output_frame(0, b"x"), output_frame(2, b"EXIT_CODE: 0", PayloadType.EXIT_CODE), V3)
    assert bench.exit_codes() == []
    assert bench.heard()[-1] == Closed("", complete=False)


async def test_10_missing_exit_code_is_none_never_zero() -> None:
    async def script(link: Link) -> None:
        link.start()
        link.emit(b"x")
        await link.pump(lambda: link.peer.ready)
        await link.finish()

    async with running(script) as node:
        outcome = await Caller(node).run()
    assert outcome.exit_code is None
    assert outcome.complete


# --- 11 handshake --------------------------------------------------------------------------------


def answer_of(frame: bytes) -> list[dict[str, object]]:
    [response] = inputs(Bench().give(frame))
    assert response.sequence_number == 0
    body = json.loads(response.payload)
    assert list(body) == ["ClientVersion", "ProcessedClientActions", "Errors"]
    actions = body["ProcessedClientActions"]
    assert isinstance(actions, list)
    return actions


@pytest.mark.parametrize(
    "kind", ["Standard_Stream", "InteractiveCommands", "NonInteractiveCommands", "Port"]
)
def test_11_known_session_types_are_accepted(kind: str) -> None:
    [action] = answer_of(handshake_request(session_type=kind))
    assert (action["ActionType"], action["ActionStatus"]) == ("SessionType", 1)


def test_11_unknown_session_type_is_failed_and_unknown_action_unsupported() -> None:
    extra = ({"ActionType": "Teleport", "ActionParameters": {}},)
    first, second = answer_of(handshake_request(session_type="Psychic", extra_actions=extra))
    assert (first["ActionStatus"], first["Error"]) == (2, "Unknown session type Psychic")
    assert (second["ActionType"], second["ActionStatus"]) == ("Teleport", 3)
    assert second["Error"] == "Unsupported action Teleport"


def test_11_the_ack_goes_before_the_response() -> None:
    sent = Bench().give(handshake_request(0))
    assert [m.message_type for m in sent] == [MessageType.ACKNOWLEDGE, MessageType.INPUT]


def test_11_no_input_before_the_handshake_is_complete() -> None:
    bench = Bench()
    bench.channel.send_size(300, 100, bench.now)
    bench.channel.send_input(b"early", bench.now)
    assert bench.sent() == []
    assert len(inputs(bench.give(handshake_request(0)))) == 1
    sent = inputs(bench.give(handshake_complete(1)))
    assert [(m.sequence_number, m.payload_type) for m in sent] == [(1, 3), (2, 1)]


def test_11_duplicate_request_is_acknowledged_but_answered_once() -> None:
    bench = Bench()
    request = handshake_request(0)
    assert len(inputs(bench.give(request, request))) == 1
    again = bench.give(request, handshake_request(1))
    assert (acks(again), inputs(again)) == ([0, 1], [])


def test_11_customer_message_is_surfaced_as_safe_text() -> None:
    bench = Bench()
    bench.give(handshake_request(0), handshake_complete(1, "Be\x1b[2J nice\r\nplease\u202e"))
    assert bench.heard() == [HandshakeDone("3.3.987.0", "Be [2J nice please")]


def test_11_session_without_handshake_opens_with_its_first_output() -> None:
    bench = Bench()
    bench.channel.send_size(300, 100, bench.now)
    sent = inputs(bench.give(output_frame(0, b"$ ")))
    assert [m.payload_type for m in sent] == [PayloadType.SIZE]
    assert bench.channel.state is State.OPEN


async def test_11_zero_output_session_is_a_normal_end() -> None:
    async def script(link: Link) -> None:
        link.start()
        await link.pump(lambda: link.peer.ready)
        link.exit_code(0)
        await link.finish()

    async with running(script) as node:
        caller = Caller(node)
        outcome = await caller.run()
    assert (outcome.exit_code, outcome.complete, bytes(caller.stdout)) == (0, True, b"")


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"RequestedClientActions": 3}', b"\xff"])
def test_11_unreadable_request_is_a_typed_failure(body: bytes) -> None:
    bench = Bench()
    bench.give(output_frame(0, body, PayloadType.HANDSHAKE_REQUEST))
    [event] = bench.heard()
    assert isinstance(event, Failed)
    assert isinstance(event.error, HandshakeError)


# --- 12 channel_closed early ---------------------------------------------------------------------


@pytest.mark.parametrize("before", [0, 1, 2], ids=["at once", "after request", "after handshake"])
async def test_12_closed_before_any_data_raises_with_the_text(before: int) -> None:
    async def script(link: Link) -> None:
        await link.hello()
        await link.send(*[handshake_request(0), handshake_complete(1)][:before])
        await link.send(channel_closed("Handshake timed out."))
        await link.websocket.wait_closed()

    async with running(script) as node:
        with pytest.raises(SessionRefusedError, match="Handshake timed out"):
            await Caller(node).run()
    assert node.open_connections == 0


@pytest.mark.parametrize("payload", [b"{}", b"", b"[]", b'{"Output": 5}', b'{"SchemaVersion":"1"}'])
def test_12_missing_and_odd_fields_are_tolerated(payload: bytes) -> None:
    bench = Bench()
    bench.give(output_frame(0, b"x"), service_frame(MessageType.CHANNEL_CLOSED, payload))
    assert bench.heard()[-1] == Closed("", complete=True)


def test_12_after_the_close_nothing_is_sent_or_taken() -> None:
    bench = Bench().open()
    bench.channel.send_input(b"unacknowledged", bench.now)
    assert bench.give(output_frame(2, b"x"), channel_closed(), output_frame(3, b"y")) == []
    assert bench.output() == b"x"
    assert bench.channel.next_deadline() is None
    bench.channel.tick(bench.now + 1000)
    bench.channel.connected("token-2", bench.now)
    assert bench.sent_raw() == []
    with pytest.raises(RuntimeError):
        bench.channel.send_input(b"z", bench.now)


async def test_12_empty_text_after_the_exit_code_is_a_normal_end() -> None:
    async with running(succeed) as node:
        outcome = await Caller(node).run()
    assert (outcome.exit_code, outcome.closing_text, outcome.complete) == (0, "", True)


# --- 13 KMS --------------------------------------------------------------------------------------


def test_13_kms_is_answered_with_failed_and_a_clear_error() -> None:
    kms = {
        "ActionType": "KMSEncryption",
        "ActionParameters": {"KMSKeyId": "arn", "Challenge": "AAAA"},
    }
    bench = Bench()
    [response] = inputs(bench.give(handshake_request(extra_actions=(kms,))))
    first, second = json.loads(response.payload)["ProcessedClientActions"]
    assert (first["ActionStatus"], second["ActionStatus"]) == (1, 2)
    assert "KMS" in second["Error"]
    [event] = bench.heard()
    assert isinstance(event, Failed)
    assert isinstance(event.error, EncryptionRequiredError)
    assert "kmsKeyId" in str(event.error)
    assert "kmsKeyId" in event.error.hint
    assert bench.channel.finished


def test_13_nothing_is_delivered_after_the_refusal() -> None:
    kms = {"ActionType": "KMSEncryption", "ActionParameters": {}}
    bench = Bench()
    bench.give(output_frame(1, b"ciphertext"), handshake_request(extra_actions=(kms,)))
    assert bench.output() == b""
    bench.give(output_frame(2, b"more"))
    assert bench.output() == b""


# --- 14 pause and truncated success --------------------------------------------------------------


def test_14_pause_and_start_change_nothing() -> None:
    bench = Bench()
    pause = service_frame(MessageType.PAUSE_PUBLICATION, b"{}", garbage=True)
    start = service_frame(MessageType.START_PUBLICATION, b"{}", garbage=True)
    sent = bench.give(start, output_frame(0, b"a"), pause, output_frame(1, b"b"), start)
    assert acks(sent) == [0, 1]
    assert bench.output() == b"ab"
    bench.channel.send_input(b"k", bench.now)
    bench.give(pause)
    assert bench.channel.next_deadline() is not None


async def test_14_truncated_success_lacks_its_trailer() -> None:
    async def script(link: Link) -> None:
        link.start()
        link.emit(b"line 1\nline 2\nli")  # here the agent's reader quits because of a pause
        link.exit_code(0)
        await link.pump(lambda: link.peer.ready)
        await link.finish()

    async with running(script) as node:
        caller = Caller(node, trailer=b"END\n")
        outcome = await caller.run()
    assert outcome.exit_code == 0
    assert outcome.complete, "no gap: the channel itself cannot know"
    assert not caller.is_done(), "only the missing trailer tells"


async def test_14_hang_after_a_pause_meets_the_deadline() -> None:
    async def script(link: Link) -> None:
        link.start()
        link.emit(b"line 1\n")
        await link.pump(lambda: link.peer.ready)
        await link.send(*link.peer.take_outgoing())
        await link.send(service_frame(MessageType.PAUSE_PUBLICATION, b"{}", garbage=True))
        await link.pump()

    async with running(script) as node:
        with pytest.raises(SilentSessionError):
            await Caller(node, deadlines=replace(PATIENT, silence=SHORT)).run()
    assert node.terminated == [SESSION_ID]


# --- 15 connection loss --------------------------------------------------------------------------


def test_15_counters_survive_and_what_was_unacknowledged_goes_out_again() -> None:
    bench = Bench().open()
    bench.channel.send_input(b"a", bench.now)
    lost = bench.sent_raw()
    bench.channel.disconnected()
    assert bench.channel.next_deadline() is None
    bench.channel.send_input(b"b", bench.now)
    assert bench.sent_raw() == []
    bench.channel.connected("token-2", bench.now)
    hello, *rest = bench.sent_raw()
    assert isinstance(hello, str)
    body = json.loads(hello)
    assert (body["TokenValue"], body["ClientId"]) == ("token-2", "client")
    assert rest[0] == lost[0]
    assert [decode(f).message.sequence_number for f in rest if isinstance(f, bytes)] == [1, 2]
    bench.give(output_frame(2, b"goes on"))
    assert bench.output() == b"goes on"


async def test_15_drop_is_resumed_with_a_new_token_and_no_lost_byte() -> None:
    async with running(drop_in_the_middle, drop_in_the_middle_again, carry_on) as node:
        caller = Caller(node)
        outcome = await caller.run()
    assert caller.stdout == b"one two END\nthree "
    assert outcome.resumes == 2
    assert len({hello["TokenValue"] for hello in node.peer.hellos}) == 3


async def drop_in_the_middle_again(link: Link) -> None:
    await link.pump(lambda: link.peer.idle)
    link.drop()
    link.emit(b"three ")


async def test_15_ended_session_is_an_error_and_no_hang() -> None:
    async with running(drop_in_the_middle) as node:
        node.resume_answers = [None]
        with pytest.raises(SessionLostError):
            await Caller(node).run()


async def test_15_drop_after_the_trailer_is_a_success() -> None:
    async def script(link: Link) -> None:
        link.start()
        link.emit(b"END\n")
        link.exit_code(0)
        await link.pump(lambda: link.peer.ready and link.peer.idle)
        link.drop()

    async with running(script) as node:
        outcome = await Caller(node, trailer=b"END\n").run()
    assert outcome.exit_code == 0
    assert node.resumed == []


async def test_15_cancel_calls_terminate_session() -> None:
    async def script(link: Link) -> None:
        link.start()
        link.emit(b"x")
        await link.pump()

    async with running(script) as node:
        caller = Caller(node)
        task = asyncio.create_task(caller.run())
        await caller.got_output.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert node.terminated == [SESSION_ID]


async def test_15_target_not_connected_is_not_retried() -> None:
    async with running(succeed) as node:
        node.start_errors = [TargetNotConnectedError("node is not connected")]
        with pytest.raises(TargetNotConnectedError):
            await Caller(node).run()
    assert len(node.started) == 1


def test_epoch_of_the_peer_differs_from_ours() -> None:
    """Nobody may rely on the other side's clock."""
    channel = DataChannel(client_id="c", epoch_offset=-1e6, limits=Limits())
    channel.connected("t", 0.0)
    channel.take_outgoing()
    channel.receive(json_frame(0, PayloadType.OUTPUT, EPOCH_MS), 0.0)
    [frame] = channel.take_outgoing()
    assert isinstance(frame, bytes)
    assert decode(frame).message.created_date == 1
