"""How many sessions to hold at once, and how long each may take."""

from __future__ import annotations

import math

from hyperpod_eks_issue_report.collect.pace import START_RATE
from hyperpod_eks_issue_report.model import Plan

#: Seconds that fetching, packing and uploading may take on top of the commands.
TRANSFER_SECONDS = 720
_MIN, _MAX = 16, 1000


def node_seconds(plan: Plan) -> int:
    """The longest a node may take with this plan, in seconds."""
    return sum(task.timeout + 5 for task in plan.tasks) + TRANSFER_SECONDS


def default_workers(plan: Plan, nodes: int) -> int:
    """Enough sessions that StartSession's rate, not this number, is the limit.

    At `START_RATE` sessions a second and `node_seconds` at worst, rate times time sessions are open
    (Little's law). A session costs about 0.1 MB, so more than needed does no harm.
    """
    enough = math.ceil(START_RATE * node_seconds(plan))
    return max(1, min(nodes, _MAX, max(_MIN, enough)))
