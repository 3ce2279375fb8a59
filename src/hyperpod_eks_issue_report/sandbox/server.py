"""`Sandbox`: starts all parts, hands out the environment, stops without a trace."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme
from aiohttp import web

from hyperpod_eks_issue_report.errors import UsageError

from .api import ACCESS_KEY, SECRET_KEY, Api
from .leftovers import kill_leftovers
from .node_root import isolation
from .s3_process import S3Process
from .s3_rules import Rules
from .scenario import Scenario, merge_scenario
from .service import ApiCall, Hub
from .session import Session
from .world import Node, World


class Sandbox:
    """A simulated cluster; a context manager.

    The event loop runs in a thread of its own and S3 in a child process, so a test may call boto3
    from its own thread or loop.
    """

    def __init__(
        self, scenario: Scenario | None = None, *, tls: bool = False, port: int = 0
    ) -> None:
        if not sys.platform.startswith("linux"):
            raise UsageError("The sandbox runs on Linux only: its nodes are Linux processes.")
        self._tls = tls
        self._port = port
        self._directory = Path(tempfile.mkdtemp(prefix="hyperpod-sandbox-"))
        self._hub = Hub(World.build(scenario or Scenario()), self._directory)
        self._api = Api(self._hub, self._apply)
        self._s3: S3Process | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None

    # --- life -------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._s3 = S3Process()
            self._s3.wait_until_ready()
            self._hub.s3_url = self._s3.url
            self._set_s3_rules(self._hub.scenario)
            settings = self._hub.scenario
            self._s3.create_bucket(settings.s3.bucket, settings.cluster.region, ACCESS_KEY)
            self._run(self._listen())
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End sessions, kill what nodes left running, stop S3, remove the directory. Idempotent."""
        if self._thread.is_alive():
            with contextlib.suppress(TimeoutError):
                self._run(self._close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        if not self._loop.is_closed():
            self._loop.close()
        kill_leftovers(self._directory / "nodes")
        if self._s3 is not None:
            self._s3.stop()
            self._s3 = None
        shutil.rmtree(self._directory, ignore_errors=True)

    async def _listen(self) -> None:
        context = self._tls_context() if self._tls else None
        self._runner = web.AppRunner(
            self._api.application(), access_log=None, shutdown_timeout=1, handle_signals=False
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=context, backlog=2048)
        await site.start()
        self._port = self._runner.addresses[0][1]
        scheme = "wss" if self._tls else "ws"
        self._api.ssm.stream_base = f"{scheme}://127.0.0.1:{self._port}"

    def _tls_context(self) -> ssl.SSLContext:
        authority = trustme.CA(organization_name="hyperpod-eks-issue-report sandbox")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
        authority.cert_pem.write_to_path(str(self._directory / "ca.pem"))
        return context

    async def _close(self) -> None:
        await self._hub.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def _run(self, work: Any, timeout: float = 60) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)

    # --- what it offers ---------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The SageMaker and SSM endpoint, and the place of the control door."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead AWS clients here."""
        scenario = self._hub.scenario
        values = {
            "AWS_ENDPOINT_URL_SAGEMAKER": self.url,
            "AWS_ENDPOINT_URL_SSM": self.url,
            "AWS_ENDPOINT_URL_S3": self._hub.s3_url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": scenario.cluster.region,
            "AWS_REGION": scenario.cluster.region,
            "HYPERPOD_CLUSTER": scenario.cluster.name,
            "HYPERPOD_BUCKET": scenario.s3.bucket,
        }
        if self._tls:
            values["AWS_CA_BUNDLE"] = str(self._directory / "ca.pem")
        return values

    @property
    def cluster_name(self) -> str:
        return self._hub.scenario.cluster.name

    @property
    def bucket(self) -> str:
        return self._hub.scenario.s3.bucket

    @property
    def scenario(self) -> Scenario:
        return self._hub.scenario

    @property
    def nodes(self) -> list[Node]:
        """All nodes in order: `.instance_id`, `.target`, `.identity`, `.settings`."""
        return self._hub.world.nodes

    @property
    def sessions(self) -> list[Session]:
        """Every session so far, oldest first: `.status`, `.node`, `.terminated_by_api`…"""
        return list(self._hub.sessions.values())

    @property
    def calls(self) -> list[ApiCall]:
        """Every SageMaker and SSM call so far."""
        return list(self._hub.calls)

    @property
    def mistakes(self) -> list[str]:
        """What the sandbox itself got wrong; a test may assert that this is empty."""
        return list(self._hub.mistakes)

    @property
    def most_open_at_once(self) -> int:
        """The largest number of sessions that were open at the same time."""
        return self._hub.most_open

    @property
    def weakly_isolated(self) -> bool:
        """Whether nodes share the machine's file system."""
        return not isolation().strong

    def s3_requests(self) -> list[dict[str, str]]:
        """Every S3 request so far: action, bucket, key, access_key, via, status."""
        return [] if self._s3 is None else self._s3.requests()

    def update(self, patch: dict[str, Any]) -> None:
        """Change the scenario while it runs: mappings merge, `nodes` rules are added behind."""
        self._run(self._apply(patch))

    def disconnect(self, session: Session) -> None:
        """Cut a session's websocket without a close frame."""
        self._loop.call_soon_threadsafe(session.disconnect)

    def wait_for(self, condition: Callable[[Sandbox], bool], timeout: float = 10) -> None:
        """Block until something in the sandbox makes `condition` true; TimeoutError if not."""
        self._hub.wait_for(lambda: condition(self), timeout)

    async def _apply(self, patch: dict[str, Any]) -> None:
        scenario = merge_scenario(self._hub.scenario, patch)
        self._hub.apply(scenario)
        await asyncio.to_thread(self._set_s3_rules, scenario)

    def _set_s3_rules(self, scenario: Scenario) -> None:
        if self._s3 is None:
            return
        nodes = self._hub.world.nodes
        allowed = [node.identity.role_key for node in nodes if node.settings.s3_access]
        self._s3.set_rules(
            Rules(
                settings=scenario.s3,
                region=scenario.cluster.region,
                user_key=ACCESS_KEY,
                node_keys=frozenset(node.identity.role_key for node in nodes),
                allowed_node_keys=frozenset(allowed),
            )
        )
