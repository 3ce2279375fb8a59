"""The HTTP doors: AWS JSON calls at `/`, the data channel, and the control door `/_sandbox/`."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import WSCloseCode, web

from hyperpod_eks_issue_report.ssm.messages import OpenDataChannelInput

from .aws_json import ApiError, check_answer, check_request, encode_answer
from .sagemaker import SageMaker
from .scenario import ApiFault, ScenarioError
from .service import Hub
from .ssm import Ssm

_SERVICES = {"SageMaker": "sagemaker", "AmazonSSM": "ssm"}
_CREDENTIAL = re.compile(r"Credential=([^/,]+)/")
ACCESS_KEY = "AKIASANDBOXOPERATOR0"
SECRET_KEY = "sandbox-secret-key-that-signs-nothing"  # noqa: S105 - a dummy, printed on purpose


class Api:
    """Builds the aiohttp application over a hub."""

    def __init__(self, hub: Hub, update: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        self._hub = hub
        self._update = update
        self.ssm = Ssm(hub)
        self._operations = {
            "sagemaker": SageMaker(hub.world).operations,
            "ssm": self.ssm.operations,
        }
        self._used: Counter[int] = Counter()

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_post("/", self._call)
        app.router.add_get("/v1/data-channel/{session_id}", self._data_channel)
        app.router.add_get("/_sandbox/state", self._state)
        app.router.add_patch("/_sandbox/scenario", self._change)
        app.router.add_post("/_sandbox/disconnect", self._disconnect)
        return app

    # --- AWS JSON ---------------------------------------------------------------------------

    async def _call(self, request: web.Request) -> web.Response:
        prefix, _, operation = request.headers.get("X-Amz-Target", "").partition(".")
        service = _SERVICES.get(prefix, "")
        action = f"{service}:{operation}"
        principal = _access_key(request)
        error: ApiError | None = None
        answer: dict[str, Any] = {}
        try:
            body = msgspec.json.decode(await request.read() or b"{}", type=dict[str, Any])
            answer = await self._answer(service, operation, principal, body)
        except ApiError as raised:
            error = raised
        except msgspec.DecodeError as raised:
            error = ApiError("SerializationException", str(raised))
        except ValueError as raised:
            self._hub.mistake(str(raised))
            error = ApiError("InternalServerError", str(raised), status=500)
        self._hub.record(action, principal, error.code if error else None)
        if error is not None:
            answer = {"__type": error.code, "message": error.message}
        return web.Response(
            status=error.status if error else 200,
            body=encode_answer(answer),
            content_type="application/x-amz-json-1.1",
            headers={"x-amzn-RequestId": str(uuid.uuid4())},
        )

    async def _answer(
        self, service: str, operation: str, principal: str, body: dict[str, Any]
    ) -> dict[str, Any]:
        handler = self._operations.get(service, {}).get(operation)
        if handler is None:
            raise ApiError("UnknownOperationException", f"{service}:{operation} is not simulated")
        if principal != ACCESS_KEY:
            code = "UnrecognizedClientException"
            raise ApiError(code, "The security token included in the request is invalid.")
        await self._faults(f"{service}:{operation}", body)
        check_request(service, operation, body)
        answer = handler(body)
        check_answer(service, operation, answer)
        return answer

    async def _faults(self, action: str, body: dict[str, Any]) -> None:
        for fault in self._hub.scenario.api_faults:
            if not _matches(fault.action, action):
                continue
            if fault.times and self._used[id(fault)] >= fault.times:
                continue
            self._used[id(fault)] += 1
            if fault.delay:
                await asyncio.sleep(fault.delay)
            if fault.error is not None:
                raise self._fault_error(fault, action, body)

    def _fault_error(self, fault: ApiFault, action: str, body: dict[str, Any]) -> ApiError:
        cluster = self._hub.scenario.cluster
        match fault.error:
            case "AccessDenied":
                head = f"arn:aws:{action.partition(':')[0]}:{cluster.region}:{cluster.account}"
                resource = f"{head}:cluster/{self._hub.world.cluster_id}"
                if action.startswith("ssm:"):
                    kind = "managed-instance" if "Target" in body else "session"
                    name = body.get("Target", body.get("SessionId", "*"))
                    resource = f"{head}:{kind}/{name}"
                return ApiError(
                    "AccessDeniedException",
                    f"User: arn:aws:iam::{cluster.account}:user/sandbox is not authorized to "
                    f"perform: {action} on resource: {resource} because no identity-based policy "
                    f"allows the {action} action",
                )
            case "ExpiredToken":
                text = "The security token included in the request is expired"
                return ApiError("ExpiredTokenException", text)
            case "Throttling":
                return ApiError("ThrottlingException", "Rate exceeded")
            case "InternalServerError":
                return ApiError("InternalServerError", "Internal server error", status=500)
            case _:
                return ApiError("ServiceUnavailable", "Service Unavailable", status=503)

    # --- the data channel -------------------------------------------------------------------

    async def _data_channel(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=False, max_msg_size=1024 * 1024)
        await socket.prepare(request)
        first = await socket.receive()
        session = None
        if first.type.name == "TEXT":
            try:
                opening = msgspec.json.decode(first.data, type=OpenDataChannelInput)
                session = self.ssm.redeem(request.match_info["session_id"], opening.TokenValue)
            except msgspec.DecodeError:
                session = None
        if session is None:
            await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"token is not valid")
            return socket
        transport = request.transport
        await session.serve(socket, transport.abort if transport is not None else None)
        return socket

    # --- the control door -------------------------------------------------------------------

    async def _state(self, _request: web.Request) -> web.Response:
        hub = self._hub
        state = {
            "cluster": hub.scenario.cluster.name,
            "nodes": [
                {"index": node.identity.index, "target": node.target} for node in hub.world.nodes
            ],
            "sessions": [
                {"id": session.session_id, "status": session.status, "target": session.node.target}
                for session in hub.sessions.values()
            ],
            "most_open": hub.most_open,
            "mistakes": hub.mistakes,
            "scenario": msgspec.to_builtins(hub.scenario),
        }
        return web.Response(body=msgspec.json.encode(state), content_type="application/json")

    async def _change(self, request: web.Request) -> web.Response:
        try:
            patch = msgspec.json.decode(await request.read(), type=dict[str, Any])
            await self._update(patch)
        except (ScenarioError, msgspec.DecodeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({"changed": sorted(patch)})

    async def _disconnect(self, request: web.Request) -> web.Response:
        wanted = request.query.get("session")
        cut = [
            session
            for session in self._hub.sessions.values()
            if wanted in (None, session.session_id) and session.status == "Connected"
        ]
        for session in cut:
            session.disconnect()
        return web.json_response({"disconnected": len(cut)})


def _access_key(request: web.Request) -> str:
    found = _CREDENTIAL.search(request.headers.get("Authorization", ""))
    return found.group(1) if found else ""


def _matches(pattern: str, action: str) -> bool:
    return action == pattern or (pattern.endswith("*") and action.startswith(pattern[:-1]))
