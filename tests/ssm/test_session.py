"""`run_command` against a real websocket: every way in, every way out, and nothing left behind."""

from __future__ import annotations

import asyncio
import logging
import shlex
import ssl
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest
import trustme
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosedError

from hyperpod_eks_issue_report.errors import (
    AccessDeniedError,
    DeliveryError,
    DialError,
    DocumentMissingError,
    EncryptionRequiredError,
    HandshakeError,
    ServiceError,
    SessionLostError,
    SessionRefusedError,
    SessionTimeoutError,
    SilentSessionError,
    StartSessionError,
    TargetNotConnectedError,
    ThrottledError,
)
from hyperpod_eks_issue_report.ssm import comeback, connection, session
from hyperpod_eks_issue_report.ssm.messages import PayloadType
from hyperpod_eks_issue_report.ssm.session import (
    Deadlines,
    HandshakeCompleted,
    Notice,
    SessionOpened,
    SessionOutcome,
    SessionResumed,
    SessionTicket,
    Stream,
    run_command,
)

from .peer import AgentPeer, channel_closed, handshake_request, output_frame, service_frame
from .server import (
    SECRET_QUERY,
    SECRET_TOKEN,
    SESSION_ID,
    Link,
    Node,
    carry_on,
    handshake_then_mute,
    running,
    stay_mute,
    succeed,
)

TARGET = "sagemaker-cluster:abc_workers-i-0123456789abcdef0"
ARGV = ("bash", "-c", "echo 'it''s me' # no comment")
#: Long enough never to matter, short enough to fail a broken test within its time.
PATIENT = Deadlines(dial=20, handshake=20, silence=20, total=20, resume=20, terminate=10, linger=20)
SHORT = 0.05


@dataclass
class Caller:
    """What a caller of run_command keeps."""

    node: Node
    deadlines: Deadlines = PATIENT
    trailer: bytes | None = None
    ssl_context: ssl.SSLContext | None = None
    allow_plaintext: bool = True
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    notices: list[Notice] = field(default_factory=list)
    noticed: asyncio.Event = field(default_factory=asyncio.Event)
    got_output: asyncio.Event = field(default_factory=asyncio.Event)

    def on_output(self, stream: Stream, data: bytes) -> None:
        (self.stdout if stream is Stream.STDOUT else self.stderr).extend(data)
        self.got_output.set()

    def is_done(self) -> bool:
        return self.trailer is not None and self.stdout.endswith(self.trailer)

    def on_notice(self, notice: Notice) -> None:
        self.notices.append(notice)
        self.noticed.set()

    async def run(self) -> SessionOutcome:
        return await run_command(
            self.node,
            TARGET,
            ARGV,
            on_output=self.on_output,
            is_done=self.is_done,
            on_notice=self.on_notice,
            ssl_context=self.ssl_context,
            allow_plaintext=self.allow_plaintext,
            deadlines=self.deadlines,
        )


def told(error: BaseException) -> str:
    """All that a person or a log could see of an error, its chain included."""
    lines = traceback.format_exception(error)
    seen: BaseException | None = error
    while seen is not None:
        lines += [repr(seen), str(seen), *(str(argument) for argument in seen.args)]
        lines.append(getattr(seen, "hint", ""))
        seen = seen.__cause__ or seen.__context__
    return "\n".join(lines)


# --- the good ways -------------------------------------------------------------------------------


async def test_a_command_runs_to_its_end() -> None:
    peer = AgentPeer(customer_message="Welcome\x1b[31m!")
    async with running(succeed, peer=peer) as node:
        caller = Caller(node)
        outcome = await caller.run()
    assert caller.stdout == b"first line\nsecond line\n"
    assert outcome == SessionOutcome(
        session_id=SESSION_ID,
        document="AWS-StartNonInteractiveCommand",
        exit_code=0,
        closing_text="",
        complete=True,
        agent_version="3.3.987.0",
        customer_message="Welcome [31m!",
        resumes=0,
        interactive=False,
    )
    assert caller.notices == [
        SessionOpened(SESSION_ID, "AWS-StartNonInteractiveCommand", False),
        HandshakeCompleted(SESSION_ID, "3.3.987.0", "Welcome [31m!"),
    ]
    assert node.terminated == []


async def test_start_session_gets_the_command_as_one_shell_word_list() -> None:
    async with running(succeed) as node:
        await Caller(node).run()
    [(target, document, parameters, reason)] = node.started
    assert target == TARGET
    assert document == "AWS-StartNonInteractiveCommand"
    assert parameters == {"command": [shlex.join(ARGV)], "separateOutputStream": ["true"]}
    assert reason == "HyperPod EKS Issue Report"


async def test_the_open_frame_carries_token_and_a_new_enough_version() -> None:
    async with running(succeed) as node:
        await Caller(node).run()
    [hello] = node.peer.hellos
    assert hello["TokenValue"] == f"{SECRET_TOKEN}-0"
    assert hello["MessageSchemaVersion"] == "1.0"
    assert len(hello["RequestId"]) >= 16
    assert [int(part) for part in hello["ClientVersion"].split(".")] >= [1, 2, 312, 0]


async def test_stderr_stays_apart_and_late_stderr_is_collected() -> None:
    async def script(link: Link) -> None:
        link.start()
        link.emit(b"out")
        link.emit(b"err", PayloadType.STDERR)
        link.exit_code(1)
        link.emit(b" late", PayloadType.STDERR)
        await link.pump(lambda: link.peer.ready)
        await link.finish()

    async with running(script) as node:
        caller = Caller(node)
        outcome = await caller.run()
    assert (bytes(caller.stdout), bytes(caller.stderr)) == (b"out", b"err late")
    assert outcome.exit_code == 1


async def test_missing_document_falls_back_to_a_terminal() -> None:
    async def script(link: Link) -> None:
        await link.hello()
        link.start()
        link.emit(b"prompt\r\n")
        link.exit_code(0)  # no agent sends one on a terminal; it would mean nothing
        await link.pump(lambda: bool(link.peer.taken_input))
        await link.finish("Exiting")

    peer = AgentPeer(handshake=False)
    async with running(script, peer=peer) as node:
        node.start_errors = [DocumentMissingError("no such document")]
        caller = Caller(node)
        outcome = await caller.run()
    assert [call[1] for call in node.started] == [session.NON_INTERACTIVE, session.INTERACTIVE]
    assert node.started[1][2] == {"command": [shlex.join(ARGV)]}
    assert peer.taken_input == [(PayloadType.SIZE, b'{"cols":300,"rows":100}')]
    assert caller.stdout == b"prompt\r\n"
    assert (outcome.interactive, outcome.exit_code, outcome.closing_text) == (True, None, "Exiting")
    assert outcome.complete


async def test_a_terminal_session_with_kms_free_handshake_sends_its_size_after_it() -> None:
    async def script(link: Link) -> None:
        link.start()
        await link.pump(lambda: bool(link.peer.taken_input))
        link.emit(b"x")
        await link.finish()

    peer = AgentPeer(session_type="InteractiveCommands")
    async with running(script, peer=peer) as node:
        node.start_errors = [DocumentMissingError("no such document")]
        await Caller(node).run()
    assert peer.thrown_away == []
    assert len(peer.taken_input) == 1


@pytest.mark.parametrize(
    "error",
    [TargetNotConnectedError("not connected"), ThrottledError("slow"), StartSessionError("no")],
)
async def test_start_errors_pass_through_without_another_try(error: StartSessionError) -> None:
    async with running(succeed) as node:
        node.start_errors = [error]
        with pytest.raises(type(error)):
            await Caller(node).run()
    assert len(node.started) == 1
    assert node.terminated == []


async def test_over_tls() -> None:
    authority = trustme.CA()
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server_side)
    client_side = ssl.create_default_context()
    authority.configure_trust(client_side)
    async with running(succeed, tls=server_side) as node:
        caller = Caller(node, ssl_context=client_side, allow_plaintext=False)
        outcome = await caller.run()
    assert outcome.complete
    assert caller.stdout == b"first line\nsecond line\n"


# --- refusals ------------------------------------------------------------------------------------


async def test_untrusted_certificate_names_the_setting_that_helps() -> None:
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(server_side)
    async with running(succeed, tls=server_side) as node:
        caller = Caller(node, ssl_context=ssl.create_default_context())
        with pytest.raises(DialError, match="AWS_CA_BUNDLE") as caught:
            await caller.run()
    assert_no_secret(told(caught.value))
    assert node.terminated == [SESSION_ID]


async def test_plaintext_is_refused_unless_allowed() -> None:
    async with running(succeed) as node:
        with pytest.raises(DialError, match="unencrypted") as caught:
            await Caller(node, allow_plaintext=False).run()
    assert_no_secret(told(caught.value))
    assert node.connections == 0
    assert node.terminated == [SESSION_ID]


@pytest.mark.parametrize("url", ["", "https://host/x", "wss://", "wss://[bad/x", "no url"])
async def test_an_address_that_is_no_websocket_is_refused(url: str) -> None:
    async with running(succeed) as node:
        node.url = url
        with pytest.raises(DialError) as caught:
            await Caller(node).run()
    if url:
        assert url not in told(caught.value)
    assert node.terminated == [SESSION_ID]


async def test_kms_is_refused_with_an_answer_and_a_reason() -> None:
    async def script(link: Link) -> None:
        action = {"ActionType": "KMSEncryption", "ActionParameters": {"KMSKeyId": "k"}}
        await link.send(handshake_request(extra_actions=(action,)))
        await link.pump()

    async with running(script) as node:
        with pytest.raises(EncryptionRequiredError, match="SSM-SessionManagerRunShell"):
            await Caller(node).run()
    [response] = node.peer.responses
    actions = response["ProcessedClientActions"]
    assert isinstance(actions, list)
    assert [action["ActionStatus"] for action in actions] == [1, 2]
    assert node.terminated == [SESSION_ID]


async def test_closed_early_with_a_text_is_refused() -> None:
    async def script(link: Link) -> None:
        await link.hello()
        await link.send(channel_closed("----ERROR----\n\x1b]0;owned\x07 no " + "x" * 9000))
        await link.websocket.wait_closed()

    async with running(script) as node:
        with pytest.raises(SessionRefusedError, match="----ERROR---- ]0;owned no x") as caught:
            await Caller(node).run()
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 1200
    assert node.terminated == []


async def test_closed_before_the_agent_answered_is_refused_even_without_a_text() -> None:
    async def script(link: Link) -> None:
        await link.hello()
        await link.send(channel_closed(None))
        await link.websocket.wait_closed()

    async with running(script) as node:
        with pytest.raises(SessionRefusedError):
            await Caller(node).run()


async def test_a_handshake_that_cannot_be_read_fails() -> None:
    async def script(link: Link) -> None:
        link.peer.ready = True
        link.emit(b"{", PayloadType.HANDSHAKE_REQUEST)
        await link.pump()

    async with running(script) as node:
        with pytest.raises(HandshakeError):
            await Caller(node).run()
    assert node.terminated == [SESSION_ID]


async def test_a_node_that_never_acknowledges_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hyperpod_eks_issue_report.ssm.retransmission.INITIAL_RTO", 0.0)
    monkeypatch.setattr("hyperpod_eks_issue_report.ssm.retransmission.RESEND_INTERVAL", 0.0)

    async def script(link: Link) -> None:
        await link.send(handshake_request())
        async for _ in link.websocket:
            pass

    async with running(script) as node:
        with pytest.raises(DeliveryError):
            await Caller(node).run()
    assert node.terminated == [SESSION_ID]


async def test_an_undelivered_message_does_not_spoil_a_session_that_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hyperpod_eks_issue_report.ssm.retransmission.INITIAL_RTO", 0.0)
    monkeypatch.setattr("hyperpod_eks_issue_report.ssm.retransmission.RESEND_INTERVAL", 0.0)

    async def script(link: Link) -> None:
        await link.send(handshake_request(), output_frame(1, b"END\n"))
        async for _ in link.websocket:
            pass

    async with running(script) as node:
        outcome = await Caller(node, trailer=b"END\n").run()
    assert not outcome.complete
    assert node.terminated == [SESSION_ID]


# --- deadlines -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "short", "error"),
    [
        pytest.param(stay_mute, "handshake", HandshakeError, id="handshake never begins"),
        pytest.param(handshake_then_mute, "silence", SilentSessionError, id="silence"),
        pytest.param(handshake_then_mute, "total", SessionTimeoutError, id="total"),
    ],
)
async def test_deadlines_end_and_terminate_the_session(
    script: Callable[[Link], asyncio.Future[None]], short: str, error: type[Exception]
) -> None:
    async with running(script) as node:
        caller = Caller(node, deadlines=replace(PATIENT, **{short: SHORT}))
        with pytest.raises(error):
            await caller.run()
    assert node.terminated == [SESSION_ID]


async def test_a_handshake_that_is_never_completed_meets_its_deadline() -> None:
    async def script(link: Link) -> None:
        await link.send(handshake_request())
        async for _ in link.websocket:
            pass

    async with running(script) as node:
        with pytest.raises(HandshakeError):
            await Caller(node, deadlines=replace(PATIENT, handshake=SHORT)).run()
    assert node.terminated == [SESSION_ID]


async def test_dialling_meets_its_deadline() -> None:
    async def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _reader.read()
        writer.close()

    async with running(succeed) as node:
        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            node.url = f"ws://127.0.0.1:{port}/?{SECRET_QUERY}"
            with pytest.raises(DialError, match="no answer within") as caught:
                await Caller(node, deadlines=replace(PATIENT, dial=SHORT)).run()
    assert_no_secret(told(caught.value))
    assert node.terminated == [SESSION_ID]


async def test_nobody_listening_is_a_dial_error() -> None:
    async with running(succeed) as node:
        unused = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
        port = unused.sockets[0].getsockname()[1]
        unused.close()
        await unused.wait_closed()
        node.url = f"ws://127.0.0.1:{port}/{SECRET_QUERY}"
        with pytest.raises(DialError, match="could not be opened") as caught:
            await Caller(node).run()
    assert_no_secret(told(caught.value))


async def test_http_refusal_and_redirect_are_dial_errors_by_status() -> None:
    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 302 Found\r\nLocation: ws://elsewhere.invalid/\r\n"
            b"Content-Length: 0\r\nConnection: close\r\n\r\n"
        )
        await writer.drain()
        writer.close()

    async with running(succeed) as node:
        server = await asyncio.start_server(redirect, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            node.url = f"ws://127.0.0.1:{port}/{SECRET_QUERY}"
            with pytest.raises(DialError, match="HTTP status 302") as caught:
                await Caller(node).run()
    assert_no_secret(told(caught.value))


async def test_terminate_is_bounded() -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    async with running(stay_mute) as node:
        node.before_terminate = never
        deadlines = replace(PATIENT, handshake=SHORT, terminate=SHORT)
        with pytest.raises(HandshakeError):
            await Caller(node, deadlines=deadlines).run()
    assert node.terminated == []


async def test_a_failing_terminate_does_not_hide_the_error() -> None:
    async def fail() -> None:
        raise ServiceError("down")

    async with running(stay_mute) as node:
        node.before_terminate = fail
        with pytest.raises(HandshakeError):
            await Caller(node, deadlines=replace(PATIENT, handshake=SHORT)).run()


# --- connection loss -----------------------------------------------------------------------------


async def drop_in_the_middle(link: Link) -> None:
    link.start()
    await link.pump(lambda: link.peer.ready)
    link.emit(b"one ")
    await link.pump(lambda: link.peer.idle)
    link.drop()
    link.emit(b"two ")
    link.emit(b"END\n")
    link.exit_code(0)


async def test_a_dropped_connection_is_resumed_without_loss() -> None:
    async with running(drop_in_the_middle, carry_on) as node:
        caller = Caller(node, trailer=b"END\n")
        outcome = await caller.run()
    assert caller.stdout == b"one two END\n"
    assert (outcome.exit_code, outcome.complete, outcome.resumes) == (0, True, 1)
    assert node.resumed == [SESSION_ID]
    tokens = [hello["TokenValue"] for hello in node.peer.hellos]
    assert tokens == [f"{SECRET_TOKEN}-0", f"{SECRET_TOKEN}-1"]
    assert len({hello["ClientId"] for hello in node.peer.hellos}) == 1
    assert SessionResumed(SESSION_ID, 1) in caller.notices
    assert node.terminated == []


async def test_drop_during_the_handshake_resends_the_response() -> None:
    async def drop_after_request(link: Link) -> None:
        link.start()
        await link.hello()
        for frame in link.peer.take_outgoing():
            await link.websocket.send(frame)
        await link.websocket.recv()  # the acknowledgement
        await link.websocket.recv()  # the response, which is lost with the connection
        link.drop()

    async def rest(link: Link) -> None:
        link.emit(b"after all\n")
        await link.pump(lambda: link.peer.ready)
        await link.finish()

    async with running(drop_after_request, rest) as node:
        caller = Caller(node)
        outcome = await caller.run()
    assert caller.stdout == b"after all\n"
    assert len(node.peer.responses) == 1
    assert outcome.complete


async def test_resume_is_tried_again_and_keeps_the_old_address() -> None:
    async with running(drop_in_the_middle, carry_on) as node:
        node.resume_answers = [
            ServiceError("later"),
            ThrottledError("slower"),
            SessionTicket(SESSION_ID, f"{SECRET_TOKEN}-new", "wss://127.0.0.1:1/refused"),
            SessionTicket(SESSION_ID, f"{SECRET_TOKEN}-newer", ""),
        ]
        outcome = await Caller(node).run()
    assert len(node.resumed) == 4
    assert outcome.complete
    assert node.peer.hellos[-1]["TokenValue"] == f"{SECRET_TOKEN}-newer"


async def test_a_session_that_has_ended_meanwhile_is_lost() -> None:
    async with running(drop_in_the_middle) as node:
        node.resume_answers = [None]
        with pytest.raises(SessionLostError, match="had ended"):
            await Caller(node).run()
    assert node.resumed == [SESSION_ID]


async def test_resuming_meets_its_deadline_and_tells_the_last_problem() -> None:
    async with running(drop_in_the_middle) as node:

        async def down() -> None:
            raise ServiceError("the region is away")

        node.before_resume = down
        with pytest.raises(SessionLostError, match="the region is away"):
            await Caller(node, deadlines=replace(PATIENT, resume=SHORT)).run()
    assert node.terminated == [SESSION_ID]


async def test_total_time_also_ends_the_resuming() -> None:
    async def down() -> None:
        await asyncio.Event().wait()

    async with running(drop_in_the_middle) as node:
        node.before_resume = down
        with pytest.raises(SessionTimeoutError):
            await Caller(node, deadlines=replace(PATIENT, total=0.3)).run()
    assert node.terminated == [SESSION_ID]


async def test_a_refused_resume_is_told_as_it_is() -> None:
    async with running(drop_in_the_middle) as node:
        node.resume_answers = [AccessDeniedError("ssm:ResumeSession is not allowed")]
        with pytest.raises(AccessDeniedError):
            await Caller(node).run()
    assert node.terminated == [SESSION_ID]


async def test_connections_that_drop_at_once_are_one_outage() -> None:
    async def drop_at_once(link: Link) -> None:
        link.drop()

    async with running(drop_at_once) as node:
        with pytest.raises(SessionLostError):
            await Caller(node, deadlines=replace(PATIENT, resume=0.2)).run()
    assert node.terminated == [SESSION_ID]


async def test_drop_after_the_trailer_is_a_success_without_resume() -> None:
    async def script(link: Link) -> None:
        link.start()
        link.emit(b"END\n")
        link.exit_code(0)
        await link.pump(lambda: link.peer.ready and link.peer.idle)
        link.drop()

    async with running(script) as node:
        outcome = await Caller(node, trailer=b"END\n").run()
    assert (outcome.exit_code, outcome.complete, outcome.resumes) == (0, False, 0)
    assert node.resumed == []
    assert node.terminated == [SESSION_ID]


async def test_after_the_trailer_the_service_gets_only_the_linger() -> None:
    async def script(link: Link) -> None:
        link.start()
        link.emit(b"END\n")
        await link.pump()

    async with running(script) as node:
        caller = Caller(node, trailer=b"END\n", deadlines=replace(PATIENT, linger=SHORT))
        outcome = await caller.run()
    assert caller.stdout == b"END\n"
    assert (outcome.exit_code, outcome.complete) == (None, False)
    assert node.terminated == [SESSION_ID]


async def test_channel_closed_right_before_a_drop_is_still_read() -> None:
    async def script(link: Link) -> None:
        link.start()
        link.emit(b"out")
        await link.pump(lambda: link.peer.ready)
        frames = [service_frame("start_publication", b"%d" % n) for n in range(20)]
        await link.send(*link.peer.take_outgoing(), *frames, channel_closed("bye"))
        await link.websocket.close()

    async with running(script) as node:
        outcome = await Caller(node).run()
    assert (outcome.closing_text, outcome.resumes, node.resumed) == ("bye", 0, [])


class DeafWebsocket:
    """A connection whose other side is gone, with frames that had arrived before that."""

    def __init__(self, *frames: bytes) -> None:
        self.frames = list(frames)
        self.transport = self

    async def send(self, _frame: str | bytes) -> None:
        raise ConnectionClosedError(None, None)

    async def recv(self) -> bytes:
        if not self.frames:
            raise ConnectionClosedError(None, None)
        return self.frames.pop(0)

    async def close(self) -> None:
        return

    async def wait_closed(self) -> None:
        return

    def abort(self) -> None:
        return


async def test_what_had_arrived_before_a_drop_is_read_although_nothing_can_be_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def dial(_url: str, **_options: object) -> DeafWebsocket:
        return DeafWebsocket(output_frame(0, b"last words"), channel_closed("bye"))

    monkeypatch.setattr(connection, "dial", dial)
    node = Node(url="ws://unused")
    caller = Caller(node)
    outcome = await caller.run()
    assert caller.stdout == b"last words"
    assert (outcome.closing_text, outcome.resumes) == ("bye", 0)


async def test_only_a_connection_that_brought_something_starts_a_new_outage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attempts: list[int] = []

    def delay(attempt: int) -> float:
        attempts.append(attempt)
        return 0.0

    async def drop_at_once(link: Link) -> None:
        link.drop()

    monkeypatch.setattr(comeback, "reconnect_delay", delay)
    async with running(
        drop_in_the_middle, drop_at_once, drop_at_once, drop_in_the_end, carry_on
    ) as node:
        outcome = await Caller(node).run()
    assert attempts == [0, 1, 2, 0]
    assert (outcome.resumes, outcome.complete) == (4, True)


async def drop_in_the_end(link: Link) -> None:
    await link.pump(lambda: link.peer.idle)
    link.drop()


def test_reconnect_delays_grow_to_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the room's fixture replaces the function
    delays = [comeback.reconnect_delay(attempt) for attempt in range(20)]
    assert 0.1 <= delays[0] <= 0.199
    assert all(0.1 * 2**n <= delay <= 0.2 * 2**n for n, delay in enumerate(delays[:5]))
    assert delays[-1] == 5.0


# --- cancellation --------------------------------------------------------------------------------


async def cancel_when(reached: asyncio.Event, caller: Caller, times: int = 1) -> None:
    task = asyncio.create_task(caller.run())
    async with asyncio.timeout(10):
        await reached.wait()
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)  # lets the cancellation arrive
        with pytest.raises(asyncio.CancelledError):
            await task


def gate() -> tuple[asyncio.Event, Callable[[], asyncio.Future[None]]]:
    """An event for "somebody is in here", and a door that never opens."""
    reached = asyncio.Event()

    async def door() -> None:
        reached.set()
        await asyncio.Event().wait()

    return reached, door  # type: ignore[return-value]


async def test_cancel_while_starting_ends_the_session_that_comes_about_all_the_same() -> None:
    reached, opened = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        reached.set()
        await opened.wait()

    async with running(succeed) as node:
        node.before_start = slow
        task = asyncio.create_task(Caller(node).run())
        await reached.wait()
        task.cancel()
        await asyncio.sleep(0)
        opened.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert node.terminated == [SESSION_ID]
    assert node.connections == 0


async def test_cancel_while_starting_does_not_wait_for_ever() -> None:
    reached, door = gate()
    async with running(succeed) as node:
        node.before_start = door
        await cancel_when(reached, Caller(node, deadlines=replace(PATIENT, terminate=SHORT)))
    assert node.terminated == []


async def test_cancel_while_dialling() -> None:
    reached = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    async with running(succeed) as node:
        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        async with server:
            node.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            await cancel_when(reached, Caller(node))
    assert node.terminated == [SESSION_ID]


async def test_cancel_before_the_handshake() -> None:
    reached = asyncio.Event()

    async def script(link: Link) -> None:
        await link.hello()
        reached.set()
        await link.pump()

    async with running(script) as node:
        await cancel_when(reached, Caller(node))
    assert node.terminated == [SESSION_ID]


@pytest.mark.parametrize("times", [1, 3])
async def test_cancel_during_output(times: int) -> None:
    async def script(link: Link) -> None:
        link.start()
        link.emit(b"x")
        await link.pump()

    async with running(script) as node:
        caller = Caller(node)
        await cancel_when(caller.got_output, caller, times)
    assert node.terminated == [SESSION_ID]


async def test_cancel_while_hanging_up_leaves_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    reached = asyncio.Event()

    async def close(_self: ClientConnection) -> None:
        reached.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(ClientConnection, "close", close)
    async with running(succeed) as node:
        await cancel_when(reached, Caller(node))
    assert node.terminated == []  # the service had closed the session


async def test_cancel_while_resuming() -> None:
    reached, door = gate()
    async with running(drop_in_the_middle) as node:
        node.before_resume = door
        await cancel_when(reached, Caller(node))
    assert node.terminated == [SESSION_ID]


async def test_cancel_between_two_reconnect_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    reached = asyncio.Event()

    def delay(_attempt: int) -> float:
        reached.set()
        return 1000.0

    monkeypatch.setattr(comeback, "reconnect_delay", delay)
    async with running(drop_in_the_middle) as node:
        await cancel_when(reached, Caller(node))
    assert node.terminated == [SESSION_ID]


async def test_cancel_while_terminating_lets_it_finish() -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        reached.set()
        await go_on.wait()

    async with running(stay_mute) as node:
        node.before_terminate = slow
        task = asyncio.create_task(Caller(node, deadlines=replace(PATIENT, handshake=SHORT)).run())
        await reached.wait()
        for _ in range(3):
            task.cancel()
            for _ in range(5):
                await asyncio.sleep(0)  # lets the cancellation arrive
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert node.terminated == [SESSION_ID]


async def test_an_error_of_the_caller_ends_the_session() -> None:
    async with running(succeed) as node:
        caller = Caller(node)

        def broken(_stream: Stream, _data: bytes) -> None:
            raise LookupError("mine")

        with pytest.raises(LookupError):
            await run_command(
                node, TARGET, ARGV, on_output=broken, allow_plaintext=True, deadlines=PATIENT
            )
        assert caller.stdout == b""
    assert node.terminated == [SESSION_ID]


# --- secrets -------------------------------------------------------------------------------------


def assert_no_secret(text: str) -> None:
    assert SECRET_TOKEN not in text
    assert SECRET_QUERY not in text


async def test_no_log_line_holds_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    for name in ("", "websockets", "websockets.client"):
        caplog.set_level(logging.DEBUG, logger=name)
    async with running(drop_in_the_middle, carry_on) as node:
        caller = Caller(node)
        await caller.run()
        node.resume_answers = [None]
    # The test's own server logs its frames through the library's server logger.
    lines = [r.getMessage() for r in caplog.records if r.name != "websockets.server"]
    assert_no_secret("\n".join(lines) + repr(caller.notices))


async def test_lost_sessions_tell_no_secret() -> None:
    async with running(drop_in_the_middle) as node:
        dead = SessionTicket(SESSION_ID, SECRET_TOKEN, f"ws://127.0.0.1:1/{SECRET_QUERY}")
        node.resume_answers = [dead] * 100_000
        with pytest.raises(SessionLostError) as caught:
            await Caller(node, deadlines=replace(PATIENT, resume=SHORT)).run()
    assert_no_secret(told(caught.value))


def test_a_ticket_hides_its_secrets() -> None:
    assert_no_secret(repr(SessionTicket(SESSION_ID, SECRET_TOKEN, SECRET_QUERY)))
