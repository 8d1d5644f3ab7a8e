"""A sample of a process that was watched, as a moment of the page: sums, without addresses."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from addrspace_gdb.space.moments.sampled import COUNTS, GOROUTINES, LIVE, PARTS, RSS
from addrspace_gdb.space.moments.snapshot import Regions
from addrspace_gdb.space.moments.watch_file import Seen
from addrspace_gdb.views.documents.form import target_json
from addrspace_gdb.views.watch_verdict import NAMES
from addrspace_gdb.views.web.moment import Moment, commands, regions_part, stamp
from addrspace_gdb.views.web.pack import Packed


def moment_of_sample(seen: Seen) -> Moment:
    """The moment that a line of `addrspace-gdb watch` tells of."""
    packed = Packed()
    goroutines = seen.figures[GOROUTINES]
    document: Dict[str, Any] = {
        "target": target_json(seen.info),
        "name": f"sample {seen.number:,}",
        "taken": stamp(seen.time),
        "regions": regions_part(Regions(), packed),
        "areas": [
            {"area": NAMES[name], "part": name, "size": None, "resident": seen.figures[name]}
            for name in PARTS
        ],
        "goroutines": None if goroutines is None else {"total": goroutines, "by_status": {}},
        "memstats": None,
        "figures": {NAMES[name]: seen.figures[name] for name in (RSS, LIVE, *COUNTS)},
        "rss": _tree(seen),
        "notes": [],
        "problems": seen.problems,
        "checks": [],
        "commands": commands(),
        "heap": None,
        "goroutine_stacks": None,
        "columns": packed.columns,
    }
    return Moment(document, packed)


def _tree(seen: Seen) -> Dict[str, Any]:
    """Resident bytes as the page has a tree of them."""
    parts = [_node(NAMES[name], seen.figures[name], []) for name in PARTS]
    findings = [] if seen.verdict is None else [{"sentence": seen.verdict}]
    return {"tree": _node("process", seen.figures[RSS], parts), "balances": [], "findings": findings}


def _node(name: str, resident: Optional[int], children: List[Dict[str, Any]]) -> Dict[str, Any]:
    return {
        "name": name,
        "size": None,
        "resident": resident,
        "swapped": None,
        "kept": None,
        "note": None,
        "children": children,
    }
