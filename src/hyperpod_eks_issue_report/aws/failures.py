"""Turns what boto3 raises into this package's errors: what, why, and what to do next.

AWS errors are told apart by their code string, not their class: throttling, denied access and
expired tokens are not modelled by the services that raise them.
"""

from __future__ import annotations

from botocore import exceptions as boto

from hyperpod_eks_issue_report.errors import (
    AccessDeniedError,
    CredentialsError,
    IssueReportError,
    ServiceError,
    UsageError,
)

#: Error codes by which AWS services say that credentials are stale or unknown.
CREDENTIAL_CODES = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
        "TokenRefreshRequired",
    }
)
DENIED_CODES = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"})
THROTTLE_CODES = frozenset(
    {"Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException"}
)
NOT_FOUND_CODES = frozenset({"ResourceNotFound", "ResourceNotFoundException", "404", "NoSuchKey"})

_MAX_TEXT = 500


def code_of(error: boto.ClientError) -> str:
    """The service's error code, such as `AccessDeniedException`."""
    return str(error.response.get("Error", {}).get("Code", ""))


def text_of(error: boto.ClientError) -> str:
    """The service's own words, bounded and without control characters."""
    text = str(error.response.get("Error", {}).get("Message", ""))
    return "".join(c if c.isprintable() else " " for c in text)[:_MAX_TEXT]


def translate(error: Exception, call: str, permission: str) -> IssueReportError:
    """The error a user should see for `error` of the API call `call`.

    `permission` is the IAM action the call needs, for example `sagemaker:DescribeCluster`.
    """
    if isinstance(error, boto.ClientError):
        return _from_service(error, call, permission)
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError):
        return CredentialsError(f"No AWS credentials were found, so {call} could not be called.")
    if isinstance(
        error,
        boto.TokenRetrievalError
        | boto.SSOTokenLoadError
        | boto.UnauthorizedSSOTokenError
        | boto.CredentialRetrievalError,
    ):
        return CredentialsError(f"AWS credentials could not be obtained for {call}.")
    if isinstance(error, boto.NoRegionError):
        return UsageError(
            f"No AWS region is set, so {call} could not be called.",
            hint="Name it with --region, or set AWS_REGION.",
        )
    if isinstance(error, boto.ParamValidationError):
        return UsageError(f"{call} does not accept these values: {str(error)[:_MAX_TEXT]}")
    if isinstance(error, boto.SSLError):
        return ServiceError(
            f"{call} failed: the server's certificate is not trusted.",
            hint="Behind an inspecting proxy, point AWS_CA_BUNDLE at its certificate.",
        )
    return ServiceError(f"{call} failed: {type(error).__name__}: the service was not reached.")


def _from_service(error: boto.ClientError, call: str, permission: str) -> IssueReportError:
    code, text = code_of(error), text_of(error)
    if code in CREDENTIAL_CODES:
        return CredentialsError(
            f"AWS refused the credentials at {call} ({code}): they have expired or are not valid."
        )
    if code in DENIED_CODES:
        return AccessDeniedError(
            f"AWS denied {call}: {text or code}",
            hint=f"Allow {permission} for the identity you run as (docs/permissions.md).",
        )
    if code in THROTTLE_CODES:
        return ServiceError(
            f"{call} is being throttled: {text or code}", hint="Wait a minute and run it again."
        )
    return ServiceError(f"{call} failed: {code}: {text}")
