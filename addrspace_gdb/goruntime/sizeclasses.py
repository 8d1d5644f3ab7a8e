"""Size classes of small objects (src/runtime/sizeclasses.go, since Go 1.25 internal/runtime/gc)."""

from __future__ import annotations

from typing import List

from addrspace_gdb.goruntime.buildinfo import version_of
from addrspace_gdb.goruntime.record import Runtime

PAGE_SHIFT = 13  # _PageShift, src/runtime/malloc.go (gc.PageShift since 1.25): 8 KiB on every architecture

# Go 1.25 moved class_to_size to internal/runtime/gc.
_TABLES = ("runtime.class_to_size", "internal/runtime/gc.SizeClassToSize")
_NUM_SIZE_CLASSES = 68  # gc.NumSizeClasses, all versions


def class_sizes(runtime: Runtime, count: int = _NUM_SIZE_CLASSES) -> List[int]:
    """Object size in bytes of each size class; 0 for class 0, which is large objects.

    A program without symbols has those of its release. KeyError if there is no such table. Raises
    UnreadableError.
    """
    for name in _TABLES:
        if runtime.has(name):
            raw = runtime.target.read(runtime.address(name), 2 * count)
            return [int.from_bytes(raw[i : i + 2], runtime.order) for i in range(0, 2 * count, 2)]
    from addrspace_gdb.goruntime.layouts import layouts_of

    layouts = layouts_of(version_of(runtime.target) or "", runtime.target.arch)[0]
    if layouts is None:
        raise KeyError("runtime.class_to_size")
    return list(layouts.size_classes)[:count]
