"""The report's bucket: put, presign, and say what S3 really holds."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from hyperpod_eks_issue_report.aws.clients import Clients
from hyperpod_eks_issue_report.aws.failures import DENIED_CODES, NOT_FOUND_CODES, code_of, translate
from hyperpod_eks_issue_report.errors import BucketError, IssueReportError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: An ETag of this form is the object's MD5, unless S3 encrypts with a KMS key.
_MD5_ETAG = re.compile(r'"?([0-9a-f]{32})"?')


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What HeadObject says: size in bytes, and the MD5 where the ETag is one."""

    bytes: int
    md5: str | None


class Bucket:
    """One bucket, reached in its own region.

    Raises:
        BucketError: the bucket does not exist.
        CredentialsError, ServiceError: as they say.
    """

    def __init__(self, clients: Clients, name: str) -> None:
        self.name = name
        self.region = _find_region(clients, name)
        self._s3: S3Client = clients.s3(self.region)
        self._clients = clients

    def put(self, key: str, body: bytes, content_type: str) -> None:
        """Store `body` under `key`.

        Raises:
            BucketError: the bucket is somebody else's, or writing is not allowed.
        """
        try:
            self._s3.put_object(Bucket=self.name, Key=key, Body=body, ContentType=content_type)
        except (ClientError, BotoCoreError) as error:
            raise self._explain(error, "PutObject", "s3:PutObject") from error

    def presigned_get(self, key: str, seconds: int) -> str:
        """A secret URL that reads `key` for `seconds`."""
        return self._presign("get_object", key, seconds)

    def presigned_put(self, key: str, seconds: int) -> str:
        """A secret URL that writes `key` for `seconds`."""
        return self._presign("put_object", key, seconds)

    def _presign(self, method: str, key: str, seconds: int) -> str:
        try:
            return self._s3.generate_presigned_url(
                method, Params={"Bucket": self.name, "Key": key}, ExpiresIn=seconds
            )
        except BotoCoreError as error:
            raise translate(error, "presigning", "s3:PutObject") from error

    async def head(self, key: str) -> StoredObject | None:
        """What S3 holds under `key`; None when it holds nothing."""
        try:
            answer: Any = await self._clients.call(
                lambda: self._s3.head_object(Bucket=self.name, Key=key)
            )
        except ClientError as error:
            if code_of(error) in NOT_FOUND_CODES:
                return None
            raise self._explain(error, "HeadObject", "s3:GetObject") from error
        except BotoCoreError as error:
            raise self._explain(error, "HeadObject", "s3:GetObject") from error
        match = _MD5_ETAG.fullmatch(answer.get("ETag", ""))
        encrypted = str(answer.get("ServerSideEncryption", "")).startswith("aws:kms")
        return StoredObject(
            bytes=int(answer["ContentLength"]),
            md5=match.group(1) if match and not encrypted else None,
        )

    async def sha256(self, key: str) -> str:
        """Read `key` from S3 and hash it: the costly way, for objects whose ETag is no MD5."""

        def read() -> str:
            digest = hashlib.sha256()
            body = self._s3.get_object(Bucket=self.name, Key=key)["Body"]
            for chunk in body.iter_chunks(1 << 20):
                digest.update(chunk)
            return digest.hexdigest()

        try:
            return await self._clients.call(read)
        except (ClientError, BotoCoreError) as error:
            raise self._explain(error, "GetObject", "s3:GetObject") from error

    def close(self) -> None:
        self._s3.close()

    def _explain(self, error: Exception, call: str, permission: str) -> IssueReportError:
        code = code_of(error) if isinstance(error, ClientError) else ""
        if code == "NoSuchBucket":
            return _missing(self.name)
        if code in DENIED_CODES:
            return BucketError(
                f"S3 denied {call} on bucket {self.name!r}: it belongs to another account, or "
                f"{permission} is not allowed.",
                hint=f"Use a bucket of your own, or allow {permission} on it "
                "(docs/permissions.md).",
            )
        return translate(error, call, permission)


def _missing(name: str) -> BucketError:
    return BucketError(
        f"The S3 bucket {name!r} does not exist.",
        hint=f"Check --s3-bucket, or create it: aws s3 mb s3://{name}",
    )


def _find_region(clients: Clients, name: str) -> str:
    """The bucket's region: S3 tells it in a header even where it refuses the call."""
    client = clients.s3()
    try:
        headers = client.head_bucket(Bucket=name)["ResponseMetadata"]["HTTPHeaders"]
    except ClientError as error:
        code = code_of(error)
        if code in NOT_FOUND_CODES or code == "NoSuchBucket":
            raise _missing(name) from error
        headers = error.response["ResponseMetadata"]["HTTPHeaders"]
        # Without s3:ListBucket HeadBucket is denied though writing may be allowed: go on, and
        # let PutObject of the script decide.
        if code not in DENIED_CODES | {"301", "PermanentRedirect"}:
            raise translate(error, "HeadBucket", "s3:ListBucket") from error
    except BotoCoreError as error:
        raise translate(error, "HeadBucket", "s3:ListBucket") from error
    finally:
        client.close()
    return str(headers.get("x-amz-bucket-region") or clients.region)
