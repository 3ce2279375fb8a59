"""Starts and talks to the S3 child process."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import urllib.request

import msgspec

from .s3_rules import Rules


class S3Process:
    """The child; it ends when its stdin closes, so it cannot outlive its parent."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", f"{__package__}.s3"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.port = 0

    def wait_until_ready(self) -> None:
        """Read the port that the child prints."""
        if self._process.stdout is None:
            raise RuntimeError("the S3 process has no stdout")
        line = self._process.stdout.readline()
        if not line.strip().isdigit():
            raise RuntimeError("the sandbox's S3 process did not start; is moto[s3,server] whole?")
        self.port = int(line)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def set_rules(self, rules: Rules) -> None:
        """Exchange the rules; takes effect with the next request."""
        self._control("PUT", "rules", msgspec.json.encode(rules))

    def requests(self) -> list[dict[str, str]]:
        """Every request so far: action, method, bucket, key, access_key, via, status."""
        found: list[dict[str, str]] = json.loads(self._control("GET", "requests", None))
        return found

    def create_bucket(self, name: str, region: str, access_key: str) -> None:
        """Make a bucket as the user would."""
        body = None
        if region != "us-east-1":
            body = (
                '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
                f"<LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
            ).encode()
        credential = f"Credential={access_key}/20250101/{region}/s3/aws4_request"
        authorization = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0"
        request = urllib.request.Request(  # noqa: S310 - our own child on 127.0.0.1
            f"{self.url}/{name}",
            body,
            {"Authorization": authorization, "Content-Type": "application/xml"},
            method="PUT",
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            answer.read()

    def _control(self, method: str, name: str, body: bytes | None) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, f"/_sandbox/{name}", body)
            return connection.getresponse().read()
        finally:
            connection.close()

    def stop(self) -> None:
        """Close its stdin and wait."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
