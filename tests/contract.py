"""What every `Target` must answer, checked on one by whoever has it: a test, or a debugger's Python.

`Known` is what is known of the process from elsewhere: the kernel and the program's file.
"""

from __future__ import annotations

import traceback
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.target import protocol
from addrspace_gdb.target.hints import Hints
from addrspace_gdb.target.protocol import Facts, Symbol, Target

NONSENSE = ("", "no_such_symbol_here", "1 +", "$no_such_register + 1", "(", "\x1b[31m", "é", "*1", "1 2")
FAR = 0x10  # nothing is ever mapped there
AT_PAGESZ, AT_ENTRY = 6, 9


class Known(NamedTuple):
    """Numbers are addresses where nothing else is said."""

    kind: str
    pid: Optional[int]
    executable: Optional[str]
    core_file: Optional[str]
    arch: str
    pointer_size: int
    mheap: int
    mheap_size: int
    entry: int
    page: int  # bytes
    head: str  # the first bytes of the program as it is mapped, in hexadecimal
    head_at: int
    code: Tuple[int, int]
    mappings: List[Tuple[int, int]]
    tids: List[int]  # empty: they are not looked at
    stand: List[Tuple[int, int, int]]  # a thread's id, stack pointer and pc, as the kernel says them
    evaluates: bool
    has_proc: bool


def broken(target: Target, known: Known) -> List[str]:
    """One text for each part of the contract that is not kept."""
    found: List[str] = []
    for check in CHECKS:
        try:
            check(target, known)
        except Exception:
            found.append(f"{check.__name__}: {traceback.format_exc()}")
    return found


def same(found: object, expected: object) -> None:
    """Say both where they differ: inside a debugger nobody else does."""
    if found != expected:
        raise AssertionError(f"{found!r} is not {expected!r}")


def true(found: object, what: object) -> None:
    """As `same`, for what is true or false."""
    if not found:
        raise AssertionError(f"not true of {what!r}")


def attributes(target: Target, known: Known) -> None:
    same((target.kind, target.pid, target.arch), (known.kind, known.pid, known.arch))
    same((target.executable, target.core_file), (known.executable, known.core_file))
    same((target.pointer_size, target.byte_order), (known.pointer_size, "little"))
    true(isinstance(target.hints, Hints) and all(target.hints), target.hints)


def facts(target: Target, known: Known) -> None:
    same(
        (isinstance(target.facts, Facts), target.facts.replaying, target.facts.guessed), (True, False, False)
    )
    true((target.facts.core_name is not None) == (known.core_file is not None), target.facts)


def reads(target: Target, known: Known) -> None:
    head = bytes.fromhex(known.head)
    for size in (1, 3, 7, len(head)):
        data = target.read(known.head_at, size)
        same((type(data), data), (bytes, head[:size]))
    same(target.read(known.head_at + 5, 9), head[5:14])
    lo, hi = known.code
    same(len(target.read(lo, hi - lo)), hi - lo)
    same(target.read(lo, 8192)[4090:4102], target.read(lo + 4090, 12))  # across pages


def reads_of_nothing(target: Target, known: Known) -> None:
    for address in (known.head_at, FAR, 0, (1 << (8 * known.pointer_size)) - 1):
        same(target.read(address, 0), b"")


def reads_of_what_is_not_there(target: Target, known: Known) -> None:
    top = 1 << (8 * known.pointer_size)
    hole = next(end for end in gaps(known))
    for address, size in (
        *((FAR, 1), (FAR, 4096), (0, 1), (hole - 8, 16), (hole, 1), (top - 1, 1), (top - 4, 8)),
        *((top, 1), (-1, 1), (-8, 16), (known.head_at, -1), (known.head_at, 1 << 60), (1 << 70, 1)),
    ):
        try:
            data = target.read(address, size)
        except UnreadableError as error:
            same((error.address, error.size), (address, size))
        else:
            raise AssertionError(f"{len(data)} bytes at {address:#x}, {size:#x} were asked for")


def gaps(known: Known) -> List[int]:
    """Ends of mappings that no other follows."""
    starts = {start for start, _ in known.mappings}
    return [end for start, end in known.mappings if end not in starts and known.head_at <= start]


def symbols(target: Target, known: Known) -> None:
    found = target.symbol("runtime.mheap_")
    true(isinstance(found, Symbol), found)
    if found is not None:
        same((found.name, found.address), ("runtime.mheap_", known.mheap))
        true(found.size in (0, known.mheap_size), found)
    for name in ("", "no.such", "runtime.mheap", "'", "\n", "é", "x" * 10000):
        same(target.symbol(name), None)


def types(target: Target, known: Known) -> None:
    found = target.type("runtime.mheap")
    true(found is None or found.size == known.mheap_size, found)
    for name in ("", "no.such", "'", "\n"):
        same(target.type(name), None)


def threads(target: Target, known: Known) -> None:
    found = target.threads()
    if not known.tids:
        return
    same(sorted(thread.tid for thread in found), sorted(known.tids))
    same(sorted({thread.number for thread in found}), list(range(1, len(found) + 1)))
    same([thread.selected for thread in found].count(True), 1)
    places = sorted((thread.tid, thread.sp, thread.pc) for thread in found)
    same(places, sorted(map(tuple, known.stand)))
    for thread in found:
        true(thread.pc is not None and target.read(thread.pc, 1), thread.pc)
        true(inside(known, thread.sp), thread.sp)
        true(thread.tls is None or inside(known, thread.tls), thread.tls)
        same(thread.link, None)  # amd64 has none
    same([one.tid for one in target.threads()], [one.tid for one in found])


def inside(known: Known, address: Optional[int]) -> bool:
    """Whether that is mapped."""
    return address is not None and any(start <= address < end for start, end in known.mappings)


def proc_files(target: Target, known: Known) -> None:
    files = target.proc_files()
    same(files is not None, known.has_proc)
    if files is not None:
        same((files.local, files.path("maps")), (True, f"/proc/{known.pid}/maps"))
        whole = files.read("cmdline")
        true(len(whole) > 8, whole)
        same((files.read("cmdline", 3, 4), files.read("cmdline", 2)), (whole[3:7], whole[2:]))
        same(failure(lambda: files.read("no-such-file")), FileNotFoundError)


def failure(call: Callable[[], object]) -> Optional[type]:
    """The class of what it raises."""
    try:
        call()
    except Exception as error:
        return type(error)
    return None


def evaluates(target: Target, known: Known) -> None:
    if not known.evaluates:
        return
    register = next(thread for thread in target.threads() if thread.selected)
    for expression, number in {
        "0": 0,
        "17": 17,
        "0x2a": 42,
        " 1 + 2 ": 3,
        "0x7fffffffffff": 0x7FFFFFFFFFFF,
        "(1 + 2) - 1": 2,
        "0 - 1": (1 << 64) - 1,
        "$sp": register.sp,
        "$pc": register.pc,
        "$rsp + 8": (register.sp or 0) + 8,
        "&'runtime.mheap_'": known.mheap,
    }.items():
        same((expression, target.evaluate(expression)), (expression, number))
        if isinstance(target, protocol.Expressions):
            same([value.address for value in target.values(expression)], [number])


def evaluates_nonsense(target: Target, known: Known) -> None:
    calls = [target.evaluate]
    if isinstance(target, protocol.Expressions):
        calls.append(target.values)  # type: ignore[arg-type]
    for call in calls:
        for expression in NONSENSE:
            try:
                found = call(expression)
            except ProblemError as error:
                true(str(error) and "\n" not in str(error), str(error))
            else:
                raise AssertionError(f"{expression!r} is {found!r}")


def auxv(target: Target, known: Known) -> None:
    if isinstance(target, protocol.Auxiliary):
        found: Dict[int, int] = target.auxv()
        same((found.get(AT_PAGESZ), found.get(AT_ENTRY)), (known.page, known.entry))


def names(target: Target, known: Known) -> None:
    if not isinstance(target, protocol.Names):
        return
    same(target.names_at([]), [])
    at, inside_it, nothing = target.names_at([known.mheap, known.mheap + 9, FAR])
    for found, offset in ((at, 0), (inside_it, 9)):
        true(found is not None, found)
        if found is not None:
            same((found.name, found.offset), ("runtime.mheap_", offset))
            true(found.section in (".noptrbss", ".bss", ".go.noptrbss"), found)
    same(nothing, None)
    same(target.frame_variables(FAR), [])


def stops(target: Target, known: Known) -> None:
    if not isinstance(target, protocol.Stops):
        return
    signal = target.signal()
    true(signal is None or signal.number in range(1, 65), signal)
    same(target.register("no_such_register"), None)
    register = next(thread for thread in target.threads() if thread.selected)
    same((target.register("rsp"), target.register("rip")), (register.sp, register.pc))
    text = target.instruction(known.entry)
    true(text is None or "\n" not in text, text)


CHECKS = (
    *(attributes, facts, reads, reads_of_nothing, reads_of_what_is_not_there, symbols, types, threads),
    *(proc_files, evaluates, evaluates_nonsense, auxv, names, stops),
)
