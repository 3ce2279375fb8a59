"""Chooses the nodes of a run and their order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from hyperpod_eks_issue_report.errors import NoNodesError, UsageError
from hyperpod_eks_issue_report.model import Cluster, Node, Selection

_EKS_PREFIX = "hyperpod-"
_INSTANCE_ID = re.compile(r"i-[0-9a-f]{8,17}")
_SHOWN = 12


def select(cluster: Cluster, nodes: Sequence[Node], selection: Selection) -> list[Node]:
    """The nodes asked for: Running ones first, then the others, each in SageMaker's order.

    Groups match by exact name in any case; nodes by instance id, EKS node name or logical id.

    Raises:
        UsageError: a group or node that the cluster does not have.
        NoNodesError: nothing is left.
    """
    chosen = list(nodes)
    if selection.instance_groups:
        wanted = _known_groups(cluster, nodes, selection.instance_groups)
        chosen = [n for n in chosen if n.instance_group.casefold() in wanted]
    if selection.nodes:
        chosen = _pick(cluster, chosen, selection)
    if not chosen:
        raise NoNodesError(
            f"Cluster {cluster.name!r} has no node to collect from"
            + (" in the chosen instance groups." if selection.instance_groups else "."),
            hint="`hyperpod-eks-issue-report nodes --cluster NAME` lists the nodes there are.",
        )
    return sorted(chosen, key=lambda node: not node.is_running)


def _known_groups(cluster: Cluster, nodes: Iterable[Node], asked: Sequence[str]) -> set[str]:
    known = {g.casefold(): g for g in cluster.instance_groups}
    known.update({n.instance_group.casefold(): n.instance_group for n in nodes})
    unknown = [g for g in asked if g.casefold() not in known]
    if unknown:
        raise UsageError(
            f"Cluster {cluster.name!r} has no instance group {_list(unknown)}.",
            hint=f"Its instance groups are: {_list(sorted(known.values()))}.",
        )
    return {g.casefold() for g in asked}


def _pick(cluster: Cluster, nodes: Sequence[Node], selection: Selection) -> list[Node]:
    wanted = {_plain(name): name for name in selection.nodes}
    found = [n for n in nodes if {n.instance_id, n.logical_id} & wanted.keys() - {""}]
    have = {i for n in found for i in (n.instance_id, n.logical_id)}
    missing = [original for plain, original in wanted.items() if plain not in have]
    if missing:
        odd = [m for m in missing if not _INSTANCE_ID.fullmatch(_plain(m))]
        form = " A node is named i-…, hyperpod-i-… or by its logical id." if odd else ""
        within = " in the chosen instance groups" if selection.instance_groups else ""
        raise UsageError(
            f"Cluster {cluster.name!r} has no node {_list(missing)}{within}.",
            hint="`hyperpod-eks-issue-report nodes --cluster NAME` lists the nodes there are."
            + form,
        )
    return found


def _plain(name: str) -> str:
    lowered = name.strip()
    if lowered.startswith(_EKS_PREFIX + "i-"):
        return lowered.removeprefix(_EKS_PREFIX)
    return lowered


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(repr(n) for n in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
