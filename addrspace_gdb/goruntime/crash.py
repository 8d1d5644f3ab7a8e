"""What the runtime has on record of a crash: panics, their signal, what it printed (panic.go, print.go)."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Set

from addrspace_gdb.common.escape import decoded
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.common.signals import usual_number
from addrspace_gdb.goruntime.printpanic import panic_value
from addrspace_gdb.goruntime.proc import M
from addrspace_gdb.goruntime.record import Record, Runtime
from addrspace_gdb.goruntime.rtype import Types

_MAX_PANICS = 64
FATAL = "fatal error: "


class Panic(NamedTuple):
    """One panic of a goroutine, the newest first. `text` is None where the value is not decoded."""

    type: Optional[str]
    text: Optional[str]
    recovered: bool
    goexit: bool


class SignalRecord(NamedTuple):
    """g.sig ff.: the signal that made a goroutine panic."""

    number: int
    code: int
    address: int
    pc: int


class Crash(NamedTuple):
    """Everything on record."""

    crashing: bool  # an unrecovered panic or a fatal error is being reported
    dying: List[M]  # the Ms that report it
    printed: str  # by the runtime and by println, before the report began: the last 512 bytes


def read_crash(runtime: Runtime, ms: List[M]) -> Crash:
    """Whether the process is dying, and of what, as far as the runtime says. Damage reads as nothing."""
    try:
        crashing = bool(runtime.global_number("runtime.panicking", 4))
    except (UnreadableError, ProblemError):
        crashing = False
    dying = [m for m in ms if _dying(runtime, m)]
    # panicking is counted down again when all is printed, before the process aborts (dopanic_m).
    return Crash(crashing or bool(dying), dying, _backlog(runtime))


def _dying(runtime: Runtime, m: M) -> bool:
    place = runtime.layout("runtime.m").scalar("dying")
    try:
        return any(runtime.target.read(m.address + place.offset, place.size))
    except UnreadableError:
        return False


def _backlog(runtime: Runtime) -> str:
    """runtime.printBacklog, a ring kept for whoever looks at a core (src/runtime/print.go)."""
    try:
        ring = runtime.variable("runtime.printBacklog").data
        index = runtime.global_word("runtime.printBacklogIndex")
    except (UnreadableError, ProblemError):
        return ""
    if index > len(ring):
        return ""
    return decoded((bytes(ring[index:]) + bytes(ring[:index])).strip(b"\0"))


def fatal_message(printed: str) -> Optional[str]:
    """The text behind the last "fatal error: ", None if nothing of the kind was printed."""
    at = printed.rfind(FATAL)
    if at < 0:
        return None
    return printed[at + len(FATAL) :].split("\n", 1)[0]


def printed_before(printed: str, lines: int = 3) -> List[str]:
    """The runtime's own lines just before its last "fatal error"."""
    at = printed.rfind(FATAL)
    before = printed[:at].splitlines() if at > 0 else []
    ours = ("runtime:", "unexpected fault", "accessed data from freed", "checkptr", "[")
    return [line for line in before[-lines:] if line.startswith(ours)]


def signal_record(runtime: Runtime, g: int) -> Optional[SignalRecord]:
    """The signal on record in a g; None if there is none."""
    record = _g(runtime, g)
    if record is None or not record.number("sig"):
        return None
    names = ("sig", "sigcode0", "sigcode1", "sigpc")
    number, *others = (record.number(name) for name in names)
    return SignalRecord(usual_number(number, runtime.target.arch.startswith("mips")), *others)


def _g(runtime: Runtime, g: int) -> Optional[Record]:
    try:
        return runtime.record("runtime.g", g)
    except (UnreadableError, ProblemError):
        return None


def panics(runtime: Runtime, types: Types, g: int) -> List[Panic]:
    """The panics of a goroutine, the newest first (g._panic)."""
    record = _g(runtime, g)
    at = record.number("_panic") if record is not None else 0
    found: List[Panic] = []
    seen: Set[int] = set()
    while at and at not in seen and len(found) < _MAX_PANICS:
        seen.add(at)
        try:
            one = runtime.record("runtime._panic", at)
        except (UnreadableError, ProblemError):
            break
        place, word = one.type.locate("arg"), runtime.word
        raw = one.data[place.offset : place.offset + 2 * word]
        type_, data = (int.from_bytes(raw[i * word : (i + 1) * word], runtime.order) for i in range(2))
        known = types.at(type_)
        flags = [one.has(name) and bool(one.number(name)) for name in ("recovered", "goexit")]
        text = panic_value(runtime, known, data) if known is not None else None if type_ else "nil"
        found.append(Panic(known.name if known is not None else None, text, *flags))
        at = one.number("link")
    return found
