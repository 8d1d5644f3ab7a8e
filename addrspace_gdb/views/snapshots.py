"""The snapshots of a session: a table, and a line when one is taken."""

from __future__ import annotations

import time
from typing import Iterator, List, Optional, Tuple

from addrspace_gdb.common import sizes
from addrspace_gdb.space.moments.snapshot import UNKNOWN, Snapshot
from addrspace_gdb.space.regions.partition import total
from addrspace_gdb.views.goroutine_groups import fit_last
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.table import Column, table
from addrspace_gdb.views.kit.text import Line, clean
from addrspace_gdb.views.stackparts import duration, program

_SECOND = 10**9


def snapshots_table(
    found: List[Snapshot], width: Optional[int] = 100, unicode: bool = True
) -> Iterator[tokens.Pair]:
    """One row a snapshot, the oldest first."""
    if not found:
        text = "no snapshots yet: `addrspace snapshot NAME` takes one"
        yield from Line(width or 1 << 16, unicode).put(tokens.TEXT, text)
        return
    columns = [
        Column("Name", "left", tokens.NAME),
        Column("Taken", "left", tokens.TEXT),
        Column("Virtual", "right", tokens.SIZE),
        Column("Resident", "right", tokens.SIZE),
        Column("Goroutines", "right", tokens.SIZE),
        Column("Kept", "right", tokens.QUIET),
        Column("Pid", "right", tokens.TEXT),
        Column("Program", "left", tokens.TEXT),
    ]
    rows: List[Tuple[str, ...]] = [
        (
            clean(one.name, unicode),
            _when(one),
            sizes.size(virtual(one)),
            sizes.size(resident(one)),
            sizes.count(goroutines(one)),
            sizes.size(one.bytes_kept),
            str(one.target.pid or sizes.UNKNOWN),
            clean(program(one.target.executable), unicode),
        )
        for one in found
    ]
    yield from table(columns, fit_last(columns, rows, width, unicode))


def taken_line(one: Snapshot, width: int, unicode: bool = True) -> Iterator[tokens.Pair]:
    """What was kept, in one line."""
    text = f"{sizes.size(virtual(one))} virtual, {sizes.size(resident(one))} resident"
    text += f", {sizes.plural(goroutines(one), 'goroutine')}; {sizes.size(one.bytes_kept)} kept for it"
    line = Line(width, unicode).put(tokens.TEXT, "snapshot ").put(tokens.NAME, clean(one.name, unicode))
    yield from line.put(tokens.TEXT, f": {text}")


def _when(one: Snapshot) -> str:
    if one.taken is None:
        return ""
    return f"{duration(max(0, int((time.time() - one.taken) * _SECOND)))} ago"


def virtual(one: Snapshot) -> int:
    """Bytes mapped."""
    return sum(one.regions.ends) - sum(one.regions.starts)


def resident(one: Snapshot) -> Optional[int]:
    """Bytes resident; None where that is not known."""
    return total(None if n == UNKNOWN else n for n in one.regions.residents)


def goroutines(one: Snapshot) -> Optional[int]:
    """Goroutines that exist; None if they were not read."""
    return None if one.goroutines is None else len(one.goroutines)
