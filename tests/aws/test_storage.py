"""The bucket against moto's S3."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from hyperpod_eks_issue_report.aws.clients import Clients
from hyperpod_eks_issue_report.aws.storage import Bucket
from hyperpod_eks_issue_report.errors import BucketError


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    for name in ("AWS_PROFILE", "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with mock_aws():
        for name, region in (("reports", "us-west-2"), ("elsewhere", "eu-central-1")):
            boto3.client("s3", region_name=region).create_bucket(
                Bucket=name,
                CreateBucketConfiguration={"LocationConstraint": region},  # type: ignore[typeddict-item]
            )
        made = Clients("us-west-2")
        yield made
        made.close()


async def test_what_was_put_is_there_with_size_md5_and_sha256(clients: Clients) -> None:
    bucket = Bucket(clients, "reports")
    bucket.put("a/b", b"body", "text/plain")
    stored = await bucket.head("a/b")
    assert stored is not None
    assert (stored.bytes, stored.md5) == (4, hashlib.md5(b"body").hexdigest())
    assert await bucket.sha256("a/b") == hashlib.sha256(b"body").hexdigest()
    assert await bucket.head("a/c") is None


def test_a_missing_bucket_says_so(clients: Clients) -> None:
    with pytest.raises(BucketError, match="'nowhere-at-all' does not exist") as caught:
        Bucket(clients, "nowhere-at-all")
    assert caught.value.exit_code == 6
    assert "aws s3 mb" in caught.value.hint


def test_a_bucket_elsewhere_is_reached_in_its_own_region(clients: Clients) -> None:
    bucket = Bucket(clients, "elsewhere")
    assert bucket.region == "eu-central-1"
    assert "eu-central-1" in bucket.presigned_put("k", 60)


def test_presigned_urls_sign_the_host_alone(clients: Clients) -> None:
    bucket = Bucket(clients, "reports")
    for url in (bucket.presigned_get("k", 60), bucket.presigned_put("k", 60)):
        assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url
        assert "X-Amz-SignedHeaders=host&" in url
        assert "checksum" not in url.lower()
