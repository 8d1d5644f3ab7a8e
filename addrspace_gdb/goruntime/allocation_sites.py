"""What was allocated where the heap profile says: the type that the instructions in front of the call load.

The functions are those that the compiler calls (cmd/compile/internal/walk, and ssagen for those of
src/runtime/malloc_generated.go). A type that is only known at run time, as in reflection or in generic code,
says nothing.
"""

from __future__ import annotations

import re
from typing import Dict, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.call_arguments import WINDOW, Call, argument, call_before
from addrspace_gdb.goruntime.symtab import Symtab
from addrspace_gdb.target.protocol import Target

# What a function makes of the type that it gets.
VALUE, VALUES, MAP, CHANNEL, TEXT = "value", "values", "map", "channel", "text"

_MAKES = (
    (re.compile(r"newobject$|convT(noptr)?$"), VALUE, 0),
    (re.compile(r"mallocgc"), VALUES, 1),
    (re.compile(r"growslice"), VALUES, 4),
    (re.compile(r"newarray$|makeslice|moveSlice(NoCap)?$"), VALUES, 0),
    (re.compile(r"makemap(64)?$|mapassign(_|$)"), MAP, 0),
    (re.compile(r"makechan(64)?$"), CHANNEL, 0),
    (re.compile(r"concatstring|slicebytetostring$|slicerunetostring$|intstring$|rawstring$"), TEXT, -1),
)
_RUNTIME = ("runtime.", "internal/runtime/")
_GROWSLICE_FIRST = 19  # the last release in which growslice has the type in front


class Site(NamedTuple):
    """A place in the program that allocates."""

    makes: str
    type: int  # the address of a descriptor; 0 for TEXT
    inner: Optional[int]  # of what the runtime itself makes there, where its own code says so


class _Loaded(NamedTuple):
    """A call: what it makes, and of which type."""

    makes: Optional[str]
    type: Optional[int]


class AllocationSites:
    """Sites by the stacks that lead there, each call looked at once. Reads the program's code."""

    def __init__(self, target: Target, tables: Symtab) -> None:
        self._target, self._tables, self._minor = target, tables, tables.minor or 0
        self._known: Dict[int, _Loaded] = {}

    def of(self, stack: Sequence[int]) -> Optional[Site]:
        """Where the first function in that stack that is not the runtime's allocates, if that is known."""
        inner: Optional[int] = None
        last: Optional[Tuple[int, int]] = None
        for pc in stack:
            found = self._tables.find(pc - 1)
            if found is None:
                return None
            if (found.entry, found.end) == last:
                continue  # it is inlined there
            last = found.entry, found.end
            loaded = self._loaded(pc, found.entry)
            if not found.name.startswith(_RUNTIME):
                return self._site(loaded, inner)
            inner = loaded.type if inner is None else inner
        return None

    def _site(self, loaded: _Loaded, inner: Optional[int]) -> Optional[Site]:
        if loaded.makes is None or (loaded.type is None and loaded.makes != TEXT):
            return None
        return Site(loaded.makes, loaded.type or 0, inner)

    def _loaded(self, pc: int, entry: int) -> _Loaded:
        if pc not in self._known:
            self._known[pc] = self._load(pc, entry)
        return self._known[pc]

    def _load(self, pc: int, entry: int) -> _Loaded:
        start = max(entry, pc - WINDOW)
        try:
            code = self._target.read(start, pc - start)
        except UnreadableError:
            return _Loaded(None, None)
        call = call_before(self._target.arch, code, pc)
        called = self._tables.find(call.target) if call is not None else None
        if call is None or called is None or called.entry != call.target:
            return _Loaded(None, None)
        makes, number = self._makes(called.name)
        return _Loaded(makes, self._argument(call, number) if makes is not None and number >= 0 else None)

    def _makes(self, function: str) -> Tuple[Optional[str], int]:
        package, dot, name = function.rpartition(".")
        if f"{package}{dot}".startswith(_RUNTIME):
            for pattern, makes, number in _MAKES:
                if pattern.match(name):
                    first = name.startswith("growslice") and self._minor <= _GROWSLICE_FIRST
                    return makes, 0 if first else number
        return None, 0

    def _argument(self, call: Call, number: int) -> Optional[int]:
        return argument(self._target.arch, self._minor, call, number, self._word)

    def _word(self, address: int) -> Optional[int]:
        try:
            return int.from_bytes(self._target.read(address, 4), self._tables.byte_order)  # type: ignore[arg-type]
        except (UnreadableError, OverflowError):
            return None
