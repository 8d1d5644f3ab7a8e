"""Why it went wrong, in a sentence: pure words from a report."""

from __future__ import annotations

import os
from typing import List, Optional, Tuple

from addrspace_gdb.common import sizes
from addrspace_gdb.process.mappings import NO_ACCESS, Mapping
from addrspace_gdb.process.x86_jumps import RETURN
from addrspace_gdb.space.regions import go_claims
from addrspace_gdb.space.regions import region as areas
from addrspace_gdb.space.where.answers import Where
from addrspace_gdb.space.where.c_code import CPlace
from addrspace_gdb.space.where.death_cause import death_cause
from addrspace_gdb.space.where.fault import BUS_ADRALN, CrashReport, Fault
from addrspace_gdb.space.where.signalled import NAMES, SIGBUS, SIGFPE, SIGILL

_NIL = 4096  # below it sigpanic says "nil pointer dereference" (src/runtime/signal_unix.go)
_NEAR = 1 << 20
_KERNEL_CODE = 0x80
_ADRERR, _OBJERR = 2, 3  # of SIGBUS (asm-generic/siginfo.h)
_INTDIV = 1  # of SIGFPE
_CODE = (areas.CODE, areas.SHARED_LIBS, areas.VDSO)
_TRAP = "the instruction ud2, which compilers put where nothing may come (__builtin_trap, unreachable code)"

CODES = {
    (11, 1): "SEGV_MAPERR",
    (11, 2): "SEGV_ACCERR",
    (11, 3): "SEGV_BNDERR",
    (11, 4): "SEGV_PKUERR",
    (7, 1): "BUS_ADRALN",
    (7, 2): "BUS_ADRERR",
    (7, 3): "BUS_OBJERR",
    (7, 4): "BUS_MCEERR_AR",
    (7, 5): "BUS_MCEERR_AO",
    (8, 1): "FPE_INTDIV",
    (8, 2): "FPE_INTOVF",
    (31, 1): "SYS_SECCOMP",
    (5, 1): "TRAP_BRKPT",
    (5, 2): "TRAP_TRACE",
}

_SENT = {0: "SI_USER", -1: "SI_QUEUE", -2: "SI_TIMER", -6: "SI_TKILL"}

_MESSAGES = (
    (
        "stack overflow",
        "a goroutine's stack outgrew its limit{limit}: recursion without end, most likely{who}",
    ),
    ("concurrent map", "two goroutines used a map at once, one of them to write: a data race"),
    ("all goroutines are asleep", "every goroutine waits for another one: nothing can go on"),
    ("main called runtime.Goexit", "main ended by runtime.Goexit, and no goroutine is left that can go on"),
    ("out of memory", "the OS gave no more memory{detail}"),
    ("cannot allocate memory", "the OS gave no more memory{detail}"),
    ("checkptr", "checkptr refused a conversion or arithmetic of unsafe.Pointer (-race or -d=checkptr)"),
    ("fault", "a fault at an address where no nil pointer leads"),
    ("unexpected signal during runtime execution", "a fault inside the runtime itself"),
    ("sync: unlock of unlocked mutex", "a mutex was unlocked that nobody had locked"),
)


def code_name(signal: int, code: int) -> str:
    """ "SEGV_MAPERR", "SI_KERNEL", or the number."""
    if code == _KERNEL_CODE:
        return "SI_KERNEL"
    if code <= 0:
        return _SENT.get(code, f"code {code}, sent by a process")
    return CODES.get((signal, code), f"code {code}")


def cause(report: CrashReport) -> str:
    """One sentence."""
    fault = report.fault
    if fault is not None and not _is_about(report.message, "stack overflow"):
        thread = ", on a thread that Go did not make" if report.foreign else ""
        where = "" if _is_go(report) else f"in C code{_c_function(report)}{thread}: "
        return where + _of_fault(fault, report)
    if report.death is not None:
        return death_cause(report, report.death)
    if report.message is not None:
        return _of_message(report)
    if report.panics:
        return _of_panic(report)
    return "not known"


def _is_about(message: Optional[str], text: str) -> bool:
    return message is not None and text in message


def _is_go(report: CrashReport) -> bool:
    """Whether the faulting instruction is Go's; a jump to nowhere is whoever jumped's."""
    if report.in_c:
        return False
    return report.code is None or report.code.code is not None or report.code.region.area not in _CODE


def _in_c(report: CrashReport) -> List[CPlace]:
    """Frames of C that lie in a file."""
    return [place for place in report.c_frames if place.file]


def _c_function(report: CrashReport) -> str:
    """Its name in parentheses, and who called it where that is in another file."""
    places = _in_c(report)
    if not places:
        symbol = report.code.symbol if report.code is not None else None
        if symbol is not None:
            return f" ({symbol.name})"
        called = next((f.name for f in report.frames if "._Cfunc_" in (f.name or "")), None)
        return f" (C.{called.partition('._Cfunc_')[2]})" if called else ""
    first = places[0]
    callers = (place.name for place in places[1:] if place.file != first.file and place.name)
    caller = next(callers, None) if first.library else None
    name = first.name or first.file
    return f" ({name}, called by {caller})" if caller else f" ({name})"


def _of_fault(fault: Fault, report: CrashReport) -> str:
    if fault.signal == SIGFPE:
        return _of_division(fault)
    if fault.signal == SIGILL:
        return _TRAP if fault.instruction.trap else "an instruction that this processor does not have"
    if fault.transfer == RETURN:
        return f"a return to {fault.address:#x}, which is no code: the stack was overwritten"
    if fault.address is None:
        return "an address that no memory can have (the kernel does not tell which)"
    if fault.access == "execute" and report.where is not None and not report.where.region.permissions:
        return _call_of_nothing(fault.address, _is_go(report))
    if fault.signal == SIGBUS:
        return _bus(fault, report.where)
    assert report.where is not None
    return _segment(fault, fault.address, report.where, _is_go(report))


def _of_division(fault: Fault) -> str:
    if fault.code != _INTDIV:
        return "an arithmetic error"
    if fault.instruction.divisor:
        return "a division whose result is too large for an integer"
    return "integer division by zero"


def _call_of_nothing(address: int, go: bool) -> str:
    if not go:
        pointer = "a null function pointer" if address < _NIL else "a wild function pointer"
    else:
        pointer = "a nil func value" if address < _NIL else "a wild func value"
    return f"a call of {pointer}: nothing is mapped at {address:#x}"


def _verb(fault: Fault) -> str:
    verbs = {"read": "read", "write": "write", "read and write": "write", "execute": "call"}
    return verbs.get(fault.access or "", "access")


def _segment(fault: Fault, address: int, where: Where, go: bool) -> str:
    area, kind, verb = where.region.area, where.region.kind, _verb(fault)
    if address < _NIL or area == areas.NULL or (fault.instruction.base == 0 and area == areas.FREE):
        if address == 0 and go and fault.instruction.code_pointer:
            return "nil dereference: a call of a nil func value"
        field = f"the field at +{address:#x} of a nil pointer" if address else "a nil pointer"
        return f"nil dereference: {verb} of {field}"
    if area in (areas.NON_CANONICAL, areas.KERNEL):
        return f"wild pointer: {verb} at an address that no memory of a program can have"
    if area == areas.FREE:
        return _unmapped(verb, where)
    if kind == "stack guard":
        return f"stack overflow: {verb} of the guard below a thread's stack"
    if kind == go_claims.FREED_ARENA:
        return f"use after free: {verb} of a user arena that was freed"
    if where.mapping is not None and where.mapping.permissions[:3] in NO_ACCESS:
        what = (
            "address space that the heap has not used yet" if area == areas.HEAP else "memory without access"
        )
        return f"{verb} of {what} ({area}: {kind})"
    permissions = where.region.permissions
    if "w" not in permissions and fault.access != "read":
        return f"write to read-only memory ({area}: {kind})"
    if fault.access == "execute" and "x" not in permissions:
        return f"a jump into memory that holds no code ({area}: {kind})"
    return f"{verb} refused ({area}: {kind}, {permissions}); the mapping may have changed since"


def _unmapped(verb: str, where: Where) -> str:
    gap = where.gap
    assert gap is not None
    if "guard gap" in gap.hint:
        return f"stack overflow: {verb} below the main thread's stack"
    if "arena" in gap.hint:
        return f"{verb} of heap address space that has no memory ({gap.hint})"
    if "number" in gap.hint:
        return f"wild pointer: {verb} through a small number"
    distances = [where.address - gap.below.end] if gap.below is not None else []
    distances += [gap.above.start - where.address] if gap.above is not None else []
    if distances and min(distances) < _NEAR:
        near = f"{sizes.size(min(distances))} from memory that is mapped"
        return f"{verb} of memory that is not mapped, {near}: unmapped while in use, or past its end"
    return f"wild pointer: {verb} far from everything that is mapped"


def _bus(fault: Fault, where: Optional[Where]) -> str:
    if fault.code == BUS_ADRALN:
        return f"misaligned {_verb(fault)}: the processor was told to check alignment, or always does"
    mapping = where.mapping if where is not None else None
    if mapping is not None and mapping.file is not None and where is not None:
        offset = mapping.offset + where.address - mapping.start
        length, words = _length(mapping)
        if length is not None and offset >= -(-length // 4096) * 4096:
            over = f"the file ends at {length:,}, the {_verb(fault)} was at {offset:,}"
            return f"file truncated under its mapping: {over}"
        if fault.code == _ADRERR:
            return f"{_verb(fault)} past the end of the mapped file (at {offset:,}; {words})"
    if fault.code == _OBJERR:
        return "the device or the file system reported an error for this page"
    if fault.code in (4, 5):
        return "a hardware memory error"
    return f"{_verb(fault)} of a page that the kernel could not provide"


def _length(mapping: Mapping) -> Tuple[Optional[int], str]:
    try:
        return os.stat(mapping.file or "").st_size, ""
    except OSError:
        return None, "the file cannot be looked at now"


def _of_message(report: CrashReport) -> str:
    assert report.message is not None
    for text, sentence in _MESSAGES:
        if text in report.message:
            said = sentence.format(limit=_limit(report), who=_recursion(report), detail=_detail(report))
            return said + _main_waits(report)
    return report.message


def _main_waits(report: CrashReport) -> str:
    """Where the goroutine waits whose return would have ended the program."""
    if report.blocked is None:
        return ""
    main = report.blocked.main
    if main is None:
        return "; main ended by runtime.Goexit" if report.blocked.others else ""
    return f"; main waits in {main.user.function or 'code of the runtime'} ({main.state})"


def _limit(report: CrashReport) -> str:
    for line in report.printed:
        if "exceeds" in line and line.endswith("-byte limit"):
            number = line.split("exceeds ", 1)[1].split("-", 1)[0]
            return f" of {int(number):,} bytes" if number.isdigit() else ""
    return ""


def _detail(report: CrashReport) -> str:
    found = [line for line in report.printed if "cannot allocate" in line]
    return f" ({found[-1].partition('runtime: ')[2]})" if found else ""


def _recursion(report: CrashReport) -> str:
    names = [frame.name for frame in report.frames if frame.name]
    if not names:
        return ""
    most = max(set(names), key=names.count)
    return f" (in {most})" if names.count(most) > 2 else ""


def _of_panic(report: CrashReport) -> str:
    panic = report.panics[0]
    value = (
        panic.text if panic.text is not None else f"a {panic.type}" if panic.type else "a value not decoded"
    )
    return f"panic: {value}"


def signal_words(signal: int, code: int) -> str:
    """ "SIGSEGV, SEGV_MAPERR"."""
    return f"{NAMES.get(signal, f'signal {signal}')}, {code_name(signal, code)}"
