"""What went wrong, as a card."""

from __future__ import annotations

import os
from typing import Iterator, Optional, Tuple

from addrspace_gdb.common import sizes
from addrspace_gdb.goruntime.crash import Panic
from addrspace_gdb.space.where.c_code import CPlace
from addrspace_gdb.space.where.deadlock import Blocked
from addrspace_gdb.space.where.fault import CrashReport, Death, Fault
from addrspace_gdb.space.where.fault_cause import cause, signal_words
from addrspace_gdb.space.where.signalled import SIGBUS, SIGSEGV
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.said import wrapped
from addrspace_gdb.views.kit.text import Line, clean, wrap
from addrspace_gdb.views.wherewords import facts, what

_INDENT = 14
_LINES = 3
_FRAMES = 8


def fault_card(
    report: CrashReport, width: Optional[int] = 100, unicode: bool = True, pointer_size: int = 8
) -> Iterator[tokens.Pair]:
    """The cause, what is known of the fault, where it led, and the goroutine's frames."""
    columns = width if width is not None else 1 << 16
    yield from wrapped(tokens.HEADING, cause(report), width, unicode)
    for name, text in _facts(report, pointer_size):
        for number, part in enumerate(wrap(clean(text, unicode), columns - _INDENT, _LINES, unicode)):
            line = Line(columns, unicode).put(tokens.QUIET, "" if number else f"  {name}").skip_to(_INDENT)
            yield from line.put(tokens.TEXT, part)


def _facts(report: CrashReport, pointer_size: int) -> Iterator[Tuple[str, str]]:
    if report.message is not None:
        yield "fatal error", report.message
    for number, panic in enumerate(report.panics):
        yield "panic" if not number else "after panic", panic_words(panic)
    for line in report.printed:
        yield "printed", line
    if report.fault is not None:
        yield from _fault(report.fault, report, pointer_size)
    if report.death is not None:
        yield from _death(report.death, report)
    if report.blocked is not None:
        yield from _blocked(report.blocked)
    else:
        yield from _frames(report)


def _blocked(blocked: Blocked) -> Iterator[Tuple[str, str]]:
    main = blocked.main
    if main is None:
        yield "main", "ended by runtime.Goexit, which does not end the program"
    else:
        spot = main.user
        place = f" {os.path.basename(spot.file)}:{spot.line}" if spot.file else ""
        yield "main", f"goroutine {main.goid} waits in {spot.function or sizes.UNKNOWN}{place} ({main.state})"
    for number, one in enumerate(blocked.others[:_FRAMES]):
        wait = "waits" if one.many == 1 else "wait"
        yield (
            "" if number else "others",
            f"{sizes.count(one.many)} {wait} in {one.function or sizes.UNKNOWN} ({one.state})",
        )
    more = len(blocked.others) - _FRAMES
    if more > 0:
        yield "", "and others (`goroutine-stacks --group stack` has them all)"


def _fault(fault: Fault, report: CrashReport, pointer_size: int) -> Iterator[Tuple[str, str]]:
    yield "signal", f"{signal_words(fault.signal, fault.code)}; by {fault.source}"
    if fault.signal in (SIGBUS, SIGSEGV):
        yield from _accessed(fault, pointer_size)
    yield "instruction", f"{fault.pc:#x} {_instruction(fault)}"
    if report.code is not None:
        yield "in", what(report.code)
    if fault.thread is not None:
        yield "thread", f"{fault.thread.number} ({fault.thread.tid})"
    if report.where is not None:
        yield "whereis", what(report.where)
        skipped = ("area", "why") if report.where.gap is not None else ("page",)
        for name, text in facts(report.where, pointer_size):
            if name not in skipped:
                yield f"  {name}", text


def _accessed(fault: Fault, pointer_size: int) -> Iterator[Tuple[str, str]]:
    if fault.address is None:
        yield "address", "not known: the kernel gives none for this fault"
    else:
        computed = ", from the instruction: the kernel gives none" if fault.computed else ""
        yield "address", f"{sizes.address(fault.address, pointer_size)}{computed}"
    yield "access", fault.access or "not known"


def _death(death: Death, report: CrashReport) -> Iterator[Tuple[str, str]]:
    yield "signal", f"{signal_words(death.signal, death.code)}; by {death.source}"
    if death.text is not None:
        yield "printed", death.text
    if report.code is not None:
        yield "in", what(report.code)
    yield "thread", f"{death.thread.number} ({death.thread.tid})"


def _c_words(place: CPlace) -> str:
    name = f"{place.function}+{place.offset}" if place.function else f"{place.pc:#x}"
    return f"{name} ({place.file})" if place.file else name


def _instruction(fault: Fault) -> str:
    """Its text; where nobody disassembles, its bytes."""
    if fault.instruction.text is not None:
        return " ".join(fault.instruction.text.split())
    return fault.instruction.code.hex(" ") or "?"


def panic_words(panic: Panic) -> str:
    """The value and its type."""
    text = panic.text if panic.text is not None else "a value that is not decoded"
    return f"{text} ({panic.type or 'type not known'})" + (", recovered" if panic.recovered else "")


def _frames(report: CrashReport) -> Iterator[Tuple[str, str]]:
    for number, c_place in enumerate(report.c_frames[:_FRAMES]):
        yield "" if number else "in C", _c_words(c_place)
    if report.foreign:
        yield "goroutine", "none: it happened on a thread that Go did not make"
        return
    if report.goid is None:
        yield "goroutine", "none: it happened on a thread's own stack, or is not on record"
        return
    yield (
        "goroutine",
        f"{report.goid}" + (f"; its frames: {report.frames_problem}" if report.frames_problem else ""),
    )
    for frame in report.frames[:_FRAMES]:
        place = f" {os.path.basename(frame.file)}:{frame.line}" if frame.line else ""
        yield "", f"{frame.name}{place}"
    more = len(report.frames) - _FRAMES
    if more > 0:
        yield "", f"and others (`goroutine-stacks {report.goid} --frames` has them all)"
