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
    "crash-threads/1",
    "crash/1",
    "diff/1",
    "fault/1",
    "gc/1",
    "goroutine-stacks/1",
    "heap/1",
    "holders/1",
    "memstats/1",
    "retained/1",
    "rss/1",
    "snapshots/1",
    "spans/1",
    "types/1",
    "watch/1",
    "whereis/1",
)


_COMMON = "common.schema.json"


def schema(name: str) -> Dict[str, Any]:
    """The schema of the documents whose "schema" is `name`, whole: with what it has in common with others.

    ProblemError if there is none.
    """
    if name not in NAMES:
        raise ProblemError(f'no schema is called "{printable(name)}"; there are {", ".join(NAMES)}')
    text = _read(name.replace("/", "-") + ".schema.json").replace(f'"{_COMMON}#/', '"#/')
    document: Dict[str, Any] = json.loads(text)
    own: Dict[str, Any] = document.setdefault("$defs", {})
    for shared, definition in json.loads(_read(_COMMON))["$defs"].items():
        own.setdefault(shared, definition)
    return document


def _read(file: str) -> str:
    return Path(__file__).with_name(file).read_text(encoding="ascii")
