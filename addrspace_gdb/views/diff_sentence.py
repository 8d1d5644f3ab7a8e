"""The verdict of a difference: by how much memory has grown, and what that is, in one sentence."""

from __future__ import annotations

from typing import Dict, Iterator

from addrspace_gdb.common import sizes
from addrspace_gdb.space.moments.diff import Change, Difference
from addrspace_gdb.space.regions import region

_NAMES: Dict[str, str] = {
    region.SHARED_LIBS: "shared libraries",
    region.HEAP: "the Go heap",
    region.GOROUTINE_STACKS: "goroutine stacks",
    region.GLOBALS: "globals",
    region.CODE: "code",
    region.RUNTIME: "Go's runtime",
    region.THREAD_STACKS: "thread stacks",
    region.VDSO: "the vDSO",
    region.MAPPED_FILES: "mapped files",
    region.FOREIGN: "other memory",
}
_MOST = 3  # areas that are named
_SHARE = 10  # those that are a tenth of the change at least


def sentence(diff: Difference) -> str:
    """ "Resident memory grew by 4.0 MiB, to 9.0 MiB: the Go heap by 3.0 MiB, ..."; what is mapped counts
    where residency is not known."""
    total, same = diff.total, diff.same_process
    known = total.resident is not None
    what = "resident memory" if known else "mapped memory"
    what = what.capitalize() if same else f"The second's {what}"
    now = sizes.size(total.after.resident if known else total.after.size)
    change = sizes.size(abs(total.growth))
    if total.growth == 0:
        return f"{what} is as large as {'before' if same else 'that of the first'}: {now}."
    grew = total.growth > 0
    if same:
        course = f"{'grew' if grew else 'shrank'} by {change}, to {now}"
    else:
        course = f"is {now}, {change} {'more' if grew else 'less'} than the first's"
    parts = ", ".join(_parts(diff, known))
    return f"{what} {course}{': ' if parts else ''}{parts}."


def _parts(diff: Difference, known: bool) -> Iterator[str]:
    """What changed most the same way, each with its bytes: resident ones if those of all are known, else
    mapped ones."""
    sign = 1 if diff.total.growth > 0 else -1

    def moved(one: Change) -> int:
        return sign * ((one.resident or 0) if known else one.size)

    for one in sorted(diff.areas, key=moved, reverse=True)[:_MOST]:
        change = moved(one)
        if change * _SHARE < abs(diff.total.growth):
            return
        area = one.area or ""
        yield f"{_NAMES.get(area, area)} by {sizes.size(change)}{_with(diff, area, sign)}"


def _with(diff: Difference, area: str, sign: int) -> str:
    """How many goroutines more or less the stacks are of."""
    many = diff.goroutines.after - diff.goroutines.before if diff.goroutines is not None else 0
    if area != region.GOROUTINE_STACKS or sign * many <= 0:
        return ""
    return f" ({sizes.plural(abs(many), 'more goroutine' if sign > 0 else 'fewer goroutine')})"
