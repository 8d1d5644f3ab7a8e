"""JSON Schemas (draft 2020-12) of what `--format json` prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError

NAMES = (
    "addrspace/1",
    "arenas/1",
    "compare/1",
    "diff/1",
    "fault/1",
    "gc/1",
    "goroutine-stacks/1",
    "heap/1",
    "memstats/1",
    "rss/1",
    "snapshots/1",
    "spans/1",
    "whereis/1",
)


def schema(name: str) -> Dict[str, Any]:
    """The schema of the documents whose "schema" is `name`. ProblemError if there is none."""
    if name not in NAMES:
        raise ProblemError(f'no schema is called "{printable(name)}"; there are {", ".join(NAMES)}')
    path = Path(__file__).with_name(name.replace("/", "-") + ".schema.json")
    document: Dict[str, Any] = json.loads(path.read_text(encoding="ascii"))
    return document
