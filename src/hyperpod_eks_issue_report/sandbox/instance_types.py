"""What a node of an instance type has: GPU product and count, memory, EFA, network prefix.

Counts as AWS publishes them; only families with NVIDIA GPUs are listed, all others have none.
"""

from __future__ import annotations

from dataclasses import dataclass

_SIZES_G = {
    "xlarge": 1, "2xlarge": 1, "4xlarge": 1, "8xlarge": 1, "16xlarge": 1,
    "12xlarge": 4, "24xlarge": 4, "48xlarge": 8,
}  # fmt: skip
_G7E_SIZES = {
    "2xlarge": 1, "4xlarge": 1, "8xlarge": 1, "12xlarge": 2, "24xlarge": 4, "48xlarge": 8,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gpu:
    """The GPUs of one node; memory in MiB as nvidia-smi prints it."""

    product: str
    count: int
    memory_mib: int
    driver: str = "580.95.05"


_FAMILIES: dict[str, tuple[str, int, dict[str, int]]] = {
    "p4d": ("NVIDIA A100-SXM4-40GB", 40960, {"24xlarge": 8}),
    "p4de": ("NVIDIA A100-SXM4-80GB", 81920, {"24xlarge": 8}),
    "p5": ("NVIDIA H100 80GB HBM3", 81559, {"48xlarge": 8, "4xlarge": 1}),
    "p5e": ("NVIDIA H200", 143771, {"48xlarge": 8}),
    "p5en": ("NVIDIA H200", 143771, {"48xlarge": 8}),
    "p6-b200": ("NVIDIA B200", 183359, {"48xlarge": 8}),
    "p6-b300": ("NVIDIA B300 SXM6 AC", 275040, {"48xlarge": 8}),
    "p6e-gb200": ("NVIDIA GB200", 189471, {"36xlarge": 4}),
    "g4dn": (
        "Tesla T4", 15360,
        {"xlarge": 1, "2xlarge": 1, "4xlarge": 1, "8xlarge": 1, "16xlarge": 1, "12xlarge": 4},
    ),
    "g5": ("NVIDIA A10G", 23028, _SIZES_G),
    "g6": ("NVIDIA L4", 23034, _SIZES_G),
    "gr6": ("NVIDIA L4", 23034, {"4xlarge": 1, "8xlarge": 1}),
    "g6e": ("NVIDIA L40S", 46068, _SIZES_G),
    "g7e": ("NVIDIA RTX PRO 6000 Blackwell Server Edition", 97887, _G7E_SIZES),
}  # fmt: skip


def gpus_of(instance_type: str) -> Gpu | None:
    """The GPUs of `ml.p5.48xlarge` and the like; None for types without NVIDIA GPUs."""
    family, _, size = instance_type.removeprefix("ml.").partition(".")
    product, memory, counts = _FAMILIES.get(family, ("", 0, {}))
    count = counts.get(size, 0)
    return Gpu(product, count, memory) if count else None
