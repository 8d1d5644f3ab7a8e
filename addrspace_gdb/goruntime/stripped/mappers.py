"""The mappings that packages syscall and x/sys/unix list (goruntime/mappers.py), where there are no symbols.

A package's init function makes the map and puts it into the mmapper. Its address counts when the mmapper
calls that package's own mmap and munmap: each is a pointer to a word that points to the function's code
(src/syscall/syscall_unix.go).
"""

from __future__ import annotations

from typing import List, Optional

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.mappers import MUTEX
from addrspace_gdb.goruntime.stripped.variables import Roots
from addrspace_gdb.target.protocol import Target


def find_mapper(target: Target, roots: Roots, package: str) -> Optional[int]:
    """Where the mmapper of a package lies; None if the program has none, or its code is not known."""
    wanted = [roots.entry(f"{package}.{function}") for function in ("mmap", "munmap")]
    if None in wanted:
        return None
    for place in roots.refers(f"{package}.init"):
        try:
            if _calls(target, place) == wanted:
                return place - MUTEX
        except UnreadableError:
            continue
    return None


def _calls(target: Target, active: int) -> List[int]:
    """The functions of the mmapper whose field `active` is there."""
    word = target.pointer_size
    return [_word(target, _word(target, active + word * field)) for field in (1, 2)]


def _word(target: Target, address: int) -> int:
    raw = target.read(address, target.pointer_size)
    return int.from_bytes(raw, "little" if target.byte_order == "little" else "big")
