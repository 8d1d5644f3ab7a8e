"""What went wrong, as a card and as `fault/1`."""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List, Optional, Tuple

from addrspace_gdb import sizes
from addrspace_gdb.goruntime.crash import Panic
from addrspace_gdb.goruntime.traceback import Frame
from addrspace_gdb.space.fault import FAULTS, Fault, Report
from addrspace_gdb.space.faultcause import cause, code_name, signal_words
from addrspace_gdb.space.model import TargetInfo
from addrspace_gdb.views import tokens
from addrspace_gdb.views.jsonform import target_json
from addrspace_gdb.views.text import Line, clean, wrap
from addrspace_gdb.views.whereisjson import place_json
from addrspace_gdb.views.wherewords import facts, what

SCHEMA = "fault/1"
_INDENT = 14
_LINES = 3
_FRAMES = 8


def fault_card(
    report: Report, width: Optional[int] = 100, unicode: bool = True, pointer_size: int = 8
) -> Iterator[tokens.Pair]:
    """The cause, what is known of the fault, where it led, and the goroutine's frames."""
    columns = width if width is not None else 1 << 16
    for part in wrap(clean(cause(report), unicode), columns, _LINES, unicode):
        yield from Line(columns, unicode).put(tokens.HEADING, part)
    for name, text in _facts(report, pointer_size):
        for number, part in enumerate(wrap(clean(text, unicode), columns - _INDENT, _LINES, unicode)):
            line = Line(columns, unicode).put(tokens.QUIET, "" if number else f"  {name}").skip_to(_INDENT)
            yield from line.put(tokens.TEXT, part)


def _facts(report: Report, pointer_size: int) -> Iterator[Tuple[str, str]]:
    if report.message is not None:
        yield "fatal error", report.message
    for number, panic in enumerate(report.panics):
        yield "panic" if not number else "after panic", panic_words(panic)
    for line in report.printed:
        yield "printed", line
    if report.fault is not None:
        yield from _fault(report.fault, report, pointer_size)
    yield from _frames(report)


def _fault(fault: Fault, report: Report, pointer_size: int) -> Iterator[Tuple[str, str]]:
    yield "signal", f"{signal_words(fault)}; by {fault.source}"
    if fault.address is None:
        yield "address", "not known: the kernel gives none for this fault"
    else:
        computed = ", from the instruction: the kernel gives none" if fault.computed else ""
        yield "address", f"{sizes.address(fault.address, pointer_size)}{computed}"
    yield "access", fault.access or "not known"
    yield "instruction", f"{fault.pc:#x} {' '.join((fault.instruction or '?').split())}"
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


def panic_words(panic: Panic) -> str:
    """The value and its type."""
    text = panic.text if panic.text is not None else "a value that is not decoded"
    return f"{text} ({panic.type or 'type not known'})" + (", recovered" if panic.recovered else "")


def _frames(report: Report) -> Iterator[Tuple[str, str]]:
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


def fault_json(info: TargetInfo, report: Report, problems: List[str]) -> Dict[str, Any]:
    """The document."""
    return {
        "schema": SCHEMA,
        "target": target_json(info),
        "cause": cause(report),
        "fault": _fault_json(report.fault),
        "where": place_json(report.where) if report.where is not None else None,
        "code": place_json(report.code) if report.code is not None else None,
        "goroutine": report.goid,
        "frames": [_frame_json(frame) for frame in report.frames],
        "panics": [_panic_json(panic) for panic in report.panics],
        "message": report.message,
        "printed": report.printed,
        "crashing": report.crashing,
        "problems": problems,
    }


def _fault_json(fault: Optional[Fault]) -> Optional[Dict[str, Any]]:
    if fault is None:
        return None
    return {
        "signal": FAULTS[fault.signal],
        "code": fault.code,
        "code_name": code_name(fault.signal, fault.code),
        "address": None if fault.address is None else hex(fault.address),
        "computed": fault.computed,
        "access": fault.access,
        "pc": hex(fault.pc),
        "instruction": fault.instruction,
        "source": fault.source,
        "thread": fault.thread.tid if fault.thread is not None else None,
    }


def _frame_json(frame: Frame) -> Dict[str, Any]:
    return {"function": frame.name, "file": frame.file, "line": frame.line, "pc": hex(frame.pc)}


def _panic_json(panic: Panic) -> Dict[str, Any]:
    return {"type": panic.type, "value": panic.text, "recovered": panic.recovered}
