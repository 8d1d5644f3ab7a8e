"""What a test program says of itself: the files it writes, and its globals read through gdb."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, NamedTuple


class OwnMapping(NamedTuple):
    """A mapping that the program made itself; size in bytes."""

    name: str
    start: int
    size: int


class Oracle(NamedTuple):
    """An oracle file of a test program.

    `memstats` is runtime.MemStats by field name without the rings of pauses and the floats; `metrics` has
    the /memory/ classes of runtime/metrics; `dump` and `pprof` are goroutine dumps, empty if there are none.
    """

    memstats: Dict[str, Any]
    metrics: Dict[str, int]
    goroutines: int
    pid: int
    mappings: List[OwnMapping]
    dump: str
    pprof: str


def read_oracle(path: Path) -> Oracle:
    """The oracle that a program wrote at `path`, with PATH.dump and PATH.pprof beside it."""
    content = json.loads(path.read_text(encoding="ascii"))
    texts = [Path(str(path) + end) for end in (".dump", ".pprof")]
    dump, pprof = [t.read_text(encoding="utf-8") if t.exists() else "" for t in texts]
    mappings = [OwnMapping(m["name"], m["start"], m["size"]) for m in content["mappings"]]
    return Oracle(
        content["memstats"], content["metrics"], content["goroutines"], content["pid"], mappings, dump, pprof
    )


def memstats_command(path: Path) -> str:
    """The gdb command that writes main.Oracle as JSON to `path` (it allocates nothing in the program)."""
    return f"oracle-memstats {path}"


def dump_command(path: Path) -> str:
    """The gdb command that writes the program's goroutine dump to `path`."""
    return f"oracle-dump {path}"


def read_memstats(path: Path) -> Dict[str, Any]:
    """What `memstats_command` wrote."""
    content = json.loads(path.read_text(encoding="ascii"))
    assert isinstance(content, dict)
    return content
