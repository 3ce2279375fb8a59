"""The client's answer to the agent's HandshakeRequest.

One status per requested action, in the order of the request (session-manager-plugin
`src/datachannel/streaming.go`). Unlike that plugin, an unknown action is answered with status 3 in
the field where the agent looks for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from hyperpod_eks_issue_report.errors import EncryptionRequiredError, HandshakeError

from .messages import (
    ActionStatus,
    HandshakeRequest,
    HandshakeResponse,
    ProcessedClientAction,
    RequestedClientAction,
)
from .text import plain_text

#: What we say we are. From 1.2.312.0 on, agents send no request to upgrade the plugin.
CLIENT_VERSION = "1.2.764.0"

SESSION_TYPES = frozenset(
    {"Standard_Stream", "InteractiveCommands", "NonInteractiveCommands", "Port"}
)

_REQUEST = msgspec.json.Decoder(HandshakeRequest)
_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Answer:
    """The response's payload, who asked, and whether the agent insists on encryption."""

    payload: bytes
    agent_version: str
    encryption_required: bool


def answer(payload: bytes) -> Answer:
    """Answer a HandshakeRequest.

    Raises:
        HandshakeError: the request cannot be read.
    """
    try:
        request = _REQUEST.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        request = None
    if request is None:
        raise HandshakeError(
            "The node's SSM agent opened the session with a handshake that cannot be read.",
            hint="Update the SSM agent on the node, then run again for this node.",
        )
    actions = [_process(action) for action in request.RequestedClientActions]
    response = HandshakeResponse(CLIENT_VERSION, actions)
    return Answer(
        payload=_ENCODER.encode(response),
        agent_version=plain_text(request.AgentVersion, 100),
        encryption_required=any(
            action.ActionType == "KMSEncryption" for action in request.RequestedClientActions
        ),
    )


def encryption_required() -> EncryptionRequiredError:
    """The error for a session that the account wants to be encrypted."""
    return EncryptionRequiredError(
        "The session was ended because this account's Session Manager preferences ask for KMS "
        "encryption (kmsKeyId in the document SSM-SessionManagerRunShell), which this client "
        "does not support."
    )


def _process(action: RequestedClientAction) -> ProcessedClientAction:
    if action.ActionType == "SessionType":
        return _process_session_type(action)
    if action.ActionType == "KMSEncryption":
        return ProcessedClientAction(
            "KMSEncryption",
            ActionStatus.FAILED,
            Error="This client does not support KMS encryption of sessions",
        )
    name = plain_text(action.ActionType, 100)
    return ProcessedClientAction(
        action.ActionType, ActionStatus.UNSUPPORTED, Error=f"Unsupported action {name}"
    )


def _process_session_type(action: RequestedClientAction) -> ProcessedClientAction:
    parameters = action.ActionParameters
    wanted = parameters.get("SessionType") if isinstance(parameters, dict) else None
    if isinstance(wanted, str) and wanted in SESSION_TYPES:
        return ProcessedClientAction("SessionType", ActionStatus.SUCCESS)
    name = plain_text(str(wanted), 100)
    return ProcessedClientAction(
        "SessionType", ActionStatus.FAILED, Error=f"Unknown session type {name}"
    )
