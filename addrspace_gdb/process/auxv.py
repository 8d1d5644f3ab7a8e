"""The auxiliary vector, and the size of a page that it tells."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Dict, Optional

from addrspace_gdb.target.protocol import Auxiliary, Target

if TYPE_CHECKING:
    from addrspace_gdb.process.corefile import Core

PAGE_SIZE = 4096  # where nothing says another size
_AT_PAGESZ = 6  # include/uapi/linux/auxvec.h


def auxiliary_vector(target: Target, core: Optional[Core]) -> Dict[int, int]:
    """The auxiliary vector, empty where it is not known."""
    if core is not None:
        return core.auxv
    return target.auxv() if isinstance(target, Auxiliary) else {}


def page_size_of(target: Target, core: Optional[Core]) -> int:
    """Bytes of a page of the target, as the kernel told it."""
    if core is not None:
        return core.page_size
    if target.kind == "live":
        return os.sysconf("SC_PAGE_SIZE")
    size = auxiliary_vector(target, None).get(_AT_PAGESZ, 0)
    return size if 1 << 10 <= size <= 1 << 26 and not size & (size - 1) else PAGE_SIZE
