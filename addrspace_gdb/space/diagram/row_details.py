"""The one line of living detail that each row of the diagram has."""

from __future__ import annotations

import os
from typing import Callable, Dict, List, Sequence

from addrspace_gdb.common import sizes
from addrspace_gdb.common.escape import printable
from addrspace_gdb.goruntime.stackpieces import FREE_CACHE, FREE_LARGE, FREE_POOL, SIGNAL_STACK, SYSTEM_STACK
from addrspace_gdb.space.diagram import bands as rows
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.space.regions import go_claims
from addrspace_gdb.space.regions.image_claims import PADDING
from addrspace_gdb.space.regions.partition import total
from addrspace_gdb.space.regions.region import Region

ROOM = 50  # columns of a detail line in a diagram of 100 columns


def by_kind(regions: Sequence[Region]) -> Dict[str, int]:
    """Bytes of each kind, largest first."""
    found: Dict[str, int] = {}
    for region in regions:
        found[region.kind] = found.get(region.kind, 0) + region.size
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _listing(amounts: Dict[str, int], room: int = ROOM) -> str:
    """ "kind size" of the largest kinds, as many as fit; an ellipsis for the rest."""
    text = ""
    for kind, size in amounts.items():
        item = f"{', ' if text else ''}{kind} {sizes.size(size)}"
        if size and len(text) + len(item) > room:
            return text + ", …" if text else item
        text += item if size else ""
    return text


def _heap(regions: Sequence[Region], reading: Reading) -> str:
    amounts, spans = by_kind(regions), reading.go.spans
    free, returned = (amounts.get(kind, 0) for kind in (go_claims.FREE_PAGES, go_claims.RETURNED_PAGES))
    parts = [
        f"{sizes.plural(spans.in_use, 'span')}, {sizes.plural(spans.objects, 'object')} in use",
        f"{sizes.size(free)} free, {sizes.size(returned)} returned",
    ]
    if reading.go.arenas.next_arena is not None:
        parts.append(f"next arena {reading.go.arenas.next_arena:#x}")
    return "; ".join(parts)


def _stacks(regions: Sequence[Region], reading: Reading) -> str:
    amounts, use = by_kind(regions), reading.stack_use
    free = sum(amounts.get(kind, 0) for kind in (FREE_POOL, FREE_CACHE, FREE_LARGE))
    system = amounts.get(SYSTEM_STACK, 0) + amounts.get(SIGNAL_STACK, 0)
    text = sizes.plural(use.goroutines, "goroutine")
    text += f" use {sizes.size(use.used)} of {sizes.size(use.allocated)}"
    return f"{text}; threads' own {sizes.size(system)}; free {sizes.size(free)}"


def _runtime(regions: Sequence[Region], reading: Reading) -> str:
    if total(r.resident for r in regions) is None:
        return _listing(by_kind(regions))
    resident: Dict[str, int] = {}
    for region in regions:
        resident[region.kind] = resident.get(region.kind, 0) + (region.resident or 0)
    return "resident: " + _listing(dict(sorted(resident.items(), key=lambda item: -item[1])), 2 * ROOM - 20)


def _kinds(regions: Sequence[Region], reading: Reading) -> str:
    return _listing({kind: size for kind, size in by_kind(regions).items() if kind != PADDING})


def _code(regions: Sequence[Region], reading: Reading) -> str:
    functions = f"{sizes.count(reading.functions)} Go functions, " if reading.functions else ""
    text = {kind: size for kind, size in by_kind(regions).items() if kind != PADDING}
    return functions + _listing(text, ROOM - len(functions))


def _libraries(regions: Sequence[Region], reading: Reading) -> str:
    return _names(sorted({r.label for r in regions if r.label}), "library", "libraries")


def _files(regions: Sequence[Region], reading: Reading) -> str:
    return _names(sorted({os.path.basename(r.file or "") for r in regions}), "file", "files")


def _names(names: List[str], one: str, more: str) -> str:
    text = sizes.plural(len(names), one, more)
    shown = ", ".join(printable(name) for name in names[:4])
    return f"{text}: {shown}" + (", …" if len(names) > 4 else "")


def _main_stack(regions: Sequence[Region], reading: Reading) -> str:
    main = reading.main_thread
    for region in regions:
        if main is not None and main.sp is not None and region.start <= main.sp < region.end:
            return f"{sizes.size(region.end - main.sp)} used; arguments and environment at its top"
    return "arguments and environment at its top"


def _threads(regions: Sequence[Region], reading: Reading) -> str:
    counts: Dict[str, int] = {}
    for region in regions:
        counts[region.kind] = counts.get(region.kind, 0) + 1
    words = {"stack guard": "guard"}
    return ", ".join(sizes.plural(count, words.get(kind, kind)) for kind, count in counts.items())


def _vdso(regions: Sequence[Region], reading: Reading) -> str:
    return "the kernel's, for system calls: " + ", ".join(sorted({r.kind for r in regions}))


_BY_ROW: Dict[str, Callable[[Sequence[Region], Reading], str]] = {
    rows.HEAP_ROW: _heap,
    rows.STACKS_ROW: _stacks,
    rows.RUNTIME_ROW: _runtime,
    rows.CODE_ROW: _code,
    rows.LIBS_ROW: _libraries,
    "Mapped Files": _files,
    rows.MAIN_STACK_ROW: _main_stack,
    rows.THREADS_ROW: _threads,
    "vDSO": _vdso,
}


def detail(name: str, regions: Sequence[Region], reading: Reading) -> str:
    """What there is to say about the row `name`, in one line."""
    return _BY_ROW.get(name, _kinds)(regions, reading)
