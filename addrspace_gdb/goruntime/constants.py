"""A target of which some memory that does not change is held: where descriptors of types are read one by one,
also after the process was let go."""

from __future__ import annotations

from bisect import bisect_right
from typing import Iterable, List, Optional, Tuple

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.process.kept_memory import LetGoError
from addrspace_gdb.target.layout import Type
from addrspace_gdb.target.protocol import Facts, ProcFiles, Symbol, Target, Thread

_MAX_HELD = 1 << 27  # bytes


class ConstantsTarget:
    """`base`, with the memory of some ranges."""

    def __init__(self, base: Target, ranges: Iterable[Tuple[int, int]]) -> None:
        """`ranges`: [start, end). What is too large, or cannot be read, is left to `base`."""
        self._base = base
        self.kind, self.pid, self.executable = base.kind, base.pid, base.executable
        self.core_file, self.arch, self.hints = base.core_file, base.arch, base.hints
        self.pointer_size, self.byte_order = base.pointer_size, base.byte_order
        self._starts: List[int] = []
        self._held: List[bytes] = []
        room = _MAX_HELD
        for start, end in sorted(ranges):
            if 0 < end - start <= room:
                room -= end - start
                self._hold(start, end - start)

    def _hold(self, start: int, size: int) -> None:
        try:
            data = self._base.read(start, size)
        except UnreadableError:
            return
        self._starts.append(start)
        self._held.append(data)

    def read(self, address: int, size: int) -> bytes:
        """Exactly `size` bytes at `address`."""
        at = bisect_right(self._starts, address) - 1
        if at >= 0:
            first = address - self._starts[at]
            if first + size <= len(self._held[at]):
                return self._held[at][first : first + size]
        try:
            return self._base.read(address, size)
        except LetGoError:  # a damaged descriptor leads anywhere
            raise UnreadableError(address, size) from None

    @property
    def facts(self) -> Facts:
        """What is known of it."""
        return self._base.facts

    def symbol(self, name: str) -> Optional[Symbol]:
        """A variable by its linker name."""
        return self._base.symbol(name)

    def type(self, name: str) -> Optional[Type]:
        """A type by its name."""
        return self._base.type(name)

    def threads(self) -> List[Thread]:
        """Every thread."""
        return self._base.threads()

    def proc_files(self) -> Optional[ProcFiles]:
        """/proc/PID of it."""
        return self._base.proc_files()

    def evaluate(self, expression: str) -> int:
        """An address from an expression."""
        return self._base.evaluate(expression)
