"""`addrspace rss --format json`: rss/1, as its schema in views/documents/schema says it."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from addrspace_gdb.process.kernelcounts import KernelCounts
from addrspace_gdb.space.regions.model import TargetInfo
from addrspace_gdb.space.rss.balances import Balance
from addrspace_gdb.space.rss.findings import Finding
from addrspace_gdb.space.rss.tree import Node
from addrspace_gdb.views.documents.form import target_json

SCHEMA = "rss/1"


def rss_json(
    info: TargetInfo,
    root: Node,
    kernel: Optional[KernelCounts],
    balances: Sequence[Balance],
    found: Sequence[Finding],
    sentences: Sequence[str],
    notes: List[str],
    problems: List[str],
) -> Dict[str, Any]:
    """The whole answer; the tree is always whole."""
    return {
        "schema": SCHEMA,
        "target": target_json(info),
        "tree": node_json(root),
        "kernel": _kernel(kernel),
        "balances": [_balance(one) for one in balances],
        "findings": [
            {"kind": one.kind, "bytes": one.amount, "of": one.whole, "sentence": text}
            for one, text in zip(found, sentences)
        ],
        "notes": notes,
        "problems": problems,
    }


def node_json(node: Node) -> Dict[str, Any]:
    """A node and all that is under it."""
    return {
        "name": node.name,
        "size": node.size,
        "resident": node.resident,
        "swapped": node.swapped,
        "kept": node.kept,
        "note": node.note or None,
        "children": [node_json(child) for child in node.children],
    }


def _kernel(kernel: Optional[KernelCounts]) -> Optional[Dict[str, Optional[int]]]:
    if kernel is None:
        return None
    return {
        "VmSize": kernel.size,
        "VmRSS": kernel.rss,
        "RssAnon": kernel.anonymous,
        "RssFile": kernel.file,
        "RssShmem": kernel.shared_memory,
        "VmSwap": kernel.swapped,
        "VmPTE": kernel.page_tables,
        "Rss": kernel.summed,
        "Pss": kernel.proportional,
        "Shared": kernel.shared,
        "LazyFree": kernel.lazily_free,
        "VmLck": kernel.locked,
        "Huge": kernel.huge,
        "KSM": kernel.merged,
        "HugetlbPages": kernel.hugetlb,
    }


def _balance(one: Balance) -> Dict[str, Any]:
    return {
        "counter": one.counter,
        "source": one.source,
        "value": one.value,
        "steps": [{"name": step.name, "bytes": step.amount} for step in one.steps],
        "against": one.against,
        "tree": one.tree,
        "unexplained": one.unexplained,
    }
