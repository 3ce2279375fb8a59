"""Figures of the collecting process: N nodes over wss with no work on the nodes.

    .venv/bin/python benchmarks/fleet.py            N = 100 and 1,000 unthrottled, 100 at 3/s

The simulated cluster runs in processes of its own. Each of its nodes answers at once with a
collector's lines, but only when all N sessions are open; the tarballs they announce are put on S3
beforehand. What is measured is the product itself in a process of its own: StartSession, websocket,
handshake, output, HeadObject, summary.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

BODY = b"x" * 4096
#: Aims of the project: CPU seconds a node, MB a session, MB at rest.
AIM_CPU, AIM_SESSION_MB, AIM_REST_MB = 0.015, 0.15, 90.0


def node_lines() -> str:
    """What a node's collector prints when it has nothing to do."""
    records = [
        "begin time=2026-03-01T00:00:00Z bash=5.2 uid=0 host_b64=aXA=",
        "script via=presigned-url bytes=1",
        f"tarball bytes={len(BODY)} sha256={hashlib.sha256(BODY).hexdigest()} "
        f"md5={hashlib.md5(BODY).hexdigest()}",
        "uploaded via=presigned-url",
    ]
    text = "".join(f"@hpir 1 {n} {record}\n" for n, record in enumerate(records))
    digest = hashlib.sha256(text.encode()).hexdigest()
    count = len(records)
    return f"{text}@hpir 1 {count} end lines={count} bytes={len(text)} sha256={digest} rc=0\n"


def scenario(nodes: int, rate: float) -> dict[str, object]:
    answer = {"stdout": node_lines(), "exit_code": 0, "wait_for_sessions": nodes}
    return {
        "groups": [{"name": "gpu-workers", "instance_type": "ml.p5.48xlarge", "count": nodes}],
        "nodes": [{"set": {"answer": answer}}],
        "ssm": {"start_session_rate": rate},
    }


@contextmanager
def sandbox(nodes: int, rate: float) -> Iterator[dict[str, str]]:
    """A running simulated cluster's environment."""
    with tempfile.TemporaryDirectory() as folder:
        settings, ready = Path(folder, "scenario.yaml"), Path(folder, "env")
        settings.write_text(json.dumps(scenario(nodes, rate)))
        command = [sys.executable, "-m", "hyperpod_eks_issue_report", "sandbox", "--tls"]
        process = subprocess.Popen(
            [*command, "--scenario", str(settings), "--env-file", str(ready)],
            stdout=subprocess.DEVNULL,
        )
        try:
            while not (ready.exists() and ready.stat().st_size):
                if process.poll() is not None:
                    sys.exit("the simulated cluster did not start")
                time.sleep(0.1)
            words = shlex.split(ready.read_text(), comments=True)
            yield dict(w.split("=", 1) for w in words if "=" in w)
        finally:
            process.terminate()
            process.wait()


def measured(nodes: int, started: str) -> None:
    """The measured process: one whole run."""
    from hyperpod_eks_issue_report.collector import HyperPodEKSIssueReportCollector

    cluster, bucket = os.environ["HYPERPOD_CLUSTER"], os.environ["HYPERPOD_BUCKET"]
    with HyperPodEKSIssueReportCollector(cluster, bucket, max_workers=nodes) as collector:
        collector.started = datetime.fromisoformat(started)
        at_rest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        before = time.monotonic(), time.process_time()
        summary = collector.collect_reports()
        wall, cpu = time.monotonic() - before[0], time.process_time() - before[1]
    print(
        json.dumps(
            {
                "wall": wall,
                "cpu": cpu,
                "rest_mb": at_rest / 1024,
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "succeeded": summary.totals.succeeded,
                "failures": summary.statistics.failures_by_error,
            }
        )
    )


def put_tarballs(started: datetime) -> None:
    """What the nodes will announce must be there."""
    import boto3

    from hyperpod_eks_issue_report.aws.inventory import list_nodes
    from hyperpod_eks_issue_report.collect.layout import Layout

    cluster, bucket = os.environ["HYPERPOD_CLUSTER"], os.environ["HYPERPOD_BUCKET"]
    layout = Layout(bucket, "hyperpod-issue-reports", cluster, started)
    s3 = boto3.client("s3")
    for node in list_nodes(boto3.client("sagemaker"), cluster):
        s3.put_object(Bucket=bucket, Key=layout.result_key(node), Body=BODY)


def run(nodes: int, rate: float) -> None:
    """One case, printed as a row beside its limit."""
    with sandbox(nodes, rate) as environment:
        os.environ.update(environment)
        started = datetime.now(UTC)
        put_tarballs(started)
        child = [
            sys.executable,
            __file__,
            "--measure",
            str(nodes),
            "--started",
            started.isoformat(),
        ]
        answer = subprocess.run(child, capture_output=True, text=True, check=True).stdout
    got = json.loads(answer)
    limit = nodes / rate if rate else 0.0
    row(
        f"{nodes:>6} {'off' if not rate else f'{rate:g}/s':>6} {got['wall']:>8.1f}"
        f" {limit:>8.1f} {1.1 * limit + 3:>9.1f} {got['cpu'] / nodes:>9.4f}"
        f" {got['rest_mb']:>8.0f} {got['peak_mb']:>8.0f}"
        f" {(got['peak_mb'] - got['rest_mb']) / nodes:>11.3f} {got['succeeded']:>7}"
    )
    if got["failures"]:
        row(f"       failures: {got['failures']}")


def row(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--started", help=argparse.SUPPRESS)
    parser.add_argument("--case", action="append", metavar="N:RATE", help="only these cases")
    arguments = parser.parse_args()
    if arguments.measure:
        measured(arguments.measure, arguments.started)
        return
    row(" nodes  limit   wall s  limit s aim wall  CPU s/node  rest MB  peak MB  MB/session    ok")
    for case in arguments.case or ["100:0", "1000:0", "100:3"]:
        nodes, rate = case.split(":")
        run(int(nodes), float(rate))
    row(
        f"aims: {AIM_CPU} CPU s a node, {AIM_SESSION_MB} MB a session over {AIM_REST_MB:.0f} MB,"
        " wall at most 1.1 x limit + 3 s"
    )


if __name__ == "__main__":
    main()
