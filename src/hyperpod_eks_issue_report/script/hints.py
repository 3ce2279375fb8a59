"""What the reasons of a `failed` line mean to the user: reason → (what happened, what to do)."""

from __future__ import annotations

HINTS: dict[str, tuple[str, str]] = {
    "NoSpace": (
        "The node has no room for the collection: none of its staging directories can be "
        "written to.",
        "Free space on the node (/var/tmp, /tmp or /dev/shm), or look at what fills its disk.",
    ),
    "NoTransferTool": (
        "The node has neither curl nor the AWS CLI, so it cannot reach S3.",
        "Install curl on the node's image.",
    ),
    "ScriptFetchFailed": (
        "The node could not download the collector script from S3.",
        "Check that the node's subnet reaches S3 (gateway endpoint, NAT, security group).",
    ),
    "FetchDenied": (
        "S3 refused the download of the collector script.",
        "Check the bucket's policy: presigned URLs act with your own s3:GetObject permission.",
    ),
    "ScriptVerifyFailed": (
        "The collector script that the node downloaded is not the one that was uploaded.",
        "Something changed the object or the transfer: run again, and check who writes to the "
        "bucket.",
    ),
    "CollectFailed": ("The collector could not run its commands.", "Run again with --debug."),
    "PackFailed": (
        "The node could not pack what it collected.",
        "Look at the detail; a full disk is the usual cause.",
    ),
    "UploadFailed": (
        "The node collected, but could not upload the tarball to S3.",
        "Check that the node's subnet reaches S3 (gateway endpoint, NAT, security group).",
    ),
    "UploadDenied": (
        "The node collected, but S3 refused the upload.",
        "Allow s3:PutObject on the bucket, for you (presigned URLs) or for the node's role "
        "(docs/permissions.md).",
    ),
}
