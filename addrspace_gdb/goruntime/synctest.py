"""Goroutines in a bubble of testing/synctest (src/runtime/synctest.go): only programs under test have any."""

from __future__ import annotations

from typing import Dict, NamedTuple, Optional

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.proc import GSCAN, WAITING, Goroutines, is_live
from addrspace_gdb.goruntime.record import Runtime


class Bubble(NamedTuple):
    """The bubble that a goroutine is in."""

    text: str  # as Go's dump has it: `synctest bubble 1`
    id: int
    durable: bool  # it waits for what is in the bubble too: "(durable)" in Go's dump


def read_bubbles(runtime: Runtime, goroutines: Goroutines) -> Dict[int, Bubble]:
    """The bubbles of those goroutines that are in one, by position in the columns. Never raises."""
    try:
        if not _any(runtime):
            return {}
        layout = runtime.layout("runtime.g")
        # Go 1.24, with GOEXPERIMENT=synctest, has groups, which are known by the goroutine that made them.
        offset = layout.scalar("bubble", "syncGroup").offset
        old = not layout.has("bubble")
        idle = b"" if old else _idle(runtime)
        found: Dict[int, Bubble] = {}
        names: Dict[int, Optional[int]] = {}
        for at, (g, status, reason) in enumerate(goroutines.rows("address", "status", "waitreason")):
            pointer = runtime.word_at(g + offset) if is_live(status) else 0
            if not pointer:
                continue
            if pointer not in names:
                names[pointer] = _id(runtime, goroutines, pointer, old)
            number = names[pointer]
            if number is not None:
                # 1.25 also says it of goroutines that do not wait any more; later ones do not.
                durable = status & ~GSCAN == WAITING and idle[reason : reason + 1] == b"\1"
                found[at] = Bubble(f"synctest {'group' if old else 'bubble'} {number}", number, durable)
        return found
    except (UnreadableError, ProblemError, KeyError) as error:
        runtime.problems.add(f"synctest bubbles: {error}")
        return {}


def _any(runtime: Runtime) -> bool:
    """Whether the program has made a bubble: the linker leaves synctest out of most."""
    if runtime.has("runtime.bubbleGen"):  # Go 1.25 and later
        return runtime.global_number("runtime.bubbleGen", 8) != 0
    return runtime.layout("runtime.g").has("syncGroup") and runtime.has("internal/synctest.Run")


def _id(runtime: Runtime, goroutines: Goroutines, pointer: int, old: bool) -> Optional[int]:
    try:
        if not old:
            return runtime.record("runtime.synctestBubble", pointer).number("id")
        root = runtime.record("runtime.synctestGroup", pointer).number("root")
    except UnreadableError:
        runtime.problems.add(f"the synctest bubble at {pointer:#x} cannot be read; left out")
        return None
    return next((goid for g, goid in goroutines.rows("address", "goid") if g == root), None)


def _idle(runtime: Runtime) -> bytes:
    """isIdleInSynctest (src/runtime/runtime2.go): a bool for each wait reason."""
    symbol = runtime.target.symbol("runtime.isIdleInSynctest")
    size = symbol.size or (symbol.type.size if symbol.type else 0) if symbol else 0
    return runtime.target.read(symbol.address, size) if symbol and 0 < size <= 256 else b""
