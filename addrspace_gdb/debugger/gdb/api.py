"""For scripts that run in gdb: what the commands know, as plain objects, with no text or JSON to take apart.

    (gdb) python from addrspace_gdb.debugger.gdb import api
    (gdb) python print(sum(r.resident or 0 for r in api.regions("heap")))

Each is about the selected inferior, which must stand still; while it does, it is read once. What cannot be
known is None. Whatever goes wrong is a gdb.GdbError of one line. Only what this module documents stays as it
is from one version to the next; the objects may get more fields.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, NamedTuple, Optional, Union

from addrspace_gdb.commands import commands, loaded
from addrspace_gdb.commands.command import Look
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.debugger.gdb.commands import session
from addrspace_gdb.debugger.gdb.session import guarded
from addrspace_gdb.space.regions.region import Region

__all__ = ["Goroutine", "Region", "document", "goroutines", "regions", "whereis"]


class Goroutine(NamedTuple):
    """One goroutine. Addresses and bytes are integers."""

    goid: int
    state: str  # as Go prints it: "chan receive", "running"
    waited: Optional[int]  # nanoseconds
    system: bool  # one of the runtime's own
    thread: Optional[int]  # the kernel's number of the thread that it is on
    lo: int  # its stack
    hi: int
    used: Optional[int]  # bytes of it
    resident: Optional[int]
    pc: int
    sp: int
    function: Optional[str]  # the user's, with its place
    file: Optional[str]
    line: Optional[int]
    created_by: Optional[str]  # a function
    labels: Dict[str, str]  # of pprof


def regions(filters: str = "") -> List[Region]:
    """The regions that `addrspace regions FILTERS` lists, as objects with `start`, `end`, `size`, `area`,
    `kind`, `label`, `permissions`, `resident`, `swapped` and `file`."""
    return list(_asked("addrspace regions", filters).found)


def goroutines(options: str = "") -> List[Goroutine]:
    """The goroutines that `goroutine-stacks OPTIONS` lists: all but the runtime's own, without options."""
    return guarded(_goroutines, options)  # type: ignore[no-any-return]


def whereis(place: Union[int, str]) -> Dict[str, Any]:
    """What is at an address, or where an expression leads: one of the `places` of a document whereis/1."""
    found: List[Dict[str, Any]] = document(f"addrspace whereis {place}")["places"]
    return found[0]


def document(line: str) -> Dict[str, Any]:
    """What a command such as `addrspace rss` answers with --format json (see `addrspace-gdb schema`)."""
    return guarded(_document, line)  # type: ignore[no-any-return]


def _asked(name: str, options: str) -> Any:
    def ask() -> Any:
        module = next(one.module for one in commands() if one.name == name)
        command = loaded(module)
        answer = command.ask(session(), command.arguments(options))
        if name == "addrspace regions":
            _ = answer.found  # which may raise
        return answer

    return guarded(ask)


def _goroutines(options: str) -> List[Goroutine]:
    from addrspace_gdb.space.goroutines.listing import details

    listing = _asked("goroutine-stacks", options).listing
    return [
        Goroutine(
            row.goid,
            row.state,
            row.waited,
            row.system,
            row.thread,
            row.lo,
            row.hi,
            row.used,
            row.resident,
            row.pc,
            row.sp,
            row.user.function,
            row.user.file,
            row.user.line,
            row.made.function if row.made is not None else None,
            row.labels,
        )
        for row in details(listing, listing.positions)
    ]


def _document(line: str) -> Dict[str, Any]:
    name = max(
        (one for one in commands() if f"{line} ".startswith(f"{one.name} ")),
        key=lambda one: len(one.name),
        default=None,
    )
    command = loaded(name.module) if name is not None else None
    if name is None or command is None or "json" not in command.forms:
        raise ProblemError("api.document: not a command that answers in JSON")
    arguments = command.arguments(line[len(name.name) :])
    arguments.format = "json"
    answer = command.ask(session(), arguments)
    found: Dict[str, Any] = json.loads("".join(command.forms["json"](answer, Look(100, file=True))))
    return found
