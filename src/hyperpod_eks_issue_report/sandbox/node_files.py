"""The files of a node: HyperPod's configuration, the stand-in programs and the scenario's own."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

from .world import Node

PROGRAMS = Path(__file__).parent / "programs"
#: Stand-ins that every node has; `missing` leaves them out.
STAND_INS = ("aws", "dmesg", "journalctl", "nvidia-smi", "systemctl")
_DIRECTORIES = (
    "tmp", "var/tmp", "var/log", "run", "root", "home", "mnt", "srv", "opt/ml/config",
    "opt/sagemaker", "opt/dlami/nvme", ".local/bin", ".local/sbin", ".local/etc", ".local/lib",
    ".local/share",
)  # fmt: skip


def write_node_files(node: Node, root: Path, s3_url: str, region: str) -> None:
    """Lay the node's directory out, or renew what depends on settings."""
    for name in _DIRECTORIES:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("tmp", "var/tmp"):
        (root / name).chmod(0o1777)
    if not (root / "var/run").is_symlink():
        (root / "var/run").symlink_to("/run")
    _write(root, "/opt/ml/config/resource_config.json", _resource_config(node))
    _write(root, "/var/log/messages", "".join(f"{line}\n" for line in node.settings.dmesg))
    _write(root, "/.local/etc/node.sh", _facts(node, s3_url, region))
    _write(root, "/.local/etc/dmesg.txt", "".join(f"{line}\n" for line in _kernel_log(node)))
    _write_programs(node, root)
    for path, text in node.settings.files.items():
        # /etc is the machine's own: the init copies these over it.
        inside = f"/.etc/{path.removeprefix('/etc/')}" if path.startswith("/etc/") else path
        _write(root, inside, text)


def _write_programs(node: Node, root: Path) -> None:
    folder = root / ".local/bin"
    for old in folder.iterdir():
        old.unlink()
    wanted = [name for name in STAND_INS if name != "nvidia-smi" or node.identity.gpu is not None]
    for name in wanted:
        shutil.copy(PROGRAMS / f"{name}.sh", folder / name)
    for name, text in node.settings.programs.items():
        (folder / name).write_text(text, encoding="utf-8")
    for name in node.settings.missing:
        (folder / name).unlink(missing_ok=True)
    for program in folder.iterdir():
        program.chmod(0o755)


def _write(root: Path, path: str, text: str) -> None:
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def _resource_config(node: Node) -> str:
    who = node.identity
    instance = {
        "InstanceName": f"{who.group}-{who.index + 1}",
        "AgentIpAddress": who.ip,
        "CustomerIpAddress": who.ip,
        "InstanceId": who.instance_id,
    }
    group = {"Name": who.group, "InstanceType": who.instance_type, "Instances": [instance]}
    return json.dumps({"ClusterConfig": {"ClusterType": "Kubernetes"}, "InstanceGroups": [group]})


def _facts(node: Node, s3_url: str, region: str) -> str:
    """Shell variables that the stand-in programs read."""
    gpu = node.identity.gpu
    seen = node.settings.gpus_visible
    facts = {
        "NODE_INSTANCE_ID": node.identity.instance_id,
        "NODE_ROLE_KEY": node.identity.role_key,
        "NODE_REGION": region,
        "NODE_S3_URL": s3_url,
        "NODE_GPU_PRODUCT": gpu.product if gpu else "",
        "NODE_GPU_COUNT": str(gpu.count if gpu and seen is None else seen or 0),
        "NODE_GPU_MEMORY": str(gpu.memory_mib if gpu else 0),
        "NODE_GPU_DRIVER": gpu.driver if gpu else "",
        "NODE_GPU_ERROR": node.settings.gpu_error or "",
    }
    return "".join(f"{key}={shlex.quote(value)}\n" for key, value in facts.items())


def _kernel_log(node: Node) -> list[str]:
    lines = [
        "[    0.000000] Linux version 6.1.155-176.282.amzn2023.x86_64 (mockbuild@ip-10-0-49-1)",
        "[    0.000000] Command line: BOOT_IMAGE=(hd0,gpt1)/boot/vmlinuz root=UUID=sandbox ro",
        "[    2.118304] nvme nvme0: pci function 0000:00:04.0",
        "[    3.402177] ena 0000:00:05.0 ens5: Local page cache is disabled",
        "[    5.771209] systemd[1]: Detected virtualization amazon.",
    ]
    if node.identity.gpu is not None:
        driver = node.identity.gpu.driver
        lines += [
            f"[   14.220913] NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  {driver}",
            "[   21.004518] efa 0000:4f:00.0: EFA device rdmap79s0 registered",
        ]
    return [*lines, *node.settings.dmesg]
