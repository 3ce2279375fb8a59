"""The Session Manager calls of SSM."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from . import documents
from .aws_json import ApiError
from .service import Hub
from .session import Session

Body: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class TokenBucket:
    """At most `rate` calls a second with a burst of the same size; 0 means no limit."""

    tokens: float = 0
    last: float = 0

    def take(self, rate: float, now: float) -> bool:
        """Whether one more call is allowed."""
        if rate <= 0:
            return True
        burst = max(1.0, rate)
        if not self.last:
            self.tokens = burst
        else:
            self.tokens = min(burst, self.tokens + (now - self.last) * rate)
        self.last = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Ssm:
    """`operations` maps a name to its handler; tokens are opened by the websocket door."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._bucket = TokenBucket()
        self._tokens: dict[str, tuple[str, float]] = {}
        self.stream_base = ""
        self.operations: dict[str, Callable[[Body], Body]] = {
            "StartSession": self._start,
            "ResumeSession": self._resume,
            "TerminateSession": self._terminate,
            "GetConnectionStatus": self._connection_status,
            "DescribeSessions": self._describe,
        }

    def redeem(self, session_id: str, token: str) -> Session | None:
        """Trade a token for its session: once, for this session, before it expires."""
        known_id, expires = self._tokens.pop(token, ("", 0.0))
        session = self._hub.sessions.get(known_id)
        if known_id != session_id or time.time() > expires or session is None or session.over:
            return None
        return session

    def _start(self, body: Body) -> Body:
        settings = self._hub.scenario.ssm
        if not self._bucket.take(settings.start_session_rate, time.monotonic()):
            raise ApiError("ThrottlingException", "Rate exceeded")
        name = body.get("DocumentName", documents.DEFAULT)
        document = documents.find(name, settings.missing_documents)
        command, separate = documents.arguments(document, body.get("Parameters", {}))
        node = self._hub.world.by_target.get(body["Target"])
        if node is None or not node.settings.connected or not node.settings.has_instance_id:
            raise ApiError("TargetNotConnected", f"{body['Target']} is not connected.")
        account = self._hub.scenario.cluster.account
        session = Session(
            session_id=f"sandbox-{secrets.token_hex(9)[:17]}",
            node=node,
            root=self._hub.root_of(node),
            document=document,
            command=command,
            separate=separate,
            reason=body.get("Reason", ""),
            owner=f"arn:aws:iam::{account}:user/sandbox",
            hub=self._hub,
        )
        session.document_name = name
        self._hub.sessions[session.session_id] = session
        self._hub.changed()
        return self._connection(session)

    def _connection(self, session: Session) -> Body:
        token = secrets.token_urlsafe(48)
        expires = time.time() + self._hub.scenario.ssm.token_seconds
        self._tokens[token] = (session.session_id, expires)
        url = f"{self.stream_base}/v1/data-channel/{session.session_id}?role=publish_subscribe"
        return {"SessionId": session.session_id, "TokenValue": token, "StreamUrl": url}

    def _find(self, body: Body) -> Session:
        session = self._hub.sessions.get(body["SessionId"])
        if session is None:
            raise ApiError("DoesNotExistException", f"Session {body['SessionId']} does not exist.")
        return session

    def _resume(self, body: Body) -> Body:
        session = self._find(body)
        if session.over or self._hub.scenario.ssm.resume_token_empty:
            return {"SessionId": session.session_id, "TokenValue": "", "StreamUrl": ""}
        return self._connection(session)

    def _terminate(self, body: Body) -> Body:
        session = self._hub.sessions.get(body["SessionId"])
        if session is not None:
            session.terminate()
        return {"SessionId": body["SessionId"]}

    def _connection_status(self, body: Body) -> Body:
        node = self._hub.world.by_target.get(body["Target"])
        connected = node is not None and node.settings.connected
        return {"Target": body["Target"], "Status": "connected" if connected else "notconnected"}

    def _describe(self, body: Body) -> Body:
        active = body["State"] == "Active"
        filters = {item["key"]: item["value"] for item in body.get("Filters", [])}
        chosen = [
            description
            for session in self._hub.sessions.values()
            if session.over != active and _fits(description := _description(session), filters)
        ]
        start = int(body.get("NextToken") or 0)
        end = start + body.get("MaxResults", 200)
        more = {"NextToken": str(end)} if end < len(chosen) else {}
        return {"Sessions": chosen[start:end]} | more


def _description(session: Session) -> Body:
    described = {
        "SessionId": session.session_id,
        "Target": session.node.target,
        "Status": session.status,
        "StartDate": datetime.fromtimestamp(session.started, tz=UTC),
        "DocumentName": session.document_name,
        "Owner": session.owner,
    }
    if session.reason:
        described["Reason"] = session.reason
    if session.ended is not None:
        described["EndDate"] = datetime.fromtimestamp(session.ended, tz=UTC)
    return described


def _fits(description: Body, filters: dict[str, str]) -> bool:
    names = ("Target", "Owner", "Status", "SessionId")
    return all(description.get(key) == value for key, value in filters.items() if key in names)
