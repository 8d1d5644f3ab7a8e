"""The counters of the kernel and of the runtime against the tree, each difference by its name.

A balance begins at a counter, goes through named steps and ends at a figure of the tree. What the steps do
not explain is `unexplained`, and shown as that.
"""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple, Union

from addrspace_gdb.process.kernelcounts import KernelCounts
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.process.page_runs import PageRuns
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.space.regions import go_claims
from addrspace_gdb.space.regions.partition import total
from addrspace_gdb.space.regions.region import RUNTIME, Region
from addrspace_gdb.space.rss import places as places
from addrspace_gdb.space.rss.tree import Amount, Node, Path

# The kernel adds to VmRSS in batches. Up to Linux 6.1 a thread keeps back up to 64 pages of each of three
# counters (TASK_RSS_EVENTS_THRESH, mm/memory.c), then each CPU max(32, 2 * CPUs) pages of four
# (percpu_counter_batch, lib/percpu_counter.c); proc(5) calls VmRSS inaccurate for it.
_THREAD_BATCH, _COUNTERS = 64, 4
_SMALLEST_BATCH = 32

# Not in any of the runtime's counters: sysAllocOS in mheap.sysAlloc, and mmap in vgetrandomGetState.
_UNCOUNTED = ("arena index", "getrandom states")
# Counted by whole pages: reserved first, then mapped with sysMap; on 32-bit machines arena metadata as well.
_MAPPED, _LINEAR = ("page summaries", "scavenge index"), ("arena metadata",)


HUGE = "returned, still mapped in by huge pages"
LOCKED = "returned, but locked in memory (mlock, mlockall)"
LAZY = "returned with MADV_FREE, not yet taken by the kernel"


class Step(NamedTuple):
    """Why the two ends differ, and by how much; None where that cannot be known."""

    name: str
    amount: Optional[int]


class Balance(NamedTuple):
    """A counter, and how it comes to what the tree says. Bytes; None where not known."""

    counter: str
    source: str  # who counts it
    value: Optional[int]
    steps: Tuple[Step, ...]
    against: str
    tree: Optional[int]

    @property
    def unexplained(self) -> Optional[int]:
        """What no step accounts for; 0 if the books agree."""
        amounts = [step.amount for step in self.steps]
        if self.value is None or self.tree is None or None in amounts:
            return None
        return self.tree - self.value - sum(amount for amount in amounts if amount is not None)


class Part(NamedTuple):
    """Memory that one of Go's counters stands for: where it is, and why not all of it is resident."""

    name: str
    amount: Amount
    zero: Optional[int]  # only ever read: the kernel's shared zero page


class Books:
    """What a reading has to reconcile with."""

    def __init__(
        self,
        root: Node,
        regions: List[Region],
        reading: Reading,
        cpus: Optional[int] = None,
        lazy: bool = False,
    ) -> None:
        """`cpus` of the machine where it runs; `lazy` if pages are returned with MADV_FREE."""
        self.root, self.regions, self.reading = root, regions, reading
        self.lazy = lazy
        self.kernel: Optional[KernelCounts] = reading.kernel
        self.cpus = cpus
        self._zero = self._zero_pages()

    @property
    def known(self) -> bool:
        """Whether resident bytes are known."""
        return self.root.resident is not None

    @property
    def resident(self) -> Optional[int]:
        """Resident bytes of all mappings, which may be known where what is in them is not."""
        if self.root.resident is not None:
            return self.root.resident
        count = self.reading.residency.resident
        return total(count(mapping.start, mapping.end) for mapping in self.reading.mappings)

    def _zero_pages(self) -> Optional[Dict[Path, int]]:
        """Zero pages by node, two names deep, and by the leaves of the heap."""
        kinds = self.kernel.kinds if self.kernel is not None else None
        if kinds is None:
            return None
        found: Dict[Path, int] = {}
        for region in self.regions if len(kinds.zero) else ():
            if region.resident == region.end - region.start:
                continue  # the zero page is in no Rss
            count = kinds.zero.count(region.start, region.end) or 0
            if count:
                path = places.place(region)
                for depth in (2, 3):
                    if len(path) >= depth:
                        found[path[:depth]] = found.get(path[:depth], 0) + count
        return found

    def part(self, name: str, path: Path) -> Part:
        """The node at `path`."""
        zero = self._zero.get(path, 0) if self._zero is not None else None
        return Part(name, self.root.find(*path), zero)

    def end(self, *paths: Path) -> Optional[int]:
        """What those nodes have in memory; where that cannot be known, what they keep."""
        added = 0
        for path in paths:
            amount = self.root.find(*path)
            figure = amount.resident if self.known else amount.kept
            if figure is None:
                return None
            added += figure
        return added


def balances(books: Books) -> List[Balance]:
    """Every balance that can be drawn up here: the kernel's first, then the runtime's."""
    made = list(_kernel(books)) if books.kernel is not None else []
    stats = books.reading.go.memstats
    if stats is not None:
        made += [_with_transit(one, books.root.find(*places.TRANSIT).size) for one in _runtime(books, stats)]
    return made


def _with_transit(one: Balance, size: int) -> Balance:
    """A span that is being made: its pages are taken, and some of the counters say so already."""
    left = one.unexplained
    if not left or abs(left) != size:
        return one
    return one._replace(steps=(*one.steps, Step("pages taken for a span that is not made yet", left)))


def _kernel(books: Books) -> Iterator[Balance]:
    kernel, source = books.kernel, "/proc/PID/status"
    assert kernel is not None
    yield Balance("VmRSS", source, kernel.rss, _batches(books, kernel), "resident", books.resident)
    if kernel.kinds is not None and kernel.file is not None and kernel.shared_memory is not None:
        value = kernel.file + kernel.shared_memory
        ours = _within(kernel.kinds.file, books.reading.mappings)
        late = ours - value
        steps = (Step(_LATE, late),) if late and abs(late) <= _bound(books, kernel) else ()
        yield Balance("RssFile + RssShmem", source, value, steps, "pages of files", ours)
    hidden = sum(region.size for region in books.regions if region.kind == "vsyscall")
    end = "size without vsyscall" if hidden else "size"  # a page of the kernel's half, in no VmSize
    yield Balance("VmSize", source, kernel.size, (), end, books.root.size - hidden)


_LATE = "the kernel adds to this counter in batches"


def _batches(books: Books, kernel: KernelCounts) -> Tuple[Step, ...]:
    """The lag of VmRSS behind the page tables, by the kernel's own walk over them (smaps_rollup)."""
    if kernel.rss is None or kernel.summed is None or kernel.summed == kernel.rss:
        return ()
    late = kernel.summed - kernel.rss
    return (Step(_LATE, late),) if abs(late) <= _bound(books, kernel) else ()


def _bound(books: Books, kernel: KernelCounts) -> int:
    """The most that VmRSS can lag, in bytes."""
    threads, cpus = kernel.threads or 1, books.cpus or 1
    pages = max(_THREAD_BATCH * threads, max(_SMALLEST_BATCH, 2 * cpus) * cpus)
    return _COUNTERS * pages * books.reading.info.page_size


def _within(runs: PageRuns, ranges: Iterable[Union[Region, Mapping]]) -> int:
    return sum(runs.count(one.start, one.end) or 0 for one in ranges)


def _runtime(books: Books, stats: Dict[str, int]) -> List[Balance]:
    """MemStats, as `source` says; each against what the tree has for it."""
    objects = books.part("heap objects", places.OBJECTS)
    free = books.part("free pages", places.FREE)
    stacks = books.part("goroutine stacks", places.STACKS)
    own = books.part("the runtime's own", places.RUNTIME)
    transit = books.part("pages in transit", places.TRANSIT)
    source = "MemStats"
    returned = books.end(places.RETURNED)
    end = "resident" if books.known else "kept"
    idle = [*_absent(books, free), *_gone(books)]
    return [
        _limit(books, stats, [objects, free, transit, stacks, own]),
        Balance("HeapInuse", source, stats["HeapInuse"], tuple(_absent(books, objects)), f"objects, {end}",
                books.end(places.OBJECTS)),
        Balance("HeapIdle", source, stats["HeapIdle"], tuple(idle), f"free and returned pages, {end}",
                books.end(places.FREE, places.RETURNED)),
        Balance("HeapReleased", source, stats["HeapReleased"],
                tuple(_gone(books)), f"returned pages, {end}", returned),
        Balance("StackInuse", source, stats["StackInuse"], tuple(_absent(books, stacks)),
                f"goroutine stacks, {end}", books.end(places.STACKS)),
    ]  # fmt: skip


def _limit(books: Books, stats: Dict[str, int], parts: List[Part]) -> Balance:
    """Sys - HeapReleased (gcController.mappedReady), all of Go's memory, against all resident memory."""
    steps = [
        Step("mapped by the runtime, but not counted: arena index", _uncounted(books.regions)),
        Step("rounded up to whole pages", _rounding(books)),
        Step("thread stacks that the runtime mapped: under Non-Go", _negative(_own_stacks(stats))),
    ]
    for part in parts:
        steps += _absent(books, part)
    steps += _still(books)
    for name, path in (("program", places.PROGRAM), ("Non-Go", (places.OTHERS,))):
        steps.append(Step(f"{name}: not in Sys", books.end(path)))
    if books.known:
        steps.append(Step("resident of what is reserved, not yet used", books.end(places.RESERVED)))
    end = "resident" if books.known else "kept"
    value = stats["Sys"] - stats["HeapReleased"]
    ends = books.end((places.GO,), (places.OTHERS,))
    return Balance("Sys - HeapReleased", "MemStats", value, _told(steps), end, ends)


def _told(steps: List[Step]) -> Tuple[Step, ...]:
    return tuple(step for step in steps if step.amount != 0)


def _negative(amount: Optional[int]) -> Optional[int]:
    return None if amount is None else -amount


def _own_stacks(stats: Dict[str, int]) -> int:
    """memstats.stacks_sys: newosproc0 makes the first thread of a Go library in a C program."""
    return stats["StackSys"] - stats["StackInuse"]


def _uncounted(regions: List[Region]) -> int:
    return sum(r.size for r in regions if r.kind in _UNCOUNTED and places.is_kept(r))


def _rounding(books: Books) -> int:
    """mmap gives whole pages; the runtime counts what it asked sysAlloc for."""
    info, page = books.reading.info, books.reading.info.page_size
    whole = (*_UNCOUNTED, *_MAPPED, *(_LINEAR if info.pointer_size == 4 else ()))
    asked = [o for o in books.reading.go.owned if o.kind not in whole]
    return _covered([o.pages(page) for o in asked]) - _covered([(o.start, o.end) for o in asked])


def _covered(ranges: List[Tuple[int, int]]) -> int:
    """Bytes in at least one of them."""
    size = last = 0
    for start, end in sorted(ranges):
        size += max(0, end - max(start, last))
        last = max(last, end)
    return size


def _absent(books: Books, part: Part) -> List[Step]:
    """Why a part that Go counts is not all in memory."""
    amount = part.amount
    if not books.known or amount.resident is None:
        return []
    steps = []
    missing = amount.kept - amount.resident
    if amount.swapped is None:
        return [Step(f"{part.name}: never touched, or swapped out", -missing)] if missing else []
    zero = min(part.zero or 0, missing - amount.swapped)
    never = "never written" if part.zero is None else "never touched"
    steps.append(Step(f"{part.name}: {never}", amount.swapped + zero - missing))
    steps.append(Step(f"{part.name}: zero page (read, never written)", -zero))
    steps.append(Step(f"{part.name}: swapped out", -amount.swapped))
    return [step for step in steps if step.amount]


def _gone(books: Books) -> List[Step]:
    """Pages that were returned, and those of them that `_still` finds resident."""
    amount = books.root.find(*places.RETURNED)
    steps = [Step("returned to the OS, as counted page by page", -amount.size)] if amount.size else []
    return steps + _still(books)


def _still(books: Books) -> List[Step]:
    """Pages that were returned and are resident none the less, where it is known why."""
    amount = books.root.find(*places.RETURNED)
    if not amount.resident:
        return []
    kinds = books.kernel.kinds if books.kernel is not None else None
    returned = [r for r in books.regions if r.kind == go_claims.RETURNED_PAGES and r.area != RUNTIME]
    locked = sum(r.resident or 0 for r in returned if r.locked)
    left = amount.resident - locked
    loose = [r for r in returned if not r.locked]
    huge = min(_within(kinds.huge, loose), left) if kinds is not None else 0
    steps = [Step(LOCKED, locked), Step(HUGE, huge), Step(LAZY, left - huge if books.lazy else 0)]
    return [step for step in steps if step.amount]
