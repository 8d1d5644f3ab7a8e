"""`$goregion(ADDRESS)`, as gdb sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional, Tuple

import gdb

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.debugger.gdb.session import GdbSession, guarded

if TYPE_CHECKING:
    from addrspace_gdb.space.reading.whole import Reading
    from addrspace_gdb.space.regions.partition import Partition

_kept: List[object] = []


def register(session: GdbSession) -> None:
    """Make the functions known to gdb. Doing it twice is harmless."""
    if not _kept:
        _kept.append(_RegionFunction(session))


class _RegionFunction(gdb.Function):
    """$goregion(ADDRESS [, LABEL]): the area that an address lies in, as a string.

    It is heap, goroutine-stacks, globals, code, runtime, thread-stacks, shared-libs, vdso, mapped-files or
    foreign, and where nothing is mapped free, null, non-canonical or kernel. With a LABEL that is not 0 kind
    and label of the region follow: "goroutine-stacks: goroutine 17".

      break main.work if $_streq($goregion(p), "goroutine-stacks")"""

    def __init__(self, session: GdbSession) -> None:
        super().__init__("goregion")
        self._session = session
        self._known: Optional[Tuple[Reading, Partition]] = None

    def invoke(self, *arguments: gdb.Value) -> str:
        """The area, or one line that says why it is not known."""
        return str(guarded(self._region, arguments))

    def _region(self, arguments: Tuple[gdb.Value, ...]) -> str:
        from addrspace_gdb.space.reading.claims import regions_of
        from addrspace_gdb.space.regions.partition import Partition

        try:
            numbers = [int(argument) for argument in arguments]
            address, label = numbers[0], any(numbers[1:])
        except (gdb.error, TypeError, ValueError, OverflowError, IndexError):
            raise ProblemError("$goregion: give an address") from None
        reading = self._session.reading()
        if self._known is None or self._known[0] is not reading:
            size = reading.info.pointer_size
            self._known = reading, Partition(*regions_of(reading), reading.mappings, size)
        mask = (1 << (8 * reading.info.pointer_size)) - 1
        region = self._known[1].region(address & mask)
        return f"{region.area}: {region.words}" if label else region.area
