"""What goroutines keep that is not in their frames: saved contexts, records of deferred calls and panics."""

from __future__ import annotations

from array import array
from itertools import compress
from typing import Dict, Iterator, List, Sequence, Tuple

from addrspace_gdb.common.problems import ProblemError, Problems, UnreadableError
from addrspace_gdb.goruntime.columns import read_columns
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.space.reading.walkable import Walkable
from addrspace_gdb.target.layout import Located

_MAX_DEFERS = 1 << 16  # of one goroutine
_FEW = 64  # lists that are followed one by one
_FIELDS = {"context": "sched.ctxt", "panic": "_panic"}


class StackRecords:
    """Those of a reading's goroutines."""

    def __init__(self, reading: Walkable) -> None:
        """Read what the g's themselves have."""
        self._runtime, self._columns = reading.runtime, reading.goroutines.columns
        self._contexts: Dict[int, int] = {}  # by position, where there is one
        self._panics: Dict[int, int] = {}  # the innermost panic, which lies on the stack
        self._of_gs()

    def _of_gs(self) -> None:
        runtime, addresses = self._runtime, self._columns["address"]
        try:
            found = read_columns(runtime, addresses, runtime.layout("runtime.g"), _FIELDS, "goroutines")
        except (ProblemError, KeyError) as error:
            runtime.problems.add(f"goroutines: {error}")
            return
        positions: Sequence[int] = range(len(addresses))
        if len(found["address"]) < len(addresses):
            known = {address: at for at, address in enumerate(addresses)}
            positions = [known[address] for address in found["address"]]
        for name, into in (("context", self._contexts), ("panic", self._panics)):
            into.update(zip(compress(positions, found[name]), filter(None, found[name])))

    def of(self, at: int) -> List[int]:
        """What those of one goroutine hold; its innermost panic counts as if it were held."""
        first = self._columns["defer"][at]
        return [*self._of_g(at), *(self._deferred(first) if first else ())]

    def _of_g(self, at: int) -> Iterator[int]:
        context, panic = self._contexts.get(at), self._panics.get(at)
        if context is not None:
            yield context
        if panic is not None and self._columns["lo"][at] <= panic < self._columns["hi"][at]:
            yield panic

    def _deferred(self, first: int) -> Iterator[int]:
        """What the records from one on hold."""
        fields = _deferred_fields(self._runtime)
        link = fields["link"].offset
        for record in self._runtime.chain(first, link, "deferred calls", _MAX_DEFERS):
            try:
                found = self._runtime.record("runtime._defer", record)
                yield self._runtime.word_at(record + fields["fn"].offset)
            except UnreadableError:
                return
            yield found.number("link")
            if found.number("heap"):
                yield record

    def of_many(self, taken: Sequence[int]) -> Tuple[array[int], array[int]]:
        """As `of`, of all that have a 1 in `taken`: positions, ascending, with one value each."""
        found: Dict[int, List[int]] = {}
        for at in {*self._contexts, *self._panics}:
            if taken[at]:
                found[at] = [*self._of_g(at)]
        for at, values in self._deferred_of_many(taken).items():
            found.setdefault(at, []).extend(values)
        rows, held = array("I"), array("Q")
        for at in sorted(found):
            rows.extend([at] * len(found[at]))
            held.extend(found[at])
        return rows, held

    def _deferred_of_many(self, taken: Sequence[int]) -> Dict[int, List[int]]:
        """The records of all lists, the first ones together, then the second ones, and so on."""
        firsts = self._columns["defer"]
        positions = [at for at in compress(range(len(firsts)), firsts) if taken[at]]
        pending = {firsts[at]: at for at in positions}
        found: Dict[int, List[int]] = {at: [] for at in positions}
        if len(pending) < len(positions):  # damage: a record is of one goroutine
            return {at: [*self._deferred(firsts[at])] for at in positions}
        known = set(pending)
        while len(pending) > _FEW:
            pending = self._followed(pending, found)
            for record in known.intersection(pending):  # damage, which is told
                found[pending[record]] += self._deferred(record)
                del pending[record]
            known.update(pending)
        for record, at in pending.items():
            found[at] += self._deferred(record)
        return found

    def _followed(self, pending: Dict[int, int], found: Dict[int, List[int]]) -> Dict[int, int]:
        """Note what records hold, which are those of positions; the ones that follow them."""
        quiet, after = Runtime(self._runtime.target, Problems()), {}
        fields, layout = _deferred_fields(quiet), quiet.layout("runtime._defer")
        columns = read_columns(quiet, sorted(pending), layout, fields, "deferred calls")
        for record, function, link, heap in zip(*(columns[name] for name in ("address", *fields))):
            at = pending.pop(record)
            found[at] += (function, link, record) if heap else (function, link)
            if link in after:
                found[at] += self._deferred(link)
            elif link:
                after[link] = at
        for record, at in pending.items():  # they cannot be read, which is told
            found[at] += self._deferred(record)
        return after


def _deferred_fields(runtime: Runtime) -> Dict[str, Located]:
    """Where a record has its pointers, and whether it is an object of the heap. (Debuggers give a func no
    size, or a wrong one: it is a pointer.)"""
    layout = runtime.layout("runtime._defer")
    link, heap = layout.scalar("link"), layout.scalar("heap")
    return {"fn": link._replace(offset=layout.locate("fn").offset), "link": link, "heap": heap}
