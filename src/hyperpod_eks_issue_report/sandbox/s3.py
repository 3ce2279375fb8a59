"""S3 as a child process: moto's server behind the rules of `s3_rules`.

`python -m hyperpod_eks_issue_report.sandbox.s3` prints its port and serves until stdin closes.
moto does not check signatures; nothing here proves anything about signing.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec
from moto.moto_server.werkzeug_app import create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from . import s3_rules
from .s3_rules import Refusal, Request, Rules
from .scenario import S3Fault

Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[..., Any]

_CONTROL = "/_sandbox/"


class Middleware:
    """Decides before moto sees a request; also answers the control path."""

    def __init__(self, app: Callable[[Environ, StartResponse], Iterable[bytes]]) -> None:
        self._app = app
        self._rules = Rules()
        self._used: dict[int, int] = {}
        self._log: list[dict[str, str]] = []
        self._lock = threading.Lock()

    def __call__(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith(_CONTROL):
            return self._control(environ, path, start)
        # PATH_INFO is Latin-1 by the letter of WSGI; keys are UTF-8.
        request = s3_rules.parse(
            environ["REQUEST_METHOD"],
            path.encode("latin-1").decode("utf-8", "replace"),
            environ.get("QUERY_STRING", ""),
            environ.get("HTTP_AUTHORIZATION", ""),
        )
        with self._lock:
            refused = s3_rules.refusal(self._rules, request, datetime.now(UTC))
            trouble = None
            if refused is None:
                trouble = s3_rules.fault(self._rules, request, self._used)
        return self._serve(environ, start, request, refused, trouble)

    def _serve(
        self,
        environ: Environ,
        start: StartResponse,
        request: Request,
        refused: Refusal | None,
        trouble: S3Fault | None,
    ) -> Iterable[bytes]:
        body = _read_body(environ, trouble)
        if body is None:
            self._note(request, "dropped")
            return _hang_up(environ)
        if refused is None and trouble is not None and trouble.kind == "error":
            text = "We encountered an internal error. Please try again."
            refused = Refusal(500, "InternalError", text)
        if refused is None:
            refused = _digest_problem(environ, body)
        if refused is not None:
            self._note(request, str(refused.status))
            return _refuse(refused, request.method, start)
        environ["wsgi.input"] = io.BytesIO(body)
        if "HTTP_TRANSFER_ENCODING" in environ:
            del environ["HTTP_TRANSFER_ENCODING"]
            environ["CONTENT_LENGTH"] = str(len(body))

        def noted(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            self._note(request, status.partition(" ")[0])
            return start(status, headers, *rest)

        answer = self._app(environ, noted)
        if trouble is not None and request.method == "GET":
            return _spoil(answer, trouble, environ)
        return answer

    def _note(self, request: Request, status: str) -> None:
        with self._lock:
            self._log.append(
                {
                    "action": request.action,
                    "method": request.method,
                    "bucket": request.bucket,
                    "key": request.key,
                    "access_key": request.access_key,
                    "via": "presigned" if request.presigned else "signed",
                    "status": status,
                }
            )

    def _control(self, environ: Environ, path: str, start: StartResponse) -> Iterable[bytes]:
        if path == f"{_CONTROL}rules":
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            with self._lock:
                self._rules = msgspec.json.decode(body, type=Rules)
                self._used.clear()
            answer = b"{}"
        else:
            with self._lock:
                answer = json.dumps(self._log).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))]
        start("200 OK", headers)
        return [answer]


def _read_body(environ: Environ, trouble: S3Fault | None) -> bytes | None:
    """The whole body; None when the fault is to break an upload off."""
    stream = environ["wsgi.input"]
    length = environ.get("CONTENT_LENGTH")
    if not length and "HTTP_TRANSFER_ENCODING" not in environ:
        return b""
    wanted = int(length) if length else None
    if trouble is None or environ["REQUEST_METHOD"] == "GET":
        return bytes(stream.read() if wanted is None else stream.read(wanted))
    if trouble.kind == "drop":
        stream.read(min(trouble.after_bytes, wanted or trouble.after_bytes))
        return None
    if trouble.kind == "slow":
        return _read_slowly(stream, wanted or 0, trouble.bytes_per_second)
    return bytes(stream.read() if wanted is None else stream.read(wanted))


def _read_slowly(stream: io.BufferedIOBase, wanted: int, rate: int) -> bytes:
    parts = []
    while wanted > 0:
        part = stream.read(min(wanted, max(1, rate // 20)))
        if not part:
            break
        parts.append(part)
        wanted -= len(part)
        time.sleep(0.05)
    return b"".join(parts)


def _spoil(answer: Iterable[bytes], trouble: S3Fault, environ: Environ) -> Iterator[bytes]:
    """A download that is slow, or breaks off."""
    sent = 0
    step = max(1, trouble.bytes_per_second // 20)
    for part in answer:
        for at in range(0, len(part), step):
            piece = part[at : at + step]
            if trouble.kind == "drop" and sent + len(piece) > trouble.after_bytes:
                yield piece[: max(0, trouble.after_bytes - sent)]
                _hang_up(environ)
                return
            yield piece
            sent += len(piece)
            if trouble.kind == "slow":
                time.sleep(0.05)


def _hang_up(environ: Environ) -> Iterable[bytes]:
    connection: socket.socket = environ["werkzeug.socket"]
    connection.shutdown(socket.SHUT_RDWR)
    return []


def _digest_problem(environ: Environ, body: bytes) -> Refusal | None:
    claimed = environ.get("HTTP_CONTENT_MD5")
    if claimed is None:
        return None
    actual = hashlib.md5(body, usedforsecurity=False).digest()
    try:
        if base64.b64decode(claimed, validate=True) == actual:
            return None
    except ValueError:
        return Refusal(400, "InvalidDigest", "The Content-MD5 you specified is not valid.")
    text = "The Content-MD5 you specified did not match what we received."
    return Refusal(400, "BadDigest", text)


def _refuse(refused: Refusal, method: str, start: StartResponse) -> Iterable[bytes]:
    """S3's error document; a HEAD answer has no body, so clients only see the status."""
    body = b"" if method == "HEAD" else refused.xml()
    headers = [
        ("Content-Type", "application/xml"),
        ("x-amz-request-id", "4442587FB7D0A2F9"),
        *refused.headers,
    ]
    if method != "HEAD":
        headers.append(("Content-Length", str(len(body))))
    start(f"{refused.status} {refused.code}", headers)
    return [body] if body else []


class _Handler(WSGIRequestHandler):
    """HTTP/1.1, so that connections are kept."""

    protocol_version = "HTTP/1.1"

    def log_request(self, *_args: object, **_kwargs: object) -> None:
        pass


def main() -> None:
    """Serve on a free port of 127.0.0.1 until stdin closes."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    middleware = Middleware(create_backend_app("s3"))
    server = make_server("127.0.0.1", 0, middleware, threaded=True, request_handler=_Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
