"""Resident and swapped bytes against smaps of a real process, by every way of finding them."""

from __future__ import annotations

import random
import sys
from functools import partial
from typing import Callable, Dict, Iterator, List, Optional

import pytest
from test_process_support import Child, child, page_size, smaps_by_line

from addrspace_gdb.common.problems import Problems
from addrspace_gdb.process.mappings import Mapping, parse_maps
from addrspace_gdb.process.page_runs import PageRuns
from addrspace_gdb.process.pagemap import MAYBE_ZERO, scan
from addrspace_gdb.process.residency import Residency, read_residency

PAGES = r"""
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
static char *get(unsigned long size, int flags) {
    return mmap(0, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
}
int main(void) {
    volatile char seen;
    char *p = get(1 << 20, MAP_PRIVATE);
    for (int i = 0; i < 100; i++) seen = p[i * 4096];            /* zero pages */
    for (int i = 50; i < 90; i += 3) p[i * 4096] = 1;
    madvise(p + (200 << 12), 4 << 12, 102);                      /* MADV_GUARD_INSTALL, Linux >= 6.13 */
    char *shared = get(1 << 20, MAP_SHARED);
    shared[5000] = 1; seen = shared[50000];
    char *sparse = get(1UL << 43, MAP_PRIVATE);                  /* a sanitizer's shadow */
    for (long i = 0; i < 700; i++) sparse[i << 33 >> 1 & ~4095L] = 1;
    mmap(0, 1UL << 42, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (int i = 0; i < 400; i++) {                              /* many small mappings */
        char *q = get(8192, MAP_PRIVATE);
        mprotect(q + 4096, 4096, PROT_NONE);
        if (i % 2) q[0] = 1;
    }
    char *mixed = get(64 << 12, MAP_PRIVATE);
    mixed[0] = 1;
    for (int i = 1; i < 5; i++) seen = mixed[i << 12];
    puts("ready");
    fflush(stdout);
    pause();
}
"""


@pytest.fixture(scope="module")
def pages() -> Iterator[Child]:
    yield from child(PAGES)


def mappings_of(pages: Child) -> List[Mapping]:
    return parse_maps(pages.proc().read("maps"))


def has_scan(pages: Child) -> bool:
    try:
        scan(pages.proc().path("pagemap"), 0x10000, 0x20000)
    except OSError:
        return False
    return True


def differences(pages: Child, residency: Residency) -> Dict[str, object]:
    """Mappings whose numbers are not those of smaps."""
    found: Dict[str, object] = {}
    for entry in smaps_by_line(pages.pid):
        ours = (
            residency.resident(entry["start"], entry["end"]),
            residency.swapped(entry["start"], entry["end"]),
        )
        if ours != (entry["Rss"], entry["Swap"]):
            found[hex(entry["start"])] = (ours, entry)
    return found


def settled(pages: Child, read: Callable[[], Residency]) -> Residency:
    """What equals smaps: the kernel moves pages of a process that stands still, too, and counts them
    otherwise for that moment. AssertionError if it does not at the fifth time."""
    for _ in range(4):
        residency = read()
        if not differences(pages, residency):
            return residency
    residency = read()
    assert differences(pages, residency) == {}
    return residency


def test_scan_equals_smaps(pages: Child) -> None:
    if not has_scan(pages):
        pytest.skip("this kernel has no PAGEMAP_SCAN")
    problems = Problems()
    read = partial(read_residency, pages.proc(), mappings_of(pages), page_size(), problems)
    residency = settled(pages, read)
    assert (residency.exact, residency.reason, list(problems)) == (True, None, [])
    assert any(e["Rss"] not in (0, e["end"] - e["start"]) for e in smaps_by_line(pages.pid))


def test_scan_in_many_calls(pages: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel leaves walk_end wrong in some of them."""
    if not has_scan(pages):
        pytest.skip("this kernel has no PAGEMAP_SCAN")
    for regions in (1, 7, 512, 600):
        monkeypatch.setattr("addrspace_gdb.process.pagemap._REGIONS", regions)
        settled(pages, partial(read_residency, pages.proc(), mappings_of(pages), page_size(), Problems()))


def test_any_split_adds_up(pages: Child) -> None:
    residency = read_residency(pages.proc(), mappings_of(pages), page_size(), Problems())
    chance = random.Random(4)
    checked = 0
    for entry in smaps_by_line(pages.pid):
        if entry["Rss"] == 0 or not residency.exact:
            continue
        cuts = {chance.randrange(entry["start"], entry["end"]) // 256 * 256 for _ in range(40)}
        edges = [entry["start"], *sorted(c for c in cuts if c > entry["start"]), entry["end"]]
        parts = [residency.resident(a, b) for a, b in zip(edges, edges[1:])]
        assert sum(part or 0 for part in parts) == entry["Rss"]
        assert all(0 <= (p or 0) <= b - a for p, a, b in zip(parts, edges, edges[1:]))
        checked += 1
    assert checked > 10 or not has_scan(pages)


def test_fallback_tells_zero_pages_from_real_ones(pages: Child) -> None:
    far = pages.proc(local=False)
    residency = settled(pages, partial(read_residency, far, mappings_of(pages), page_size(), Problems()))
    assert "too large" in (residency.reason or "")  # the sparse terabytes
    mapping = next(m for m in mappings_of(pages) if m.size >= 1 << 43 and m.permissions == "rw-p")
    assert residency.resident(mapping.start, mapping.start + 4096) is None


def test_fallback_agrees_with_the_scan_page_by_page(pages: Child) -> None:
    if not has_scan(pages):
        pytest.skip("this kernel has no PAGEMAP_SCAN")
    mappings = mappings_of(pages)
    exact = read_residency(pages.proc(), mappings, page_size(), Problems())
    other = read_residency(pages.proc(local=False), mappings, page_size(), Problems())
    compared = 0
    for mapping in mappings:
        for at in range(mapping.start, min(mapping.end, mapping.start + (1 << 20)), page_size()):
            page = other.resident(at, at + page_size())
            if page is not None:
                assert page == exact.resident(at, at + page_size())
                compared += 1
    assert compared > 1000


def test_without_pagemap_whole_mappings_are_known(pages: Child) -> None:
    denied = pages.proc(local=False, denied=("pagemap",))
    mappings = mappings_of(pages)
    residency = settled(pages, partial(read_residency, denied, mappings, page_size(), Problems()))
    assert not residency.exact
    assert "ptrace permission" in (residency.reason or "")
    for entry in smaps_by_line(pages.pid):
        half = residency.resident(entry["start"], entry["start"] + page_size() // 2)
        if entry["Rss"] == 0:
            assert half == 0
        elif entry["Rss"] == entry["end"] - entry["start"]:
            assert half == page_size() // 2
        else:
            assert half is None


def test_nothing_readable_and_no_process(pages: Child) -> None:
    mappings = mappings_of(pages)
    denied = pages.proc(local=False, denied=("pagemap", "smaps"))
    residency = read_residency(denied, mappings, page_size(), Problems())
    assert residency.resident(mappings[0].start, mappings[0].end) is None
    assert residency.swapped(mappings[0].start, mappings[0].end) is None
    assert "ptrace permission" in (residency.reason or "")
    core = read_residency(None, mappings, page_size(), Problems())
    assert core.resident(0, 1 << 47) is None
    assert core.reason


class Fake:
    """A remote process with one mapping at 0x10000 whose files are given."""

    local = False

    def __init__(self, rss: int, swap: int, words: List[int], size: Optional[int] = None) -> None:
        end = 0x10000 + 4096 * len(words) if size is None else 0x10000 + size
        self.mappings = [Mapping(0x10000, end, "rw-p", None)]
        head = f"10000-{end:x} rw-p 0 00:00 0\nSize: 1 kB\nRss: {rss // 1024} kB\nSwap: {swap // 1024} kB\n"
        self.smaps = head.encode()
        self.words = words

    def path(self, name: str) -> str:
        return f"/proc/1/{name}"

    def read(self, name: str, offset: int = 0, size: Optional[int] = None) -> bytes:
        if name == "smaps":
            return self.smaps
        assert name == "pagemap"
        data = bytes(16 * 8) + b"".join(word.to_bytes(8, sys.byteorder) for word in self.words)
        return data[offset : offset + (size or 0)] if offset < len(data) else b""

    def residency(self) -> Residency:
        return read_residency(self, self.mappings, 4096, Problems())


PRESENT, SWAP, FILE, GUARD, EXCLUSIVE = 1 << 63, 1 << 62, 1 << 61, 1 << 58, 1 << 56


def test_words_of_pagemap() -> None:
    words = [PRESENT | EXCLUSIVE, 0, SWAP, SWAP | GUARD, PRESENT | FILE, PRESENT, PRESENT]
    fake = Fake(2 * 4096, 4096, words)
    residency = fake.residency()
    assert [residency.resident(a, a + 4096) for a in range(0x10000, 0x17000, 4096)] == [
        4096, 0, 0, 0, 4096, 0, 0,
    ]  # fmt: skip
    assert residency.swapped(0x12000, 0x13000) == residency.swapped(0, 1 << 47) == 4096
    assert residency.exact
    shared_by_fork = Fake(4 * 4096, 4096, words).residency()
    assert shared_by_fork.resident(0x15000, 0x17000) == 8192
    assert shared_by_fork.exact


def test_zero_pages_that_cannot_be_told_apart_are_noted() -> None:
    residency = Fake(2 * 4096, 0, [PRESENT | EXCLUSIVE, PRESENT, PRESENT]).residency()
    assert residency.resident(0x10000, 0x13000) == 3 * 4096
    assert residency.notes == ["4 KiB of zero pages are counted that Rss does not count"]
    assert not residency.exact


def test_swapped_shared_memory_is_known_by_its_total() -> None:
    residency = Fake(4096, 8192, [PRESENT | FILE, 0, 0]).residency()
    assert residency.swapped(0x10000, 0x13000) == 8192
    assert residency.swapped(0x10000, 0x11000) is None
    assert not residency.exact


def test_hugetlb_pages_are_not_rss() -> None:
    residency = Fake(0, 0, [PRESENT | FILE]).residency()
    assert residency.resident(0x10000, 0x11000) == 0


def test_pagemap_that_ends_early() -> None:
    residency = Fake(4096, 0, [PRESENT], size=1 << 20).residency()
    assert residency.resident(0x10000, 0x110000) == 4096
    assert residency.resident(0x10000, 0x11000) is None
    assert "ends early" in (residency.reason or "")


def test_vsyscall_is_never_resident(pages: Child) -> None:
    vsyscall = Mapping(0xFFFFFFFFFF600000, 0xFFFFFFFFFF601000, "--xp", None, name="[vsyscall]")
    mappings = [*mappings_of(pages), vsyscall]
    for proc in (pages.proc(), pages.proc(local=False)):
        residency = read_residency(proc, mappings, page_size(), Problems())
        assert residency.resident(vsyscall.start, vsyscall.end) == 0


def test_runs_count_bytes_and_overrides() -> None:
    runs = PageRuns()
    runs.append(0x1000, 0x2000)
    runs.append(0x2000, 0x3000)
    runs.append(0x5000, 0x6000)
    assert len(runs) == 2
    assert runs.count(0x1800, 0x5800) == 0x2000
    assert runs.count(0, 1 << 64) == 0x3000
    assert runs.count(0x3000, 0x5000) == runs.count(5, 5) == runs.count(9, 3) == 0
    runs.override(0x5000, 0x7000, 0x1000)
    assert runs.count(0x1000, 0x7000) == 0x3000
    assert runs.count(0x1000, 0x5001) is None
    assert runs.count(0x7000, 0x8000) == 0
    assert not runs.splittable


@pytest.mark.parametrize("total", [None, 0, 8, 4])
def test_many_counts_are_those_of_each(total: Optional[int]) -> None:
    runs, rng = PageRuns(), random.Random(3)
    cuts = sorted(rng.sample(range(400), 40))
    runs.extend(cuts[::2], cuts[1::2])
    edges = sorted(rng.sample(range(420), 150))
    starts, ends = [*edges[:-1], 500], [*edges[1:], 500]
    assert list(runs.counts(starts, ends)) == [runs.count(*both) for both in zip(starts, ends)]
    runs.override(200, 208, total)
    assert list(runs.counts(starts, ends)) == [runs.count(*both) for both in zip(starts, ends)]
    assert list(PageRuns().counts(starts, ends)) == [0] * len(starts)


def test_every_top_byte_has_a_class() -> None:
    from addrspace_gdb.process.pagemap import _CLASSES

    assert len(_CLASSES) == 256
    assert set(_CLASSES) == set(b".RZS")
    assert MAYBE_ZERO == b"Z"
