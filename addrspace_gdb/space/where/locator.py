"""What is at an address: the partition says the area, and who knows that area says the rest."""

from __future__ import annotations

from bisect import bisect_right
from typing import List, Optional, Sequence, Tuple

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.common.problems import Problems, UnreadableError
from addrspace_gdb.goruntime.malloc import Owned
from addrspace_gdb.goruntime.moduledata import modules
from addrspace_gdb.goruntime.persistent import SPAN_STRUCTURES, PersistentOwners
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.rtype import Types
from addrspace_gdb.space.goroutines.walk import start_of
from addrspace_gdb.space.reading.claims import regions_of
from addrspace_gdb.space.reading.goroutines import GoroutineReading, of_reading
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.space.regions import region as areas
from addrspace_gdb.space.regions.partition import Partition
from addrspace_gdb.space.regions.region import UNMAPPED_AREAS, Region
from addrspace_gdb.space.where.answers import InCode, InRuntime, InSymbol, InType, Where
from addrspace_gdb.space.where.heap import HeapPlaces
from addrspace_gdb.space.where.image import ImagePlaces
from addrspace_gdb.space.where.stack import StackPlaces
from addrspace_gdb.space.where.unmapped import gap_at
from addrspace_gdb.target.protocol import Target, Value

DETAILED = 64  # so many addresses are told with what debug information has; more are told without

_GO = (areas.CODE, areas.GLOBALS)
_NAMED = (areas.GLOBALS, areas.SHARED_LIBS, areas.VDSO)  # most addresses there need the debugger's names


class Locator:
    """Says what is at addresses of one reading; `target` must be where the reading left it."""

    def __init__(self, reading: Reading, target: Target) -> None:
        self.reading, self.target = reading, target
        self.partition = Partition(*regions_of(reading), reading.mappings, reading.info.pointer_size)
        self.problems = Problems()
        self.runtime = Runtime(target, self.problems)
        self.goroutines: GoroutineReading = of_reading(target, reading, none_too=True)
        self.tables = self.goroutines.tables
        self.types = Types(self.runtime, modules(target, self.problems))
        self.heap = HeapPlaces(reading, target, self.runtime, self.types, self.tables)
        self.stacks = StackPlaces(reading, self.goroutines, target)
        self.images = ImagePlaces(target, self.types, self.tables)
        self._owners: Optional[List[Owned]] = None
        self._owner_starts: List[int] = []

    def locate(self, values: Sequence[Value]) -> List[Where]:
        """One answer for each value, in their order."""
        detailed = len(values) <= DETAILED
        with no_cycle_collection():
            regions = [self.partition.region(value.address) for value in values]
            if not detailed:
                self.images.name([v.address for v, r in zip(values, regions) if r.area in _NAMED])
            found = [self._where(value, region, detailed) for value, region in zip(values, regions)]
            return [self._with_holder(where) for where in found] if detailed else found

    def _with_holder(self, where: Where) -> Where:
        at = where.value.held_at
        if at is None:
            return where
        return where._replace(held=self._where(Value(hex(at), at), self.partition.region(at), True))

    def _where(self, value: Value, region: Region, detailed: bool) -> Where:
        address, area = value.address, region.area
        said = self._said(value) if value.said_by else value.type
        if area in UNMAPPED_AREAS:
            gap = gap_at(address, region, self.partition, self.reading, self.heap)
            return Where(value, region, None, None, said, gap=gap)
        mapping, resident = self.partition.mapping(address), self._resident(address)
        if area == areas.HEAP:
            return Where(value, region, mapping, resident, said, heap=self.heap.find(address, detailed))
        if area in (areas.GOROUTINE_STACKS, areas.THREAD_STACKS):
            stack = self.stacks.find(address, detailed) or self.stacks.thread(address)
            return Where(value, region, mapping, resident, said, stack=stack)
        if area == areas.RUNTIME:
            owner, itab = self._owner(address, region), self._itab(address)
            return Where(value, region, mapping, resident, said, runtime=owner, type=itab)
        code, type_, symbol = self._in_image(value, area, detailed)
        return Where(value, region, mapping, resident, said, code=code, type=type_, symbol=symbol)

    def _in_image(
        self, value: Value, area: str, detailed: bool
    ) -> Tuple[Optional[InCode], Optional[InType], Optional[InSymbol]]:
        """Who knows most of an address in the program or a library; the others are None."""
        address = value.address
        code = self.images.code(address) if area == areas.CODE else None
        type_ = self.images.type(address) if area == areas.GLOBALS else None
        if code is not None or type_ is not None or area not in (areas.CODE, *_NAMED):
            return code, type_, None
        size = value.size if value.note else None
        return None, None, self.images.symbol(address, area in _GO, detailed, size)

    def _said(self, value: Value) -> Optional[str]:
        """The type of what an interface value points to, by its itab or type descriptor."""
        itab = self.types.itab(value.said_by)
        if itab is not None and itab.address == value.said_by:
            name = itab.type
        else:
            found = self.types.at(value.said_by)
            name = found.name if found is not None else None
        # An interface holds a pointer as it is, and of anything else the address.
        return name[1:] if name is not None and name.startswith("*") else name

    def _itab(self, address: int) -> Optional[InType]:
        found = self.images.type(address)
        return found if found is not None and found.sort == "itab" else None

    def _resident(self, address: int) -> Optional[bool]:
        page = self.reading.info.page_size
        start = address // page * page
        amount = self.reading.residency.resident(start, start + page)
        return None if amount is None else amount > 0

    def _owner(self, address: int, region: Region) -> InRuntime:
        if self._owners is None:
            self._owners = sorted(PersistentOwners(self.runtime, self.reading.go).each)
            self._owner_starts = [owned.start for owned in self._owners]
        index = bisect_right(self._owner_starts, address) - 1
        owned = self._owners[index] if index >= 0 else None
        if owned is not None and address < owned.end:
            detail = self._span_of_structure(address) if owned.kind == SPAN_STRUCTURES else owned.label
            return InRuntime(owned.kind, owned.start, owned.end, detail)
        detail = region.label
        if region.kind == "arena metadata":
            detail = self._arena_of(address) or detail
        return InRuntime(region.kind, region.start, region.end, detail)

    def _span_of_structure(self, address: int) -> str:
        """Which span an mspan stands for."""
        addresses = self.reading.go.spans.addresses
        index = bisect_right(addresses, address) - 1
        layout = self.runtime.layout("runtime.mspan")
        if index < 0 or address >= addresses[index] + layout.size:
            return ""
        try:
            row = self.heap.slots.read(addresses[index])
        except UnreadableError:
            return ""
        return (
            f"mspan {addresses[index]:#x} of the span at {row.start:#x}"
            if row.state
            else "an mspan not in use"
        )

    def _arena_of(self, address: int) -> str:
        size = self.reading.go.arenas.metadata_size
        for arena in self.reading.go.arenas.arenas:
            if arena.metadata <= address < arena.metadata + size:
                return f"heapArena of the arena at {arena.start:#x}"
        return ""


def goroutine_values(locator: Locator, goid: int, expression: str) -> List[Value]:
    """The g of a goroutine, and where its stack pointer is. Empty if there is none of that number."""
    columns = locator.goroutines.goroutines
    at = columns.of_goid(goid)
    if at is None:
        return []
    found = {"g": columns.column("address")[at], "sp": start_of(locator.goroutines, at).sp}
    return [Value(f"{expression} {name}", address) for name, address in found.items() if address]
