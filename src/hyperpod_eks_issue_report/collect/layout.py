"""Where a run's objects lie on S3: `prefix/cluster/timestamp/…`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hyperpod_eks_issue_report.model import Location, Node

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, slots=True)
class Layout:
    """The keys of one run. Names from outside are reduced to characters that S3, shells and file
    systems all take as they are."""

    bucket: str
    prefix: str
    cluster: str
    started: datetime

    @property
    def timestamp(self) -> str:
        return f"{self.started:%Y%m%dT%H%M%SZ}"

    @property
    def base(self) -> str:
        """Everything of this run lies under it; it ends with a slash."""
        parts = [p for p in self.prefix.split("/") if p]
        return "/".join([*parts, _safe(self.cluster), self.timestamp]) + "/"

    @property
    def script_key(self) -> str:
        return self.base + "collector_script.sh"

    @property
    def summary_key(self) -> str:
        return self.base + "summary.json"

    def result_key(self, node: Node) -> str:
        return f"{self.base}results/{_safe(node.name)}_{self.timestamp}.tar.gz"

    def uri(self, key: str) -> str:
        """The `s3://` address of a key; of the whole run for an empty one."""
        return f"s3://{self.bucket}/{key or self.base}"

    def location(self, region: str) -> Location:
        """What summary.json says of these keys."""
        return Location(
            bucket=self.bucket,
            prefix=self.base,
            region=region,
            script_key=self.script_key,
            summary_key=self.summary_key,
        )

    def local(self, directory: Path) -> Path:
        """The run's folder under a local directory."""
        return directory / _safe(self.cluster) / self.timestamp


def _safe(name: str) -> str:
    return _UNSAFE.sub("_", name).lstrip(".") or "_"
