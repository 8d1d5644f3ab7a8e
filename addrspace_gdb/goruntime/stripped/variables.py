"""The runtime's variables in a program without symbols.

The module data is found by its shape in the writable data; it leads to the function table, whose names lead
to code that refers to a variable. No single function is trusted: an address counts when several functions
that use the variable in every release refer to it, and when what lies there has the variable's shape.
"""

from __future__ import annotations

from array import array
from collections import Counter
from operator import sub
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from addrspace_gdb.common.problems import NOT_HELD, UnreadableError
from addrspace_gdb.goruntime.buildinfo import BuildInfo, find_build_info
from addrspace_gdb.goruntime.layouts import Layouts, known_minors, layouts_of
from addrspace_gdb.goruntime.moduledata import Module, is_module
from addrspace_gdb.goruntime.pclntab import MAGICS, FuncTable, TableError
from addrspace_gdb.goruntime.stripped.code_references import operands
from addrspace_gdb.process.mappings import Mapping, is_anonymous
from addrspace_gdb.target.layout import Type
from addrspace_gdb.target.protocol import Target

_MAX_DATA = 1 << 26  # bytes of one mapping that are searched for the module data
# Words of pcHeader behind its first 8 bytes. funcnametab follows, aligned by 1 to 64 as the release's linker
# does (cmd/link/internal/ld/pcln.go).
_HEADER_WORDS, _ALIGNMENTS = 8, (1, 16, 32, 64)
_MAX_CODE = 1 << 16  # bytes of one function that are looked at
_MAX_CANDIDATES = 64

# Functions of package runtime that use a variable in every release from Go 1.19 to 1.27, optimised or not, on
# every architecture that was looked at, and use few others. A variable that is used as a whole is referred to
# by its own address; a struct also by its fields'.
WHOLE: Dict[str, Tuple[str, ...]] = {
    "allfin": ("queuefinalizer", "markroot"),
    "allglen": ("allgadd", "forEachGRace", "atomicAllG", "gcount"),
    "allgptr": ("allgadd", "forEachGRace", "atomicAllG"),
    "allgs": ("allgadd", "forEachG"),
    "allm": ("mcommoninit", "schedtrace", "mexit"),
    "allp": ("gcMarkTinyAllocs", "flushmcache", "preemptall", "timeSleepUntil"),
    "bbuckets": ("stkbucket",),
    "bubbleGen": ("internal/synctest.Run",),  # since Go 1.25
    "buckhash": ("stkbucket",),
    "buildVersion": ("schedinit",),
    "extraMCount": ("dropm", "oneNewExtraM", "needm", "checkdead", "sighandler"),  # up to Go 1.20
    "extraMInUse": ("checkmcount", "getExtraM"),  # since Go 1.21
    "extraMLength": ("newextram", "checkmcount", "checkdead", "sighandler"),  # since Go 1.21
    "fing": ("runFinalizers", "runfinq", "wakefing"),
    "fingRunning": ("runfinq", "isSystemGoroutine", "goroutineProfileWithLabelsConcurrent"),  # up to Go 1.19
    "fingStatus": ("createfing", "finalizercommit", "isSystemGoroutine"),
    "gcBgMarkWorkerCount": ("gcBgMarkStartWorkers",),
    "gcBitsArenas": ("nextMarkBitArenaEpoch", "newMarkBits", "newArenaMayUnlock"),
    "gcphase": (
        "(*gcWork).balance",
        "freeSomeWbufs",
        "stackpoolfree",
        "(*p).destroy",
        "gcMark",
        "gcSweep",
        "gcTrigger.test",
    ),
    "gcrash": ("switchToCrashStack0", "schedinit"),
    "gomaxprocs": ("flushallmcaches", "gcBgMarkStartWorkers", "GOMAXPROCS", "handoffp", "schedtrace"),
    "iscgo": ("setsig", "minitSignalStack", "traceback1", "mstartm0", "newm1"),
    "isIdleInSynctest": (
        "goroutineheader",
        "waitReason.isIdleInSynctest",
        "(*synctestBubble).changegstatus",
        "(*synctestGroup).changegstatus",
    ),  # since Go 1.24
    "itabTable": ("itabAdd", "getitab", "iterate_itabs"),
    "mbuckets": ("stkbucket", "mProf_FlushLocked"),
    "MemProfileRate": (
        "profilealloc",
        "nextSample",
        "allocmcache",
        "schedinit",
        "parsegodebug",
        "parsedebugvars",
        "mallocgc",
        "mallocgcLarge",
        "mallocgcTiny",
    ),
    "mheap_": ("allocmcache.func1", "getempty.func1", "(*p).destroy.func1"),
    "mProfCycle": (
        "mProf_NextCycle",
        "mProf_Flush",
        "mProf_PostSweep",
        "mProf_Free",
        "mProf_Malloc",
        "gcMarkTermination",
        "gcSweep",
    ),
    "panicking": ("pcvalue", "callCgoSymbolizer", "cgoContextPCs", "startpanic_m", "recordForPanic"),
    "persistentChunks": ("persistentalloc1",),
    "printBacklog": ("recordForPanic",),
    "printBacklogIndex": ("recordForPanic",),
    "semtable": ("semacquire1", "semrelease1"),
    "stackLarge": ("freeStackSpans", "stackalloc", "stackfree"),
    "stackpool": ("stackcache_clear", "stackcacherelease", "stackpoolalloc"),
    "startingStackSize": ("gfget", "gfget.func2", "gfput", "gcComputeStartingStackSize"),
    "xbuckets": ("stkbucket",),
}
PARTS: Dict[str, Tuple[str, ...]] = {
    "gcCPULimiter": (
        "(*limiterEvent).stop",
        "(*gcControllerState).findRunnableGCWorker",
        "gcAssistAlloc",
        "procresize",
    ),
    "gcCleanups": (
        "(*activeSweep).end",
        "freeSpecial",
        "(*p).destroy",
        "findRunnable",
        "goroutineProfileWithLabelsConcurrent",
    ),  # since Go 1.25
    "gcController": ("sysAlloc", "sysFree", "gcPaceSweeper", "pollFractionalWorkerExit", "gcParkAssist"),
    "memstats": (
        "progToPointerMask",
        "recordspan",
        "newBucket",
        "(*mheap).init",
        "gcenable",
        "(*spanSet).push",
    ),
    "scavenge": ("gcPaceScavenger", "(*scavengerState).init.func3", "(*mheap).allocSpan"),
    "scavenger": ("bgscavenge", "printScavTrace", "sysmon"),
    "sched": ("mput", "mReserveID", "incidlelocked", "checkRunqsNoP", "wakeNetPoller", "schedEnableUser"),
    "sweep": ("(*mheap).nextSpanForSweep", "bgsweep", "(*mspan).ensureSwept", "gcSweep"),
    "trace": ("traceReader", "traceCPUSample", "traceReadCPU", "ready", "goexit1"),
    "vgetrandomAlloc": ("vgetrandomInit", "vgetrandomDestroy"),  # since Go 1.24
    "work": (
        "putempty",
        "putfull",
        "trygetfull",
        "prepareFreeWorkbufs",
        "gcWakeAllAssists",
        "gcMarkRootCheck",
    )
    + ("gcResetMarkState",),
}
# Known by one field, to which these functions refer and to no other.
FIELDS: Dict[str, Tuple[str, Tuple[str, ...]]] = {
    "debug": ("invalidptr", ("adjustpointers", "findObject")),
    "ticks": ("val", ("ticksPerSecond", "tickspersecond")),  # by its other fields too: the check tells
}
# Functions that refer to what stands beside a variable in the code above, but not to the variable.
OTHERS: Dict[str, Tuple[str, ...]] = {
    "extraMInUse": ("newextram", "sighandler"),
    "gcBgMarkWorkerCount": ("flushallmcaches", "handoffp", "closechan", "clearpools"),
    "printBacklog": ("printlock", "printunlock", "pcvalue"),
    "printBacklogIndex": ("printlock", "printunlock", "pcvalue"),
}
# Large structs: no other variable lies in one. They are found with the help of a few that are small.
_LARGE = ("mheap_", "memstats", "gcController", "sched", "work")
_BEFORE_LARGE = (*_LARGE, "allglen", "allgptr", "allgs", "allm", "allp", "buildVersion")
PREFIX = "runtime."


class GoImage(NamedTuple):
    """A Go runtime found in the target: its build information and where its module data lies."""

    file: str
    info: Optional[BuildInfo]
    module: int


def find_go_images(target: Target, mappings: Iterable[Mapping]) -> List[GoImage]:
    """Every Go image among the mapped files, in address order; the runtime's own module comes first.

    Files without code are not looked at: to read what nobody has touched would make it resident.
    """
    texts: Dict[str, BuildInfo] = {}
    found: List[GoImage] = []
    mapped = [m for m in mappings if m.file is not None and not is_anonymous(m)]
    programs = {m.file for m in mapped if m.permissions[2] != "-"}  # "?" in cores: not known
    for mapping in mapped:
        if mapping.file is None or mapping.file not in programs or mapping.permissions[1] != "w":
            continue
        data = _held(target, mapping)
        info = find_build_info(data, target.read, mapping.start)
        if info is not None:
            texts.setdefault(mapping.file, info)
        found += [GoImage(mapping.file, None, at) for at in _module_data(target, data, mapping.start)]
    found = [image._replace(info=texts.get(image.file)) for image in found]
    return [*_first(target, [image for image in found if _is_plausible(target, image)] or found)]


def _is_plausible(target: Target, image: GoImage) -> bool:
    """Whether the module data is what its version's layout says; any version's where none is known."""
    known = [image.info.version] if image.info is not None else [f"go1.{minor}" for minor in known_minors()]
    for layouts in (layouts_of(version, target.arch)[0] for version in reversed(known)):
        layout = layouts.type("runtime.moduledata") if layouts is not None else None
        if layout is None or is_module(target, layout, image.module):
            return True
    return False


def _held(target: Target, mapping: Mapping) -> bytes:
    size = mapping.size if mapping.dumped < 0 else max(mapping.dumped, min(mapping.size, _MAX_DATA))
    for length in (min(size, _MAX_DATA), min(max(mapping.dumped, 0), _MAX_DATA)):
        try:
            return target.read(mapping.start, length // 8 * 8)
        except UnreadableError:
            continue
    return b""


def _module_data(target: Target, data: bytes, start: int) -> Iterable[int]:
    """Where `data` has a moduledata: a pointer to a pcHeader, then funcnametab, which begins behind it."""
    word = target.pointer_size
    words = array("Q" if word == 8 else "I", data)
    if target.byte_order == "big":
        words.byteswap()
    steps = list(map(sub, words[1:], words))
    size = 8 + _HEADER_WORDS * word
    for distance in sorted({-(-size // to) * to for to in _ALIGNMENTS}):
        at = -1
        while True:
            try:
                at = steps.index(distance, at + 1)
            except ValueError:
                break
            if at + 4 < len(words) and words[at + 2] == words[at + 3] and _has_table(target, words[at]):
                yield start + at * word


def _has_table(target: Target, address: int) -> bool:
    """Whether a pcHeader is there. In memory that a core leaves out it counts as one."""
    try:
        head = target.read(address, 8)
    except UnreadableError as error:
        return error.why == NOT_HELD
    order = "little" if target.byte_order == "little" else "big"
    magic = int.from_bytes(head[:4], order)  # type: ignore[arg-type]
    return magic in MAGICS and head[4:6] == b"\0\0" and head[7] == target.pointer_size


def _first(target: Target, found: List[GoImage]) -> List[GoImage]:
    """The images, with those that no other's `next` leads to first: plugins stand behind the runtime's."""
    places = {image.module for image in found}
    linked: Set[int] = set()
    word = target.pointer_size
    for image in found:
        try:  # `next` is the last field but for what later versions add; any of the last words may be it
            raw = array("Q" if word == 8 else "I", target.read(image.module, 80 * word))
        except UnreadableError:
            continue
        if target.byte_order == "big":
            raw.byteswap()
        linked |= {value for value in raw if value in places and value != image.module}
    return sorted(found, key=lambda image: image.module in linked)


class Code:
    """What functions of package runtime refer to in the module's data."""

    def __init__(self, target: Target, module: Module) -> None:
        self._target, self._module, self.word = target, module, target.pointer_size
        self._found: Dict[str, List[int]] = {}
        self._start, self._end = module.data
        self._table: Optional[FuncTable] = None
        self._names: Dict[str, List[int]] = {}
        try:
            self._table = FuncTable(target, module)
            self._names = self._table.named(PREFIX)
        except (UnreadableError, TableError):
            pass  # a core without the program's read-only data

    @property
    def readable(self) -> bool:
        """Whether there is a function table at all."""
        return bool(self._names)

    def entry(self, function: str) -> Optional[int]:
        """Where the function's code begins; None if the program does not have it."""
        for index in self._indexes(function):
            try:
                func = self._table.function(index) if self._table is not None else None
            except (UnreadableError, TableError):
                continue
            if func is not None:
                return func.entry
        return None

    def _indexes(self, function: str) -> Sequence[int]:
        """Places in the function table; a name with a path, or of package syscall, is the linker's."""
        outside = "/" in function or function.startswith("syscall.")
        if outside and function not in self._names and self._table is not None:
            try:
                self._names[function] = self._table.called(function)
            except UnreadableError:
                return ()
        return self._names.get(function, ())

    def refers(self, function: str) -> List[int]:
        """Addresses in the module's data that the function refers to; empty if there is no such function."""
        found = self._found.get(function)
        if found is None:
            found = self._found[function] = sorted(set(self._refers(function)))
        return found

    def _refers(self, function: str) -> Iterable[int]:
        for index in self._indexes(function):
            try:
                func = self._table.function(index) if self._table is not None else None
                if func is None:
                    continue
                code = self._target.read(func.entry, min(func.end - func.entry, _MAX_CODE))
            except (UnreadableError, TableError):
                continue
            for address in operands(self._target.arch, code, func.entry):
                if self._start <= address < self._end:
                    yield address


# How well an address was verified: refuted, nothing speaks against it (all is zero there), by content.
REFUTED, POSSIBLE, CONFIRMED = 0, 1, 2
Check = Callable[[str, int], int]
Search = Callable[[str], Iterable[int]]


class Roots:
    """Addresses of the runtime's variables, each looked for when it is asked for."""

    def __init__(
        self,
        code: Code,
        layouts: Layouts,
        check: Check,
        before: Dict[str, int],
        scan: Optional[Search] = None,
        settled: Optional[Dict[str, Optional[int]]] = None,
    ) -> None:
        self._code, self._layouts, self._check, self._scan = code, layouts, check, scan
        self._word = code.word
        self._before = before  # what was found when the target last stood still; kept up to date
        self._addresses: Dict[str, Optional[int]] = {} if settled is None else settled

    def address(self, name: str) -> Optional[int]:
        """Where the variable `name` of package runtime (without the package's name) lies, None if unknown."""
        if name not in self._addresses:
            self._addresses[name] = None  # also for a check that asks for it on the way
            try:
                self._addresses[name] = self._find(name)
            except BaseException:  # interrupted: it was not looked for
                del self._addresses[name]
                raise
        return self._addresses[name]

    def refers(self, function: str) -> List[int]:
        """Addresses in the module's data that a function of package runtime refers to."""
        return self._code.refers(function)

    def entry(self, function: str) -> Optional[int]:
        """Where the code of a function of package runtime begins; None if the program does not have it."""
        return self._code.entry(function)

    def _find(self, name: str) -> Optional[int]:
        known = self._before.get(name)
        if known is not None and self._check(name, known) == CONFIRMED:
            return known
        possible: Optional[int] = None
        candidates = self._candidates(name) if self._scan is None else self._scan(name)
        taken = self._taken(name)
        for candidate in candidates:
            if any(start <= candidate < end for start, end in taken):
                continue
            verified = self._check(name, candidate)
            if verified == CONFIRMED:
                self._before[name] = candidate
                return candidate
            if verified == POSSIBLE and possible is None and self._scan is None:
                possible = candidate
        return possible

    def _taken(self, name: str) -> List[Tuple[int, int]]:
        """Where a variable cannot be, for another one is there."""
        found = []
        for large in _LARGE if name not in _BEFORE_LARGE else ():
            address, type_ = self.address(large), self._layouts.variable(PREFIX + large)
            if address is not None and type_ is not None:
                found.append((address, address + type_.size))
        return found

    def _candidates(self, name: str) -> Sequence[int]:
        """Addresses that the most functions agree on, best first."""
        type_ = self._layouts.variable(PREFIX + name)
        if type_ is None:
            return ()
        field, functions = FIELDS.get(name, ("", WHOLE.get(name) or PARTS.get(name, ())))
        offsets = set(_offsets(type_)) if name in PARTS else {type_.locate(field).offset}
        others = {address for function in OTHERS.get(name, ()) for address in self._code.refers(function)}
        users: Counter[int] = Counter()  # functions that refer to something there
        places: Counter[int] = Counter()  # different addresses in it that are referred to
        known: Set[int] = set()
        for function in functions:
            referred = [address for address in self._code.refers(function) if address not in others]
            users.update({address - offset for address in referred for offset in offsets})
            places.update(a - offset for a in referred if a not in known for offset in offsets)
            known.update(referred)
        # All of them use a struct; which of them use a whole variable differs a little between releases.
        least = max((c for a, c in users.items() if a % self._word == 0), default=0) if name in PARTS else 1
        aligned = min(self._word, type_.size)
        ranked = [at for at, count in users.items() if count >= least and at % aligned == 0]
        if name in PARTS:
            fits = max((places[address] for address in ranked), default=0) * 3 // 4
            ranked = [address for address in ranked if places[address] >= fits]
        ranked.sort(key=lambda at: (-users[at], -places[at], at not in known, at))
        return ranked[:_MAX_CANDIDATES]


def _offsets(type_: Type, base: int = 0, depth: int = 0) -> Iterable[int]:
    """Where the fields of a struct lie, of those embedded in it too; of an array, the first element's."""
    yield base
    if type_.kind == "array" and type_.element is not None:
        yield from _offsets(type_.element, base, depth + 1)
    elif type_.kind == "struct" and depth < 6:
        for offset, field in type_.fields.values():
            yield from _offsets(field, base + offset, depth + 1)
