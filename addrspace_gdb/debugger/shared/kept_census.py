"""The goroutines of a debugger's selected target, read once until it moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Optional

from addrspace_gdb.target.protocol import Target

if TYPE_CHECKING:
    from addrspace_gdb.space.goroutines.census import Census


class KeptCensus:
    """What was read last."""

    def __init__(self, read: Optional[Callable[[Target], None]] = None) -> None:
        """`read` is called when the goroutines of a target were read."""
        self._census: Optional[Census] = None
        self._read = read

    def of(self, target: Target) -> Census:
        """All goroutines of a target, which is another one when it has moved. ProblemError."""
        if self._census is None or self._census.target is not target:
            from addrspace_gdb.space.goroutines.census import Census

            self._census = Census(target)
            if self._read is not None:
                self._read(target)
        return self._census
