"""Objects of which the heap profile has samples: where they were allocated says what they are."""

from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.allocation_sites import CHANNEL, MAP, TEXT, VALUE, AllocationSites, Site
from addrspace_gdb.goruntime.mprof import read_some
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.rtype import RType, Types
from addrspace_gdb.goruntime.shape import MANY, NOTHING, ONE, UNKNOWN, Direct
from addrspace_gdb.goruntime.shape import TEXT as TEXT_SHAPE
from addrspace_gdb.goruntime.specials import read_sampled
from addrspace_gdb.goruntime.symtab import Symtab
from addrspace_gdb.goruntime.typeshapes import Shapes
from addrspace_gdb.space.graph.statics import Said
from addrspace_gdb.space.reading.whole import Reading

_DEPTH = 16  # frames that the runtime may have of an allocation, with the first that is not its own
_MAX_STACKS = 1 << 16
_CLOSURE = (
    "struct { F uintptr"  # how the type of a closure begins (cmd/compile/internal/typecheck, ClosureType)
)

_Slot = Callable[[int, bool], int]


class Sample(NamedTuple):
    """An object: where its slot begins, bytes that were asked for (or its slot has), and its site."""

    object: int
    size: int
    site: Optional[Site]


class Allocated(NamedTuple):
    """All sampled objects, and of sites that may make closures the code that one of those has."""

    samples: List[Sample]
    codes: Dict[Site, int]
    whole: bool = True  # False: there are more samples


def gather_allocated(reading: Reading, runtime: Runtime, tables: Symtab, types: Types) -> Allocated:
    """What the process says of them. Raises UnreadableError, ProblemError and KeyError."""
    sampled = read_sampled(runtime, reading.go.spans.columns)
    stacks = sorted({*sampled.buckets})
    buckets = read_some(runtime, stacks[:_MAX_STACKS], _DEPTH)
    sites = AllocationSites(runtime.target, tables)
    of = {address: (one.size, sites.of(one.stack)) for address, one in buckets.items()}
    samples = [
        Sample(address, *of[bucket])
        for address, bucket in zip(sampled.objects, sampled.buckets)
        if bucket in of
    ]
    whole = sampled.whole and len(stacks) <= _MAX_STACKS
    return Allocated(samples, _codes(runtime, samples, types), whole)


def _codes(runtime: Runtime, samples: List[Sample], types: Types) -> Dict[Site, int]:
    """What the first word is of one object of each site that may make closures."""
    first = {one.site: one.object for one in samples if one.site is not None and one.site.makes != TEXT}
    found = {}
    for site, address in first.items():
        type_ = types.at(site.type)
        if type_ is not None and type_.name.startswith(_CLOSURE):
            try:
                found[site] = runtime.word_at(address)
            except UnreadableError:
                continue
    return found


def say_allocated(
    allocated: Allocated,
    types: Types,
    shapes: Shapes,
    slot: _Slot,
    closure: Callable[[int, int], int],
    said: Said,
) -> None:
    """What they are. `slot`: bytes that a value of a size is allocated in; `closure`: the shape of one with
    that code which is allocated as a struct of that type, NOTHING if it is none."""
    known: Dict[Tuple[Optional[Site], int], Direct] = {}
    made = _Made(types, shapes, slot)
    of_codes = {site: closure(code, site.type) for site, code in allocated.codes.items()}
    for one in allocated.samples:
        if of_codes.get(one.site, NOTHING):  # type: ignore[arg-type]
            said.put_site(one.object, ONE, of_codes[one.site])  # type: ignore[index]
            continue
        key = one.site, one.size
        if key not in known:
            known[key] = made.of(one.site, one.size) if one.site is not None else Direct(UNKNOWN, NOTHING)
        said.put_site(one.object, *known[key])


class _Made:
    """What a site makes, as a pointer to it would say it."""

    def __init__(self, types: Types, shapes: Shapes, slot: _Slot) -> None:
        self._types, self._shapes, self._slot = types, shapes, slot

    def of(self, site: Site, size: int) -> Direct:
        """Of an allocation of so many bytes; UNKNOWN if that cannot be."""
        if site.makes == TEXT:
            return Direct(MANY, TEXT_SHAPE)
        type_ = self._types.at(site.type)
        if type_ is None:
            return Direct(UNKNOWN, NOTHING)
        if site.makes == MAP:
            return self._of_map(type_, site, size)
        if site.makes == CHANNEL:
            return self._of_channel(type_, site)
        if not type_.size or size < type_.size:
            return Direct(UNKNOWN, NOTHING)
        several = size > max(self._slot(type_.size, True), self._slot(type_.size, False))
        if several and site.makes == VALUE:
            return Direct(UNKNOWN, NOTHING)
        return Direct(MANY if several else ONE, self._shapes.of_type(type_.address))

    def _of_map(self, type_: RType, site: Site, size: int) -> Direct:
        if type_.kind != "map":
            return Direct(UNKNOWN, NOTHING)
        inner = self._types.at(site.inner) if site.inner is not None else None
        return self._shapes.of_map(type_.address, inner.name if inner is not None else None, size)

    def _of_channel(self, type_: RType, site: Site) -> Direct:
        """makechan: one object, or two where elements have pointers."""
        if type_.kind != "chan":
            return Direct(UNKNOWN, NOTHING)
        return self._shapes.of_channel(type_.address, site.inner is not None)
