"""Runs inside gdb: damages a copy of a core, runs a command on it, mends it, and so on.

`fuzz(REQUEST)` takes the path of a JSON object: "core" (a copy that may be written to), "loads" (its
[address, bytes in the file, offset] segments), "seed", "count" (random mutations, 0 for the targeted ones),
"skip" and "step" (which of the targeted ones), "limit" (seconds for one command) and "results" (a file for
one JSON object a line, written before and after each command). "commands" may name others than COMMANDS.
"""

from __future__ import annotations

import json
import os
import random
import signal
import struct
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

import gdb

sys.path.insert(0, str(Path(__file__).resolve().parent))
from harness.peak import peak_memory

COMMANDS = (
    "addrspace",
    "addrspace --format json --output /dev/null",
    "addrspace regions --summary",
    "addrspace --check",
    "addrspace --classic",
    "addrspace rss",
)
NOWHERE = 0x00DEAD0000000000
LENGTHS = (1 << 60, 1 << 63, (1 << 64) - 1, 1 << 32, (1 << 31) - 1)
WORDS = (0, 1, 7, 4096, 1 << 20, 1 << 47, NOWHERE, 0xFFFF800000000000, *LENGTHS)

Write = Tuple[int, bytes]  # address, new contents


class Place(NamedTuple):
    """Memory of the runtime that is worth damaging."""

    name: str
    address: int
    size: int


class Mutation(NamedTuple):
    """What is written where, and in words."""

    text: str
    writes: List[Write]


class Hang(BaseException):
    """A command took longer than the limit."""


class Core:
    """The copy of the core, by address."""

    def __init__(self, path: str, loads: List[List[int]]) -> None:
        self.path = path
        self._loads = loads
        self._file = os.open(path, os.O_RDWR)

    def holds(self, address: int, size: int) -> bool:
        """Whether the file has these bytes."""
        return self._offset(address, size) is not None

    def _offset(self, address: int, size: int) -> Optional[int]:
        for start, length, offset in self._loads:
            if start <= address and address + size <= start + length:
                return offset + address - start
        return None

    def read(self, address: int, size: int) -> bytes:
        """Bytes of the file."""
        offset = self._offset(address, size)
        assert offset is not None
        return os.pread(self._file, size, offset)

    def write(self, address: int, data: bytes) -> None:
        """Put bytes into the file."""
        offset = self._offset(address, len(data))
        assert offset is not None
        os.pwrite(self._file, data, offset)


def value(expression: str) -> Optional[gdb.Value]:
    """What the expression is, None where this version of the runtime has no such thing."""
    try:
        found = gdb.parse_and_eval(expression)
        found.fetch_lazy()
    except (gdb.error, gdb.MemoryError):
        return None
    return found


def number(expression: str) -> int:
    """An integer, through the wrappers of atomic ones; 0 where there is none."""
    found = value(expression)
    while found is not None and found.type.strip_typedefs().code == gdb.TYPE_CODE_STRUCT:
        found = found[found.type.strip_typedefs().fields()[-1]]
    return int(found) if found is not None else 0


def at(expression: str) -> Optional[Tuple[int, int]]:
    """Address and size of a variable or field."""
    found = value(expression)
    if found is None or found.address is None:
        return None
    return int(found.address), int(found.type.sizeof)


GLOBALS = """
    mheap_ memstats gcController work sched allp allgs allglen allgptr allm stackpool stackLarge
    gcBitsArenas persistentChunks firstmoduledata buckhash trace vgetrandomAlloc buildVersion gcphase
    iscgo gcrash class_to_size lastmoduledatap modulesSlice sweep scavenge scavenger gcCPULimiter mbuckets
    gcBgMarkWorkerCount startingStackSize extraMLength
"""
# Of the large ones, what is read most.
PARTS = """
    mheap_.allspans mheap_.heapArenas mheap_.allArenas mheap_.userArenaArenas mheap_.arenaHints mheap_.arenas
    mheap_.pages.inUse mheap_.pages.summary mheap_.pages.scav mheap_.spanalloc mheap_.cachealloc
    mheap_.heapArenaAlloc mheap_.curArena memstats.heapStats trace.full trace.empty work.wbufSpans
    work.spanSPMCs firstmoduledata.ftab firstmoduledata.pclntable firstmoduledata.textsectmap
"""


def pointers(array: str, length: str, most: int) -> List[int]:
    """Elements of an array of pointers."""
    base, count = number(array), min(number(length), most)
    try:
        raw = bytes(gdb.selected_inferior().read_memory(base, 8 * count)) if base and count > 0 else b""
    except gdb.MemoryError:
        raw = b""
    return list(struct.unpack(f"<{len(raw) // 8}Q", raw))


def size_of(name: str) -> int:
    """Bytes of a runtime type, 0 if there is none."""
    try:
        return int(gdb.lookup_type(name).sizeof)
    except gdb.error:
        return 0


def places(core: Core) -> List[Place]:
    """Everything in the runtime that the commands read and the file holds."""
    found: List[Place] = []

    def add(name: str, address: int, size: int) -> None:
        if address and size and core.holds(address, size):
            found.append(Place(name, address, size))

    for name in GLOBALS.split():
        where = at(f"'runtime.{name}'")
        if where:
            add(name, *where)
    for name in PARTS.split():
        variable, _, field = name.partition(".")
        where = at(f"'runtime.{variable}'.{field}")
        if where:
            add(name, *where)
    objects = {
        "mspan": pointers("'runtime.mheap_'.allspans.array", "'runtime.mheap_'.allspans.len", 400),
        "g": pointers("'runtime.allgs'.array", "'runtime.allgs'.len", 200),
        "p": pointers("'runtime.allp'.array", "'runtime.allp'.len", 16),
        "m": list(chain("'runtime.allm'", "m", "alllink")),
    }
    for kind, addresses in objects.items():
        for index, address in enumerate(addresses):
            add(f"{kind} {index}", address, size_of(f"runtime.{kind}"))
    for index, address in enumerate(objects["p"]):
        cache = number(f"(*(struct 'runtime.p' *){address}).mcache") or word(
            core, address + offset("p", "mcache")
        )
        add(f"mcache {index}", cache, size_of("runtime.mcache"))
    for array, length in (("mheap_'.allspans", 400), ("allgs'", 200), ("allp'", 16)):
        base = number(f"'runtime.{array}.array")
        add(f"array of {array}", base, 8 * min(number(f"'runtime.{array}.len"), length))
    for index, chunk in enumerate(chain_words(core, number("'runtime.persistentChunks'"))):
        add(f"persistent chunk {index}", chunk, 64)
    for name in ("free", "next", "current", "previous"):
        add(f"gcBitsArenas.{name}'s first", number(f"'runtime.gcBitsArenas'.{name}"), 64)
    tables = pointers_in("'runtime.mheap_'.arenas")
    for name in ("heapArenas", "allArenas"):  # Go 1.25 renamed it
        indexes = pointers(f"'runtime.mheap_'.{name}.array", f"'runtime.mheap_'.{name}.len", 8)
        for index in indexes if tables else ():
            add(f"arena metadata {index}", word(core, tables[0] + 8 * index), 4096)
    for index, chunk in enumerate(pointers_in("'runtime.mheap_'.pages.chunks")):
        add(f"page bitmaps {index}", chunk, 4096)
    return found


def offset(kind: str, field: str) -> int:
    """Where a field stands in a runtime struct."""
    for one in gdb.lookup_type(f"runtime.{kind}").fields():
        if one.name == field and one.bitpos is not None:
            return one.bitpos // 8
    return 0


def word(core: Core, address: int) -> int:
    """A word of the file, 0 where it has none."""
    return struct.unpack("<Q", core.read(address, 8))[0] if core.holds(address, 8) else 0


def chain(first: str, kind: str, link: str) -> Iterator[int]:
    """Addresses of a linked list of structs, at most 50."""
    at_, follow = number(first), offset(kind, link)
    for _ in range(50):
        if not at_:
            return
        yield at_
        raw = gdb.selected_inferior().read_memory(at_ + follow, 8)
        at_ = struct.unpack("<Q", bytes(raw))[0]


def chain_words(core: Core, first: int) -> Iterator[int]:
    """Blocks whose first word links to the next, at most 50."""
    for _ in range(50):
        if not first:
            return
        yield first
        first = word(core, first)


def pointers_in(expression: str) -> List[int]:
    """Pointers other than nil in an array variable."""
    where = at(expression)
    if where is None:
        return []
    raw = bytes(gdb.selected_inferior().read_memory(where[0], min(where[1], 1 << 16)))
    return [p for p in struct.unpack(f"<{len(raw) // 8}Q", raw) if p][:4]


def random_mutations(core: Core, seed: int, count: int) -> Iterator[Mutation]:
    """`count` mutations of one to four places each, the same for the same seed and core."""
    rng = random.Random(seed)
    known = places(core)
    kinds: Dict[str, List[Place]] = {}
    for place in known:
        kinds.setdefault(place.name.split(" ")[0], []).append(place)
    addresses = [p.address for p in known]
    for index in range(count):
        texts, writes = [], []
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            place = rng.choice(kinds[rng.choice(sorted(kinds))])
            how = rng.choice((flip, set_word, set_word, point, fill))
            write = how(rng, core, place, addresses)
            texts.append(f"{how.__name__} {place.name}+{write[0] - place.address:#x}={write[1][:16].hex()}")
            writes.append(write)
        yield Mutation(f"seed {seed} number {index}: " + "; ".join(texts), writes)


def flip(rng: random.Random, core: Core, place: Place, _addresses: List[int]) -> Write:
    """One bit."""
    where = place.address + rng.randrange(place.size)
    return where, bytes([core.read(where, 1)[0] ^ 1 << rng.randrange(8)])


def set_word(rng: random.Random, _core: Core, place: Place, _addresses: List[int]) -> Write:
    """An aligned word becomes one of those that hurt, or any."""
    where = place.address + (8 * rng.randrange(place.size // 8) if place.size >= 8 else 0)
    made = rng.choice((*WORDS, rng.getrandbits(64), rng.getrandbits(48)))
    return where, struct.pack("<Q", made)[: min(8, place.size)]


def point(rng: random.Random, _core: Core, place: Place, addresses: List[int]) -> Write:
    """An aligned word becomes a pointer to itself, or to or into another place."""
    where = place.address + (8 * rng.randrange(place.size // 8) if place.size >= 8 else 0)
    made = rng.choice(
        (place.address, where, rng.choice(addresses), rng.choice(addresses) + rng.randrange(64))
    )
    return where, struct.pack("<Q", made)[: min(8, place.size)]


def fill(rng: random.Random, _core: Core, place: Place, _addresses: List[int]) -> Write:
    """A stretch becomes all ones, zeros or noise."""
    length = min(place.size, rng.choice((16, 64, 256, 4096)))
    where = place.address + rng.randrange(place.size - length + 1)
    return where, rng.choice(
        (b"\xff" * length, bytes(length), rng.getrandbits(8 * length).to_bytes(length, "little"))
    )


# Fields: what stands there by itself, by what it means. Those that a version lacks are passed over.
HEADS = (
    "mheap_'.arenaHints",
    "allm'",
    "persistentChunks'",
    "gcBitsArenas'.free",
    "gcBitsArenas'.next",
    "gcBitsArenas'.current",
    "gcBitsArenas'.previous",
    "work'.wbufSpans.free.first",
    "work'.wbufSpans.busy.first",
    "work'.spanSPMCs.list.obj",
    "stackLarge'.free[0].first",
    "sched'.freem",
    "firstmoduledata'.next",
    "buckhash'",
    "allgptr'",
    "mheap_'.allspans.array",
    "mheap_'.heapArenas.array",
    "mheap_'.allArenas.array",
    "mheap_'.arenas[0]",
    "mheap_'.pages.inUse.ranges.array",
    "mheap_'.pages.summary[4].array",
    "mheap_'.pages.scav.index.chunks.array",
    "allp'.array",
    "firstmoduledata'.ftab.array",
    "firstmoduledata'.pclntable.array",
    "firstmoduledata'.pcHeader",
    "firstmoduledata'.funcnametab.array",
    "firstmoduledata'.text",
    "firstmoduledata'.findfunctab",
    "trace'.empty",
    "trace'.reading",
    "vgetrandomAlloc'.states.array",
    "buildVersion'.str",
)
COUNTS = (
    "mheap_'.allspans.len",
    "mheap_'.allspans.cap",
    "mheap_'.heapArenas.len",
    "mheap_'.allArenas.len",
    "mheap_'.userArenaArenas.len",
    "mheap_'.pages.inUse.ranges.len",
    "mheap_'.pages.inUse.ranges.cap",
    "mheap_'.pages.summary[0].cap",
    "mheap_'.pages.summary[4].cap",
    "mheap_'.pages.scav.index.chunks.cap",
    "allglen'",
    "allgs'.len",
    "allp'.len",
    "firstmoduledata'.ftab.len",
    "firstmoduledata'.textsectmap.len",
    "firstmoduledata'.pclntable.len",
    "firstmoduledata'.etext",
    "firstmoduledata'.edata",
    "firstmoduledata'.enoptrbss",
    "firstmoduledata'.modulename.len",
    "vgetrandomAlloc'.states.len",
    "vgetrandomAlloc'.stateSize",
    "buildVersion'.len",
)
LINKS = (
    # A list's first entry, and the word in it that links to the next.
    ("allm'", "m", "alllink"),
    ("work'.wbufSpans.free.first", "mspan", "next"),
    ("work'.wbufSpans.busy.first", "mspan", "next"),
    ("mheap_'.arenaHints", "arenaHint", "next"),
    ("persistentChunks'", "", ""),
    ("gcBitsArenas'.free", "", ""),
    ("gcBitsArenas'.current", "", ""),
    ("gcBitsArenas'.previous", "", ""),
)


def targeted_mutations(core: Core) -> Iterator[Mutation]:
    """Pointers and heads of lists to nowhere, absurd lengths, lists that are cycles, structs of ones."""
    for name in HEADS:
        where = at(f"'runtime.{name}")
        if where and core.holds(where[0], 8):
            for made in (NOWHERE, where[0], 1, (1 << 64) - 8):
                yield Mutation(f"{name} = {made:#x}", [(where[0], struct.pack("<Q", made))])
    for name in COUNTS:
        where = at(f"'runtime.{name}")
        if where and core.holds(where[0], 8):
            for made in LENGTHS:
                yield Mutation(f"{name} = {made:#x}", [(where[0], struct.pack("<Q", made))])
    for name, kind, link in LINKS:
        first = number(f"'runtime.{name}")
        here = first + (offset(kind, link) if link else 0)
        if first and core.holds(here, 8):
            for made in (first, NOWHERE, here + 1):
                yield Mutation(f"{name}'s next = {made:#x}", [(here, struct.pack("<Q", made))])
    yield from free_stacks(core)
    seen = set()
    for place in places(core):
        kind = place.name.split(" ")[0]
        if kind not in seen:
            seen.add(kind)
            for byte in (0xFF, 0x00, 0x41):
                yield Mutation(f"{place.name} all {byte:#x}", [(place.address, bytes([byte]) * place.size)])


def free_stacks(core: Core) -> Iterator[Mutation]:
    """Free lists of stacks: in spans (manualFreeList) and in mcaches (stackcache)."""
    follow = offset("mspan", "manualFreeList")
    for span in pointers("'runtime.mheap_'.allspans.array", "'runtime.mheap_'.allspans.len", 400):
        first = word(core, span + follow)
        if first and core.holds(first, 8):
            for made in (first, NOWHERE, 1):
                yield Mutation(
                    f"free stack {first:#x}'s next = {made:#x}", [(first, struct.pack("<Q", made))]
                )
            for made in (span, NOWHERE):
                write = (span + follow, struct.pack("<Q", made))
                yield Mutation(f"manualFreeList of {span:#x} = {made:#x}", [write])
            return


def run_one(command: str, limit: int) -> Dict[str, Any]:
    """What a command does: "output", or "error" with gdb's text of it, and how long and large it was."""
    began = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        text = gdb.execute(command, to_string=True)
        outcome = "output"
    except gdb.error as error:
        outcome, text = "error", str(error)
    except Hang:
        outcome, text = "hang", ""
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    rss = peak_memory() // 1024
    seconds = round(time.monotonic() - began, 2)
    return {"outcome": outcome, "text": text[:2000], "seconds": seconds, "rss": rss}


def _alarm(*_: object) -> None:
    raise Hang


def plan(core: Core, request: Dict[str, Any]) -> List[Mutation]:
    """The mutations of a request, found in the undamaged core."""
    gdb.execute("set language c")  # in Go's, `len` is no field
    gdb.execute("set max-value-size unlimited")
    try:
        if request["count"]:
            return list(random_mutations(core, request["seed"], request["count"]))
        return list(targeted_mutations(core))[request["skip"] :: request["step"]]
    finally:
        gdb.execute("set language auto")
        gdb.execute("set max-value-size 65536")


def fuzz(path: str) -> None:
    """Carry out a request."""
    with open(path, encoding="utf-8") as file:
        request = json.load(file)
    signal.signal(signal.SIGALRM, _alarm)
    core = Core(request["core"], request["loads"])
    load: Callable[[], object] = lambda: gdb.execute(f"core-file {core.path}", to_string=True)  # noqa: E731
    load()
    mutations = plan(core, request)
    commands = request.get("commands") or COMMANDS
    with open(request["results"], "w", encoding="utf-8") as results:
        for index, mutation in enumerate([*mutations, Mutation("none", [])]):
            undo = [(where, core.read(where, len(data))) for where, data in mutation.writes]
            for where, data in mutation.writes:
                core.write(where, data)
            command = commands[index % len(commands)]
            record = {"mutation": mutation.text, "command": command}
            print(json.dumps(record), file=results, flush=True)
            load()
            print(json.dumps({**record, **run_one(command, request["limit"])}), file=results, flush=True)
            for where, data in reversed(undo):
                core.write(where, data)
