"""AWS errors as users see them, with answers stubbed at botocore's own model."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from botocore.stub import Stubber

from hyperpod_eks_issue_report.aws.clients import Clients
from hyperpod_eks_issue_report.aws.inventory import describe_cluster, list_nodes
from hyperpod_eks_issue_report.aws.sessions import BotoSessions
from hyperpod_eks_issue_report.errors import (
    AccessDeniedError,
    ClusterNotFoundError,
    CredentialsError,
    IssueReportError,
    ServiceError,
    StartSessionError,
    ThrottledError,
    UsageError,
)

ARN = "arn:aws:sagemaker:us-west-2:111122223333:cluster/abcdefghijkl"
TARGET = "sagemaker-cluster:abcdefghijkl_gpu-i-0123456789abcdef0"


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    for name in ("AWS_PROFILE", "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    made = Clients("us-west-2")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (
            "ResourceNotFound",
            ClusterNotFoundError,
            "no HyperPod cluster 'train' in region us-west-2",
        ),
        ("ExpiredTokenException", CredentialsError, "have expired"),
        ("UnrecognizedClientException", CredentialsError, "not valid"),
        ("AccessDeniedException", AccessDeniedError, "AWS denied DescribeCluster"),
        ("ThrottlingException", ServiceError, "throttled"),
        ("InternalFailure", ServiceError, "DescribeCluster failed"),
    ],
)
def test_describe_cluster_says_what_why_and_what_to_do(
    clients: Clients, code: str, kind: type[IssueReportError], words: str
) -> None:
    with Stubber(clients.sagemaker) as stub:
        stub.add_client_error("describe_cluster", code, "because", 400)
        with pytest.raises(kind) as caught:
            describe_cluster(clients.sagemaker, "train")
    assert words in str(caught.value)
    assert caught.value.hint


def test_denied_calls_name_the_permission(clients: Clients) -> None:
    with Stubber(clients.sagemaker) as stub:
        stub.add_client_error("list_cluster_nodes", "AccessDeniedException", "User: x is not", 400)
        with pytest.raises(AccessDeniedError) as caught:
            list_nodes(clients.sagemaker, "train")
    assert "sagemaker:ListClusterNodes" in caught.value.hint
    assert caught.value.exit_code == 4


def test_a_slurm_cluster_is_refused(clients: Clients) -> None:
    answer = {
        "ClusterArn": ARN,
        "ClusterStatus": "InService",
        "InstanceGroups": [],
    }
    with Stubber(clients.sagemaker) as stub:
        stub.add_response("describe_cluster", answer)
        with pytest.raises(UsageError, match="not orchestrated by EKS"):
            describe_cluster(clients.sagemaker, "train")


def test_all_pages_of_nodes_are_read(clients: Clients) -> None:
    def page(first: int, count: int, token: str | None) -> dict[str, object]:
        nodes = [
            {
                "InstanceGroupName": "gpu",
                "InstanceId": f"i-{n:017x}",
                "InstanceType": "ml.p5.48xlarge",
                "LaunchTime": datetime(2026, 3, 1, tzinfo=UTC),
                "InstanceStatus": {"Status": "Failure", "Message": "told"},
            }
            for n in range(first, first + count)
        ]
        return {"ClusterNodeSummaries": nodes, **({"NextToken": token} if token else {})}

    asked = {"ClusterName": "train", "IncludeNodeLogicalIds": True, "MaxResults": 100}
    with Stubber(clients.sagemaker) as stub:
        stub.add_response("list_cluster_nodes", page(0, 100, "more"), asked)
        stub.add_response("list_cluster_nodes", page(100, 7, None), {**asked, "NextToken": "more"})
        nodes = list_nodes(clients.sagemaker, "train")
    assert len({n.instance_id for n in nodes}) == 107
    assert (nodes[0].status, nodes[0].status_message) == ("Failure", "told")


@pytest.mark.parametrize(
    ("code", "kind", "name"),
    [
        ("TargetNotConnected", StartSessionError, "TargetNotConnected"),
        ("InvalidDocument", StartSessionError, "DocumentMissing"),
        ("ThrottlingException", ThrottledError, "Throttled"),
        ("AccessDeniedException", StartSessionError, "AccessDenied"),
        ("ExpiredTokenException", StartSessionError, "Credentials"),
        ("InternalServerError", StartSessionError, "StartSession"),
    ],
)
async def test_start_session_errors_keep_their_name(
    clients: Clients, code: str, kind: type[StartSessionError], name: str
) -> None:
    with Stubber(clients.ssm) as stub:
        stub.add_client_error("start_session", code, "because", 400)
        with pytest.raises(kind) as caught:
            await BotoSessions(clients).start_session(TARGET, "document", {}, "reason")
    assert caught.value.code == name
    assert caught.value.hint


async def test_a_session_that_has_ended_cannot_be_resumed(clients: Clients) -> None:
    sessions = BotoSessions(clients)
    with Stubber(clients.ssm) as stub:
        stub.add_client_error("resume_session", "DoesNotExistException", "gone", 400)
        stub.add_response("resume_session", {"SessionId": "s", "TokenValue": ""})
        stub.add_client_error("terminate_session", "DoesNotExistException", "gone", 400)
        assert await sessions.resume_session("s") is None
        assert await sessions.resume_session("s") is None
        await sessions.terminate_session("s")
        stub.assert_no_pending_responses()


async def test_a_ticket_never_shows_its_secrets(clients: Clients) -> None:
    answer = {"SessionId": "s", "TokenValue": "SECRET", "StreamUrl": "wss://host/SECRET"}
    with Stubber(clients.ssm) as stub:
        stub.add_response("start_session", answer)
        ticket = await BotoSessions(clients).start_session(TARGET, "document", {}, "reason")
    assert ticket.token == "SECRET"
    assert "SECRET" not in repr(ticket)
