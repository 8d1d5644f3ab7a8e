"""The goroutine profile: where every goroutine stands, with its labels (goroutineProfileWithLabels)."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.goruntime import funcid
from addrspace_gdb.goruntime.callers import Callers
from addrspace_gdb.goruntime.columns import pick
from addrspace_gdb.goruntime.labels import read_pairs
from addrspace_gdb.goruntime.traceback import Walk
from addrspace_gdb.space.goroutines.by_frame import living
from addrspace_gdb.space.goroutines.equal_stacks import equal_stacks
from addrspace_gdb.space.goroutines.listing import system_of
from addrspace_gdb.space.goroutines.walk import walk_saved
from addrspace_gdb.space.profiles.contention import stack_depth, stack_key
from addrspace_gdb.space.profiles.locations import Locations
from addrspace_gdb.space.profiles.model import Label, Sample, ValueType
from addrspace_gdb.space.profiles.source import Source
from addrspace_gdb.space.reading.goroutines import GoroutineReading, read_for_goroutines

Pairs = Tuple[Tuple[str, str], ...]


class Alike(NamedTuple):
    """Goroutines with one stack and the same labels; None: without any, which is not the same as none set."""

    stack: Tuple[int, ...]
    labels: Optional[Pairs]


class GoroutineProfile:
    """`goroutine`, without the runtime's own."""

    kind, default, period = "goroutine", "", 1
    period_type = ValueType("goroutine", "count")
    types = (ValueType("goroutine", "count"),)

    def __init__(self, source: Source) -> None:
        """Read all stacks. ProblemError where there are none."""
        reading = read_for_goroutines(source.target, source.runtime.progress)
        source.use(reading)
        self.time, self._source = source.time, source
        self.notes: List[str] = []
        depth = stack_depth(source)
        self._counted: Dict[Alike, int] = {}
        with_labels = _Labels(reading)
        for walk, positions in profiled_stacks(reading):
            stack = tuple(logical_stack(source.callers, walk, depth))
            for labels, count in with_labels.of(positions):
                one = Alike(stack, labels)
                self._counted[one] = self._counted.get(one, 0) + count
        source.learn(pc for one in self._counted for pc in one.stack)

    @cached_property
    def made(self) -> Locations:
        """See model.Profile."""
        return self._source.locations()

    def samples(self) -> Iterator[Sample]:
        """One for each stack and labels, the most frequent first."""
        for one, count in sorted(self._counted.items(), key=lambda item: (-item[1], _key(item[0]))):
            labels = tuple(Label(*pair) for pair in one.labels or ())
            yield Sample((count,), self.made.pieces(one.stack), labels)


def profiled_stacks(reading: GoroutineReading) -> Iterator[Tuple[Walk, Sequence[int]]]:
    """The stacks of the user's goroutines, with the positions of those that have each."""
    system = set(system_of(reading))
    waiting = [at for at in living(reading) if at not in system]
    in_calls = reading.goroutines.column("syscallsp")
    for equal in equal_stacks(reading, [at for at in waiting if not in_calls[at]]):
        yield equal.walk, equal.positions
    for at in waiting:
        if in_calls[at]:
            yield walk_saved(reading, at), [at]


def logical_stack(callers: Callers, walk: Walk, most: int) -> List[int]:
    """The pcs that tracebackPCs gives for the frames of a stack, no more than `most`."""
    found: List[int] = []
    symtab = callers.symtab
    trap, callee = walk.trap, funcid.NORMAL
    for pc in walk.pcs:
        func = symtab.find(pc)
        if func is None:
            continue  # C's
        at = pc if trap or pc <= func.entry else pc - 1
        found += callers.logical(at, callee)
        if len(found) >= most:
            return found[:most]
        kinds = [place.kind for place in symtab.locations(at)]
        callee = kinds[-1] if kinds else callee
        trap = funcid.is_injected(symtab.kind(func.func_id))
    return found


class _Labels:
    """The labels of goroutines, each set of them read once."""

    def __init__(self, reading: GoroutineReading) -> None:
        self._reading, self._pointers = reading, reading.goroutines.column("labels")
        self._known: Dict[int, Optional[Pairs]] = {0: None}

    def of(self, positions: Sequence[int]) -> Iterator[Tuple[Optional[Pairs], int]]:
        """Those that goroutines have, and how many of them have them; in the order in which Go writes them,
        those of a map, which has none, by their keys."""
        for pointer, count in Counter(pick(self._pointers, positions)).items():
            if pointer not in self._known:
                self._known[pointer] = tuple(
                    read_pairs(self._reading.runtime, pointer, self._reading.tables.minor)
                )
            yield self._known[pointer], count


def _key(one: Alike) -> str:
    """By what printCountProfile sorts those of which there are equally many."""
    key = stack_key(one.stack)
    if one.labels is None:
        return key
    texts = sorted(f'"{name}":"{value}"' for name, value in one.labels)
    return f"{key}\n# labels: {{{', '.join(texts)}}}"
