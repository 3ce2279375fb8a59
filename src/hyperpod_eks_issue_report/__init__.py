"""HyperPod EKS Issue Report: diagnostics from every node of a SageMaker HyperPod EKS cluster.

The front door is `HyperPodEKSIssueReportCollector`; `errors` and `events` are public too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from hyperpod_eks_issue_report.collector import HyperPodEKSIssueReportCollector

__all__ = ["HyperPodEKSIssueReportCollector", "__version__"]


def __getattr__(name: str) -> Any:
    # boto3 takes a third of a second to import: --help and --version do without it.
    if name == "HyperPodEKSIssueReportCollector":
        from hyperpod_eks_issue_report.collector import HyperPodEKSIssueReportCollector

        return HyperPodEKSIssueReportCollector
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
