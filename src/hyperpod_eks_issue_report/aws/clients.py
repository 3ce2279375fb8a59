"""Makes the boto3 clients of a run: few, shared, and used from a thread pool of our own.

Clients are thread-safe, sessions are not: all clients are made here, in one thread. The default
pool of asyncio has only a handful of workers, hence our own.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ProfileNotFound
from botocore.httpsession import where

from hyperpod_eks_issue_report import __version__
from hyperpod_eks_issue_report.aws.failures import translate
from hyperpod_eks_issue_report.errors import UsageError
from hyperpod_eks_issue_report.ssm.tls import client_context

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_ssm import SSMClient

T = TypeVar("T")

#: API calls of one run that may be under way at once.
THREADS = 24


class Clients:
    """The AWS clients of one run; `close()` frees their threads and connections.

    Raises:
        UsageError: the profile does not exist, or no region is set.
        CredentialsError: there are no credentials.
    """

    def __init__(self, region: str | None = None, profile: str | None = None) -> None:
        try:
            self._session = boto3.Session(region_name=region, profile_name=profile)
        except ProfileNotFound as error:
            raise UsageError(
                f"The AWS profile {profile!r} does not exist.",
                hint="`aws configure list-profiles` names those that do.",
            ) from error
        self.executor = ThreadPoolExecutor(THREADS, thread_name_prefix="aws")
        try:
            self.sagemaker: SageMakerClient = self._client("sagemaker", _config(retries=5))
            # StartSession's retries are the pace's business (collect.pace), not botocore's.
            self.ssm: SSMClient = self._client("ssm", _config(retries=1))
        except BotoCoreError as error:
            raise translate(error, "the AWS API", "sagemaker:DescribeCluster") from error
        self.region: str = self.sagemaker.meta.region_name

    def _client(self, service: str, config: Config, region: str | None = None) -> Any:
        return self._session.client(service, config=config, region_name=region)  # type: ignore[call-overload]

    def s3(self, region: str | None = None) -> S3Client:
        """An S3 client for the bucket's region that signs presigned URLs with SigV4."""
        client: S3Client = self._client("s3", _config(retries=5, signature="s3v4"), region)
        return client

    @property
    def plaintext_sessions(self) -> bool:
        """Whether the SSM endpoint itself is plain http: then plain websockets are no surprise."""
        return self.ssm.meta.endpoint_url.startswith("http://")

    def ssl_context(self) -> ssl.SSLContext:
        """Trust what boto3 trusts: AWS_CA_BUNDLE, else the certificates botocore brings."""
        return client_context(os.environ.get("AWS_CA_BUNDLE") or str(where()))

    async def call(self, function: Callable[[], T]) -> T:
        """Run a blocking client call in the pool."""
        return await asyncio.get_running_loop().run_in_executor(self.executor, function)

    def close(self) -> None:
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.sagemaker.close()
        self.ssm.close()


def _config(*, retries: int, signature: str | None = None) -> Config:
    return Config(
        connect_timeout=10,
        read_timeout=30,
        retries={"mode": "standard", "total_max_attempts": retries},
        max_pool_connections=THREADS,
        user_agent_extra=f"hyperpod-eks-issue-report/{__version__}",
        signature_version=signature,
        # A presigned PUT must not ask the node's curl for a checksum header it cannot know.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
