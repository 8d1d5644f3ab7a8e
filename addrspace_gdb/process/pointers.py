"""Reading words of the target's memory in bulk, where what cannot be read is simply not there."""

from __future__ import annotations

import struct
from typing import Callable, Optional, Tuple

from addrspace_gdb.common.problems import UnreadableError

Read = Callable[[int, int], bytes]  # (address, size) -> exactly size bytes, or UnreadableError


class Words:
    """A `read` function that decodes pointers."""

    def __init__(self, read: Read, pointer_size: int, byte_order: str) -> None:
        self.size = pointer_size
        self._read = read
        self._form = ("<" if byte_order == "little" else ">", "Q" if pointer_size == 8 else "I")

    def at(self, address: int, count: int) -> Optional[Tuple[int, ...]]:
        """`count` words from `address`; None where they cannot be read."""
        order, letter = self._form
        try:
            data = self._read(address, count * self.size)
            return struct.unpack(f"{order}{count}{letter}", data)
        except (UnreadableError, struct.error):
            return None
