"""The heap profile that the runtime keeps, scaled as Go scales it (src/runtime/pprof/protomem.go)."""

from __future__ import annotations

from functools import cached_property, partial
from operator import mul
from typing import Dict, Iterable, Iterator, List, Optional, Sequence, Set, Tuple

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.goruntime.mprof import Buckets, read_profile
from addrspace_gdb.goruntime.sampling import USUAL_RATE, Scale, read_rate
from addrspace_gdb.space.profiles.locations import Locations
from addrspace_gdb.space.profiles.model import Label, Piece, Sample, ValueType
from addrspace_gdb.space.profiles.source import Source

_SIGN = 1 << 63
_MOST_KEPT = 1 << 18  # values that are remembered
_OWN_FUNCTION = 23  # since Go 1.N runtime/pprof reads the profile by a function of its own


class HeapProfile:
    """`heap` and `allocs`, which differ in what is shown first."""

    period_type = ValueType("space", "bytes")
    types = (
        ValueType("alloc_objects", "count"),
        ValueType("alloc_space", "bytes"),
        ValueType("inuse_objects", "count"),
        ValueType("inuse_space", "bytes"),
    )

    def __init__(self, source: Source, kind: str) -> None:
        """Read the buckets. ProblemError, one line, where the process keeps no heap profile."""
        self._buckets, self.period = _read(source)
        self.kind, self.time = kind, source.time
        self.default = "alloc_space" if kind == "allocs" else ""
        self.notes: List[str] = []
        self._source = source
        self._hidden = ("runtime.",) if source.minor < 24 else ("runtime.", "internal/runtime/")
        self._is_hidden: Dict[int, bool] = {}
        self._scale = Scale(self.period)
        self._runs = self._buckets.stacks.runs()
        self._plain: Dict[int, Piece] = {}  # locations of whole runs
        self._firsts: Dict[int, Piece] = {}  # and of those that are the first of which anything is shown
        self._all_hidden: Set[int] = set()  # runs that are the runtime's
        source.learn({pc for run in self._runs for pc in run})

    @cached_property
    def made(self) -> Locations:
        """See model.Profile."""
        return self._source.locations()

    def samples(self) -> Iterator[Sample]:
        """One for each bucket, also where nothing of it was published."""
        values, labels, pieces = _Values(self._scale), _SizeLabels(), self._pieces
        made = partial(tuple.__new__, Sample)  # what Sample() does, in half the time
        for counts, size, runs in zip(self._counts(), self._sizes(), self._buckets.stacks):
            yield made((values[counts], pieces(runs), labels[size]))

    def _counts(self) -> Iterator[Tuple[int, int, int, int]]:
        """Objects allocated and freed, and the bytes of both."""
        found = self._buckets
        if found.alloc_bytes:
            return zip(found.allocs, found.frees, found.alloc_bytes, found.free_bytes)
        allocated, freed = map(mul, found.allocs, found.sizes), map(mul, found.frees, found.sizes)
        return zip(found.allocs, found.frees, allocated, freed)

    def _sizes(self) -> Iterable[int]:
        """Of an object of each bucket."""
        found = self._buckets
        if not found.alloc_bytes:
            return found.sizes
        return (size // count if count else 0 for count, size in zip(found.allocs, found.alloc_bytes))

    def _pieces(self, runs: Sequence[int]) -> Tuple[Piece, ...]:
        """The locations of a stack that consists of those runs."""
        at = 0
        try:
            while runs[at] in self._all_hidden:
                at += 1
            return (self._firsts[runs[at]], *map(self._plain.__getitem__, runs[at + 1 :]))
        except LookupError:  # not met yet, or not to be had run by run
            pass
        stack = [pc for run in runs for pc in self._runs[run]]
        shown = self._shown_from(stack)
        pieces = self.made.pieces(stack[shown:])
        if runs and not self._is_hidden[stack[shown]]:
            self._learn(runs, shown)
        return pieces

    def _learn(self, runs: Sequence[int], shown: int) -> None:
        """Remember the locations of runs, where frames are shown from one on that is not the runtime's."""
        for run in runs:
            pcs = self._runs[run]
            if shown >= len(pcs):
                self._all_hidden.add(run)
            else:
                plain = self.made.plain(pcs[max(0, shown) :])
                if plain is not None:
                    (self._plain if shown < 0 else self._firsts)[run] = plain
            shown -= len(pcs)
            shown = -1 if shown < 0 else shown

    def _shown_from(self, stack: Sequence[int]) -> int:
        """The first frame that is not the runtime's; all are shown where there is no other."""
        hidden = self._is_hidden
        for at, pc in enumerate(stack):
            if pc not in hidden:
                name = self._source.callers.function_at(pc)
                hidden[pc] = name is not None and name.startswith(self._hidden)
            if not hidden[pc]:
                return at
        return 0


class _Values(Dict[Tuple[int, int, int, int], Tuple[int, ...]]):
    """The values of a sample by what was counted."""

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        self._scale = scale

    def __missing__(self, counts: Tuple[int, int, int, int]) -> Tuple[int, ...]:
        allocs, frees, allocated, freed = counts
        made = (*self._scale(allocs, allocated), *self._scale(allocs - frees, allocated - freed))
        if len(self) < _MOST_KEPT:
            self[counts] = made
        return made


class _SizeLabels(Dict[int, Tuple[Label, ...]]):
    """The label that says the size of a sample's objects."""

    def __missing__(self, size: int) -> Tuple[Label, ...]:
        made = self[size] = (Label("bytes", number=size),) if size else ()
        return made


def _read(source: Source) -> Tuple[Buckets, int]:
    """The buckets and the rate."""
    runtime = source.runtime
    rate = read_rate(runtime)
    if not rate and not _is_linked(source):
        raise ProblemError(
            "the program keeps no heap profile: nothing in it can write one, so it was linked without"
            " (importing net/http/pprof or runtime/pprof brings it in)"
        )
    buckets = read_profile(runtime, "mbuckets")
    if buckets is None or not (any(buckets.allocs) or rate):
        raise ProblemError(f"the program keeps no heap profile: {_why(rate)}")
    return buckets, USUAL_RATE if rate is None else _signed(rate)


def _is_linked(source: Source) -> bool:
    """Whether the program has the function by whose absence the linker turns the profile off (linksetup in
    cmd/link/internal/ld/lib.go)."""
    name = "runtime.MemProfile" if source.minor < _OWN_FUNCTION else "runtime.memProfileInternal"
    functions = source.callers.symtab.functions()
    return any(func.name == name for func in functions)


def _why(rate: Optional[int]) -> str:
    return "runtime.MemProfileRate is 0" if rate == 0 else "nothing was sampled so far"


def _signed(number: int) -> int:
    return number - 2 * _SIGN if number >= _SIGN else number
