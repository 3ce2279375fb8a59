"""What S3 refuses or spoils, decided from a request's method, path and credentials. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote

import msgspec

from .scenario import S3, S3Deny, S3Fault

_CREDENTIAL = re.compile(r"Credential=([^/,]+)/")


class Rules(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the child process is told: settings, and who the principals are."""

    settings: S3 = S3()
    region: str = "us-west-2"
    user_key: str = ""
    node_keys: frozenset[str] = frozenset()
    allowed_node_keys: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Request:
    """The part of a request that rules look at."""

    method: str
    bucket: str
    key: str
    query: dict[str, list[str]]
    access_key: str
    presigned: bool

    @property
    def action(self) -> str:
        """The IAM action."""
        if self.key:
            names = {"GET": "GetObject", "HEAD": "GetObject", "DELETE": "DeleteObject"}
            return f"s3:{names.get(self.method, 'PutObject')}"
        if "location" in self.query:
            return "s3:GetBucketLocation"
        return "s3:ListBucket" if self.method in ("GET", "HEAD") else "s3:CreateBucket"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error answer of S3; `extra` are further elements of its XML, `headers` of the answer."""

    status: int
    code: str
    message: str
    extra: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()

    def xml(self) -> bytes:
        """The error document."""
        more = "".join(f"<{name}>{value}</{name}>" for name, value in self.extra)
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{self.code}</Code><Message>{self.message}</Message>{more}"
            "<RequestId>4442587FB7D0A2F9</RequestId><HostId>sandbox</HostId></Error>"
        ).encode()


DENIED = Refusal(403, "AccessDenied", "Access Denied")


def parse(method: str, path: str, query_string: str, authorization: str) -> Request:
    """Read a path-style request."""
    bucket, _, key = unquote(path).lstrip("/").partition("/")
    query = parse_qs(query_string, keep_blank_values=True)
    found = _CREDENTIAL.search(authorization)
    header_key = found.group(1) if found else ""
    if not header_key and authorization.startswith("AWS "):
        header_key = authorization[4:].partition(":")[0]
    presigned_key = query.get("X-Amz-Credential", query.get("AWSAccessKeyId", [""]))[0]
    access_key = header_key or presigned_key.partition("/")[0]
    presigned = not header_key and bool(presigned_key)
    return Request(method, bucket, key, query, access_key, presigned)


def refusal(rules: Rules, request: Request, now: datetime) -> Refusal | None:
    """The error answer that S3 gives before it looks at the object, if any."""
    if not request.access_key:
        return DENIED
    if request.access_key != rules.user_key and request.access_key not in rules.node_keys:
        text = "The AWS Access Key Id you provided does not exist in our records."
        return Refusal(403, "InvalidAccessKeyId", text)
    if request.presigned and (expired := _expired(request, now)) is not None:
        return expired
    settings = rules.settings
    if request.bucket == settings.foreign_bucket:
        return DENIED
    if request.bucket == settings.elsewhere_bucket:
        return _elsewhere(settings)
    if request.access_key in rules.node_keys - rules.allowed_node_keys:
        return DENIED
    if any(_denies(rule, rules, request) for rule in settings.deny):
        return DENIED
    return None


def fault(rules: Rules, request: Request, used: dict[int, int]) -> S3Fault | None:
    """The trouble this transfer gets; `used` counts how often each fault has struck."""
    for number, candidate in enumerate(rules.settings.faults):
        if not _action_matches(candidate.action, request.action):
            continue
        if not request.key.startswith(candidate.prefix):
            continue
        if candidate.times and used.get(number, 0) >= candidate.times:
            continue
        used[number] = used.get(number, 0) + 1
        return candidate
    return None


def _denies(rule: S3Deny, rules: Rules, request: Request) -> bool:
    if request.presigned:
        principal = "presigned"
    else:
        principal = "user" if request.access_key == rules.user_key else "node-role"
    return (
        rule.principal in ("any", principal)
        and _action_matches(rule.action, request.action)
        and request.key.startswith(rule.prefix)
    )


def _action_matches(pattern: str, action: str) -> bool:
    return pattern == action or (pattern.endswith("*") and action.startswith(pattern[:-1]))


def _expired(request: Request, now: datetime) -> Refusal | None:
    seconds = request.query.get("X-Amz-Expires", [""])[0]
    try:
        if seconds:
            start = datetime.strptime(request.query["X-Amz-Date"][0] + "+0000", "%Y%m%dT%H%M%SZ%z")
            end = start + timedelta(seconds=int(seconds))
        else:
            end = datetime.fromtimestamp(int(request.query["Expires"][0]), tz=UTC)
    except (KeyError, ValueError):
        text = "X-Amz-Date must be in the ISO8601 Long Format"
        return Refusal(400, "AuthorizationQueryParametersError", text)
    if now <= end:
        return None
    extra = [("Expires", f"{end:%Y-%m-%dT%H:%M:%SZ}"), ("ServerTime", f"{now:%Y-%m-%dT%H:%M:%SZ}")]
    if seconds:
        extra.insert(0, ("X-Amz-Expires", seconds))
    return Refusal(403, "AccessDenied", "Request has expired", tuple(extra))


def _elsewhere(settings: S3) -> Refusal:
    endpoint = f"{settings.elsewhere_bucket}.s3.{settings.elsewhere_region}.amazonaws.com"
    return Refusal(
        301,
        "PermanentRedirect",
        "The bucket you are attempting to access must be addressed using the specified endpoint. "
        "Please send all future requests to this endpoint.",
        (("Endpoint", endpoint), ("Bucket", settings.elsewhere_bucket)),
        (("x-amz-bucket-region", settings.elsewhere_region),),
    )
