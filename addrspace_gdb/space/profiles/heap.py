"""The heap profile that the runtime keeps, scaled as Go scales it (src/runtime/pprof/protomem.go)."""

from __future__ import annotations

from functools import cached_property
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.goruntime.mprof import Buckets, read_profile
from addrspace_gdb.goruntime.sampling import USUAL_RATE, Scale, read_rate
from addrspace_gdb.space.profiles.locations import Locations
from addrspace_gdb.space.profiles.model import Label, Sample, ValueType
from addrspace_gdb.space.profiles.source import Source

_SIGN = 1 << 63
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
        source.learn(set(self._buckets.pcs))

    @cached_property
    def made(self) -> Locations:
        """See model.Profile."""
        return self._source.locations()

    def samples(self) -> Iterator[Sample]:
        """One for each bucket, also where nothing of it was published."""
        labels: Dict[int, Tuple[Label, ...]] = {}
        scale, numbers = self._scale, self.made.numbers
        for allocs, allocated, frees, freed, size, stack in self._rows():
            values = (*scale(allocs, allocated), *scale(allocs - frees, allocated - freed))
            if size not in labels:
                labels[size] = (Label("bytes", number=size),) if size else ()
            yield Sample(values, numbers(stack[self._shown_from(stack) :]), labels[size])

    def _rows(self) -> Iterator[Tuple[int, int, int, int, int, Sequence[int]]]:
        """Objects and bytes allocated and freed, the size of an object, and the stack."""
        found = self._buckets
        if found.alloc_bytes:
            counts = zip(found.allocs, found.alloc_bytes, found.frees, found.free_bytes, found.stacks())
            for allocs, allocated, frees, freed, stack in counts:
                yield allocs, allocated, frees, freed, allocated // allocs if allocs else 0, stack
            return
        for allocs, frees, size, stack in zip(found.allocs, found.frees, found.sizes, found.stacks()):
            yield allocs, allocs * size, frees, frees * size, size, stack

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
