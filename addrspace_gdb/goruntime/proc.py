"""Goroutines, Ms and Ps: allgs, allm and allp (src/runtime/proc.go, runtime2.go).

A million goroutines are kept as columns of integers, not as a million objects.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from functools import cached_property
from itertools import compress
from operator import not_
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from addrspace_gdb.common import lanes
from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.columns import Columns, read_columns
from addrspace_gdb.goruntime.g0bounds import within_mappings
from addrspace_gdb.goruntime.ports import PORTS
from addrspace_gdb.goruntime.record import Record, Runtime, Slice
from addrspace_gdb.goruntime.threadids import Places, outer_ids
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.target.layout import Located, Type

GSCAN = 0x1000  # _Gscan: the collector is scanning the stack; the status proper is in the other bits
_MAX_PS = 1 << 16
_MAX_GOROUTINES = 1 << 25
# Stacks double, and newstack (src/runtime/stack.go) throws beyond maxstackceiling, which is 2,000,000,000
# whatever debug.SetMaxStack says.
MAX_STACK = 1 << 30
_USUAL_STACK = 3  # bytes of the number that says how large it is: below 16 MiB
DEAD, DEAD_EXTRA = 6, 11
RUNNING, SYSCALL, WAITING, LEAKED, COPYSTACK = 2, 3, 4, 10, 8

# gStatusStrings, src/runtime/traceback.go. 1.26 added leaked and deadextra (a g that waits in an extra M
# for a callback from C; before 1.26 such a g was simply dead). 5 and 7 are unused.
STATUS = {
    0: "idle",
    1: "runnable",
    2: "running",
    3: "syscall",
    4: "waiting",
    6: "dead",
    8: "copystack",
    9: "preempted",
    10: "leaked",
    11: "waiting for cgo callback",
}

_FIELDS = {
    "lo": "stack.lo",
    "hi": "stack.hi",
    "m": "m",
    "sp": "sched.sp",
    "pc": "sched.pc",
    "bp": "sched.bp",
    "lr": "sched.lr",
    "syscallsp": "syscallsp",
    "syscallpc": "syscallpc",
    "status": "atomicstatus",
    "goid": "goid",
    "waitsince": "waitsince",
    "waitreason": "waitreason",
    "parent": "parentGoid",
    "gopc": "gopc",
    "startpc": "startpc",
    "labels": "labels",
    "lockedm": "lockedm",
    "waiting": "waiting",  # the first sudog
    "defer": "_defer",
    "timer": "timer",
}


class Goroutines:
    """Every g of runtime.allgs, dead ones too, as parallel columns in order of the g's address."""

    def __init__(
        self, columns: Optional[Columns] = None, misplaced: Optional[Dict[int, Tuple[int, int]]] = None
    ) -> None:
        empty = {name: array("Q") for name in ("address", *_FIELDS)}
        self.columns: Columns = empty if columns is None else columns
        # What damage made of the bounds of stacks, by position; their columns have 0 for both.
        self.misplaced = misplaced or {}

    def __len__(self) -> int:
        return len(self.columns["address"])

    def position(self, address: int) -> Optional[int]:
        """Where the g at `address` stands in the columns."""
        addresses = self.columns["address"]
        at = bisect_left(addresses, address)
        return at if at < len(addresses) and addresses[at] == address else None

    def of_goid(self, goid: int) -> Optional[int]:
        """Where the goroutine with that number stands; of a dead one if no living one has it."""
        return self._by_goid.get(goid) if goid else None

    @cached_property
    def _by_goid(self) -> Dict[int, int]:
        """A dead g keeps its number until it is used again: a living one goes before it."""
        goids = self.columns["goid"]
        rows = range(len(goids))
        found = dict(zip(goids, rows))
        wanted = bytes(map(not_, self.dead))
        found.update(zip(compress(goids, wanted), compress(rows, wanted)))
        return found

    @cached_property
    def dead(self) -> bytes:
        """A byte for each position: 1 for those of dead goroutines."""
        statuses = self.columns["status"]
        numbers = {status: not is_live(status) for status in set(statuses)}
        if not any(numbers.values()):
            return bytes(len(statuses))
        return bytes(map(numbers.__getitem__, statuses))

    @cached_property
    def ended(self) -> bytes:
        """1 for those of goroutines that ran and ended: of the dead ones all but what waits for C to call."""
        statuses = self.columns["status"]
        return bytes(map({one: one & ~GSCAN == DEAD for one in set(statuses)}.__getitem__, statuses))

    @cached_property
    def by_stack(self) -> array[int]:
        """Positions in the order of the stacks' addresses."""
        los = self.columns["lo"].tolist()
        return array("I", sorted(range(len(los)), key=los.__getitem__))

    def column(self, name: str) -> array[int]:
        """One column: address, lo, hi, m, sp, pc, bp, status, goid, startpc ... as in the g struct."""
        return self.columns[name]

    def rows(self, *names: str) -> zip[Tuple[int, ...]]:
        """Iterate several columns side by side."""
        return zip(*(self.columns[name] for name in names))


def _listed(runtime: Runtime, addresses: Sequence[int]) -> array[int]:
    """The addresses of all g, ascending. With a nil among them the list or its length is damaged, and goes
    on for millions of entries, most of them the same."""
    ascending = sorted(addresses)
    if ascending and not ascending[0]:
        distinct = sorted(set(ascending) - {0})
        lost = len(ascending) - len(distinct)
        runtime.problems.add(f"runtime.allgs: {lost} entries are nil or name a goroutine again; left out")
        ascending = distinct
    return array("Q", ascending)


def read_goroutines(runtime: Runtime, grown: Optional[int] = None) -> Goroutines:
    """Read every goroutine. allgptr and allglen are what the runtime's own lock-free readers use."""
    layout = runtime.layout("runtime.g")
    count = runtime.global_word("runtime.allglen")
    room = runtime.variable("runtime.allgs").slice("").capacity
    header = Slice(runtime.global_word("runtime.allgptr"), count, room)
    # Every g is an object of the heap, so the bytes it has grown to (0: not known) bound their number.
    most = _MAX_GOROUTINES if not grown else min(_MAX_GOROUTINES, grown // layout.size)
    addresses = runtime.slice_words(header, "runtime.allgs", most)
    # g.parentGoid came with Go 1.21.
    left_out = () if layout.has("parentGoid") else ("parent",)
    port = PORTS.get(runtime.target.arch)
    if port is None or not port.link:
        left_out = (*left_out, "lr")
    fields = {name: path for name, path in _FIELDS.items() if name not in left_out}
    columns = read_columns(runtime, _listed(runtime, addresses), layout, fields, "goroutines")
    for name in left_out:
        columns[name] = array("Q", bytes(8 * len(columns["address"])))
    return Goroutines(columns, _misplaced(runtime, columns))


def _misplaced(runtime: Runtime, columns: Columns) -> Dict[int, Tuple[int, int]]:
    """Takes from the columns the stacks that cannot be where they say, and tells of them."""
    los, his = columns["lo"], columns["hi"]
    sizes = lanes.differences(lanes.wide(his), lanes.wide(los))
    if sizes is not None and (lanes.below(sizes, _USUAL_STACK) or max(sizes) <= MAX_STACK):
        return {}
    rows = enumerate(zip(los, his))
    found = {at: (lo, hi) for at, (lo, hi) in rows if not 0 <= hi - lo <= MAX_STACK}
    for at in found:
        los[at] = his[at] = 0
    if found:
        at, (lo, hi) = next(iter(found.items()))
        which = f"goroutine {columns['goid'][at]}: {lo:#x}-{hi:#x}"
        runtime.problems.add(
            f"goroutine stacks: {len(found)} of {len(los)} have impossible bounds ({which}); left out"
        )
    return found


def is_live(status: int) -> bool:
    """Whether a g with this status is a goroutine that exists."""
    return status & ~GSCAN not in (DEAD, DEAD_EXTRA)


def status_word(status: int) -> str:
    """Go's own word for an atomicstatus, "???" for one it does not know (as Go prints it)."""
    return STATUS.get(status & ~GSCAN, "???")


class M(NamedTuple):
    """An OS thread as the runtime knows it. Stacks are (lo, hi), (0, 0) where there is none."""

    address: int
    id: int
    procid: int  # kernel thread id, as the debugger has it
    curg: int
    g0: int
    g0_stack: Tuple[int, int]
    g0_sp: int
    gsignal: int
    gsignal_stack: Tuple[int, int]
    vgetrandom: int  # address of the thread's vDSO getrandom state, 0 for none
    trace_buffers: Tuple[int, ...]


class P(NamedTuple):
    """A processor: its page cache and the stacks in its mcache, which are free but not in the pool."""

    address: int
    id: int
    mcache: int
    page_cache: Record
    stack_caches: List[Tuple[int, int]]  # (first free stack, bytes in the list)
    trace_buffer: int  # up to Go 1.21 the tracer's buffers belong to Ps


class Scheduler(NamedTuple):
    """allm and allp."""

    ms: List[M]
    ps: List[P]
    crash_stack: Tuple[int, int] = (0, 0)  # kept for printing a crash (runtime.gcrash, Go 1.22)


def read_scheduler(runtime: Runtime, mappings: Sequence[Mapping] = ()) -> Scheduler:
    """Read every M and P. With the process's mappings, stacks end where their memory does."""
    crash = _stack(runtime, runtime.address("runtime.gcrash"))[0] if runtime.has("runtime.gcrash") else (0, 0)
    return Scheduler(_ms(runtime, mappings), read_ps(runtime), crash)


def _ms(runtime: Runtime, mappings: Sequence[Mapping]) -> List[M]:
    layout = runtime.layout("runtime.m")
    link = layout.scalar("alllink").offset
    first = runtime.global_word("runtime.allm")
    addresses = list(runtime.chain(first, link, "runtime.allm"))
    # sched.freem: Ms that ended and whose g0 stack is not freed yet (src/runtime/proc.go, mexit).
    freed = runtime.variable("runtime.sched").number("freem")
    addresses += runtime.chain(freed, layout.scalar("freelink").offset, "sched.freem")
    columns = read_columns(runtime, sorted(set(addresses)), layout, _m_fields(layout), "runtime.allm")
    stacks = _stacks(runtime, [*columns["g0"], *columns["gsignal"]])
    row_of = {address: row for row, address in enumerate(columns["address"])}
    cut = within_mappings(mappings)
    found = [_m(columns, row_of[address], stacks, cut) for address in addresses if address in row_of]
    return _with_outer_ids(runtime, found)


def _m_fields(layout: Type) -> Dict[str, Union[str, Located]]:
    """Columns of an m. m.trace.buf is [2]*traceBuf since Go 1.22, [2][experiments]*traceBuf since 1.24; the
    vDSO getrandom state came with Go 1.24 (mOS in src/runtime/os_linux.go)."""
    fields: Dict[str, Union[str, Located]] = {
        name: name for name in ("id", "procid", "curg", "g0", "gsignal")
    }
    state = next((path for path in ("vgetrandomState", "mOS.vgetrandomState") if layout.has(path)), None)
    if state is not None:
        fields["vgetrandom"] = state
    buffers = layout.find("trace.buf")
    if buffers is not None:
        pointer = layout.scalar("g0")
        for offset in range(buffers.offset, buffers.offset + buffers.size, pointer.size):
            fields[f"{_TRACE}{offset}"] = pointer._replace(offset=offset)
    return fields


_TRACE = "trace buffer at "
_Bounds = Tuple[int, int]


def _stacks(runtime: Runtime, gs: Sequence[int]) -> Dict[int, Tuple[_Bounds, int]]:
    """Stack bounds and saved sp of each g that can be read."""
    fields = {"lo": "stack.lo", "hi": "stack.hi", "sp": "sched.sp"}
    wanted = sorted(set(filter(None, gs)))
    found = read_columns(runtime, wanted, runtime.layout("runtime.g"), fields, "g0 and gsignal of Ms")
    bounds = zip(found["lo"], found["hi"])
    return dict(zip(found["address"], zip(bounds, found["sp"])))


def _with_outer_ids(runtime: Runtime, ms: List[M]) -> List[M]:
    def places() -> List[Places]:
        return [Places(m.procid, (m.g0_stack, m.gsignal_stack, _stack(runtime, m.curg)[0])) for m in ms]

    outer = outer_ids(runtime.target, places)
    return [m._replace(procid=outer.get(m.procid, 0)) for m in ms] if outer else ms


def _m(
    columns: Columns, row: int, stacks: Dict[int, Tuple[_Bounds, int]], cut: Callable[[_Bounds], _Bounds]
) -> M:
    values = {name: column[row] for name, column in columns.items()}
    g0, gsignal = values["g0"], values["gsignal"]
    g0_stack, g0_sp = stacks.get(g0, _NO_STACK)
    return M(
        values["address"],
        values["id"],
        values["procid"],
        values["curg"],
        g0,
        cut(g0_stack),
        g0_sp,
        gsignal,
        stacks.get(gsignal, _NO_STACK)[0],
        values.get("vgetrandom", 0),
        tuple(value for name, value in values.items() if name.startswith(_TRACE) and value),
    )


_NO_STACK = ((0, 0), 0)


def _stack(runtime: Runtime, g: int) -> Tuple[Tuple[int, int], int]:
    """Stack bounds and saved sp of a g, zeroes if there is none or it cannot be read."""
    if not g:
        return (0, 0), 0
    try:
        record = runtime.record("runtime.g", g)
    except UnreadableError:
        runtime.problems.add(f"g at {g:#x} cannot be read; its stack is left out")
        return (0, 0), 0
    return (record.number("stack.lo"), record.number("stack.hi")), record.number("sched.sp")


def read_ps(runtime: Runtime) -> List[P]:
    """Read every P: what the collector's state needs of the scheduler, without its threads."""
    header = runtime.variable("runtime.allp").slice("")
    found = []
    for address in dict.fromkeys(runtime.slice_words(header, "runtime.allp", _MAX_PS)):
        if not address:
            continue  # allp has nil slots past GOMAXPROCS while it is being resized
        try:
            found.append(_p(runtime, runtime.record("runtime.p", address)))
        except UnreadableError:
            runtime.problems.add(f"runtime.allp: p at {address:#x} cannot be read; left out")
    return found


def _p(runtime: Runtime, record: Record) -> P:
    caches: List[Tuple[int, int]] = []
    trace = record.number("trace.buf") if record.has("trace.buf") else 0
    mcache = record.number("mcache")
    if mcache:
        layout = runtime.layout("runtime.mcache")
        place = layout.locate("stackcache")
        lists = Record(runtime, place.type, mcache + place.offset)
        caches = [(e.number("list"), e.number("size")) for e in lists.elements("")]
    return P(record.address, record.number("id"), mcache, record.sub("pcache"), caches, trace)


def count_by_status(goroutines: Goroutines) -> Dict[str, int]:
    """How many live goroutines have each status word, most frequent first."""
    counts: Dict[str, int] = {}
    for status, count in Counter(goroutines.column("status")).items():
        if is_live(status):
            word = status_word(status)
            counts[word] = counts.get(word, 0) + count
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
