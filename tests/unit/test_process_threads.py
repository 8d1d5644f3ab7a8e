"""Thread stacks and malloc's memory of a real C program, against what glibc itself says of them."""

from __future__ import annotations

import struct
from typing import Dict, Iterator, List, Optional, Tuple

import pytest
from test_process_support import Child, child, page_size

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.process import libc
from addrspace_gdb.process.libc import ARENA, ARENA_RESERVE, BRK, MMAPPED, Range, libc_ranges
from addrspace_gdb.process.mappings import Mapping, parse_maps
from addrspace_gdb.process.threads import CACHED, GUARD, STACK, TLS, ThreadStack, thread_stacks
from addrspace_gdb.target.protocol import Thread, ThreadRegisters

THREADS = r"""
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
static pthread_barrier_t ready, short_lived;
static void say(const char *what) {
    pthread_attr_t attr; void *low; size_t size, guard;
    pthread_getattr_np(pthread_self(), &attr);
    pthread_attr_getstack(&attr, &low, &size);
    pthread_attr_getguardsize(&attr, &guard);
    printf("%s %ld %lx %lx %lx %lx\n", what, syscall(SYS_gettid), (long)low, (long)low + (long)size,
           (long)guard, (long)pthread_self());
}
static void *ends(void *arg) { say("ended"); pthread_barrier_wait(&short_lived); return arg; }
static void *work(void *arg) {
    say("thread");
    char *p = malloc(1000);
    printf("arena %lx\n", (long)memset(p, 1, 1000));
    if (arg) for (int i = 0; i < 1500; i++) memset(malloc(100000), 1, 100);  /* three heaps of 64 MiB */
    if (arg) printf("arena %lx\n", (long)malloc(1000));
    pthread_barrier_wait(&ready);
    pause();
    return 0;
}
int main(void) {
    static char line[1 << 16];
    setvbuf(stdout, line, _IOLBF, sizeof line);
    pthread_t t, gone[3];
    pthread_attr_t big, mine;
    pthread_barrier_init(&ready, 0, 5);
    pthread_barrier_init(&short_lived, 0, 4);
    pthread_attr_init(&big); pthread_attr_setstacksize(&big, 3 << 20); pthread_attr_setguardsize(&big, 16384);
    char *own = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_attr_init(&mine); pthread_attr_setstack(&mine, own, 1 << 20);
    for (int i = 0; i < 5; i++) printf("chunk %lx\n", (long)malloc(300000 + 777777 * i));
    pthread_create(&t, 0, work, 0);
    pthread_create(&t, &big, work, 0);
    pthread_create(&t, &mine, work, 0);
    pthread_create(&t, 0, work, own);
    for (int i = 0; i < 3; i++) pthread_create(&gone[i], i == 2 ? &big : 0, ends, 0);
    pthread_barrier_wait(&short_lived);
    for (int i = 0; i < 3; i++) pthread_join(gone[i], 0);
    pthread_barrier_wait(&ready);
    printf("heap %lx\nheap %lx\n", (long)malloc(100), (long)malloc(60000));
    printf("main %ld %lx %lx\n", syscall(SYS_gettid), (long)pthread_self(), (long)&t);
    struct mallinfo2 all = mallinfo2();
    printf("mallinfo %zu %zu\n", all.arena, all.hblkhd);
    puts("ready");
    pause();
}
"""


@pytest.fixture(scope="module")
def running() -> Iterator[Child]:
    yield from child(THREADS)


def mappings_of(running: Child) -> List[Mapping]:
    return parse_maps(running.proc().read("maps"))


def thread_at(number: int, tid: int, sp: Optional[int], tls: Optional[int]) -> Thread:
    return Thread(number, tid, number == 1, lambda: ThreadRegisters(sp=sp, tls=tls))


def test_registers_are_read_once_and_not_before_they_are_asked_for() -> None:
    reads: List[ThreadRegisters] = []

    def read() -> ThreadRegisters:
        reads.append(ThreadRegisters(pc=1 + len(reads), sp=2))
        return reads[-1]

    thread = Thread(1, 17, True, read)
    assert (thread.tid, thread.selected, reads) == (17, True, [])
    assert (thread.pc, thread.sp, thread.tls, thread.link, len(reads)) == (1, 2, None, None, 1)


def threads_of(running: Child) -> List[Thread]:
    tid, tls, sp = running.fact("main")[0]
    found = [thread_at(1, int(tid), int(sp, 16), int(tls, 16))]
    for number, (tid, _low, high, _guard, tls) in enumerate(running.fact("thread"), 2):
        found.append(thread_at(number, int(tid), int(high, 16) - 9000, int(tls, 16)))
    return found


def stacks_of(running: Child) -> List[ThreadStack]:
    return thread_stacks(threads_of(running), mappings_of(running), running.read)


def said(rows: List[List[str]]) -> Dict[Tuple[int, int], int]:
    """(stack start, end) to guard size, as pthread_getattr_np gave them."""
    return {(int(low, 16), int(high, 16)): int(guard, 16) for _tid, low, high, guard, _tls in rows}


def test_live_stacks_are_those_of_pthread_getattr(running: Child) -> None:
    stacks = stacks_of(running)
    mine = {(s.start, s.end): s.tid for s in stacks if s.kind == STACK and s.note != "main thread"}
    rows = running.fact("thread")
    assert mine == {(int(low, 16), int(high, 16)): int(tid) for tid, low, high, *_ in rows}
    guards = {s.end: s.end - s.start for s in stacks if s.kind == GUARD and s.tid is not None}
    assert guards == {low: size for (low, _high), size in said(rows).items() if size}


def test_cached_stacks_are_those_of_ended_threads(running: Child) -> None:
    cached = {(s.start, s.end) for s in stacks_of(running) if s.kind == CACHED}
    assert cached == set(said(running.fact("ended")))


def test_main_thread(running: Child) -> None:
    stacks = stacks_of(running)
    kernel = next(m for m in mappings_of(running) if m.name == "[stack]")
    main = running.fact("main")[0]
    assert [(s.start, s.end, s.tid) for s in stacks if s.note == "main thread"] == [
        (kernel.start, kernel.end, int(main[0]))
    ]
    tls = [s for s in stacks if s.kind == TLS]
    assert len(tls) == 1
    assert tls[0].start <= int(main[1], 16) < tls[0].end
    assert all(a.end <= b.start for a, b in zip(stacks, stacks[1:]))


def test_no_content_no_claim_but_the_guards_rule(running: Child) -> None:
    """A core without the pages: only a stack directly above a PROT_NONE mapping is recognised."""

    def nothing(address: int, size: int) -> bytes:
        raise UnreadableError(address, size)

    stacks = thread_stacks(threads_of(running), mappings_of(running), nothing)
    known = set(said(running.fact("thread")))
    found = {(s.start, s.end) for s in stacks if s.kind == STACK and s.note != "main thread"}
    assert found <= known
    assert len(found) >= 2
    assert not any(s.kind in (CACHED, TLS) for s in stacks)


def test_threads_of_another_runtime_have_no_stacks(running: Child) -> None:
    """A thread pointer into memory that is no pthread's, as Go without cgo has it."""
    inside = int(running.fact("arena")[0][0], 16)
    for tls in (inside, 0, 8, (1 << 64) - 8, 1 << 47, None):
        thread = thread_at(1, 1, None, tls)
        stacks = thread_stacks([thread], mappings_of(running), running.read)
        assert [s.kind for s in stacks] == [STACK]  # the kernel's [stack]


def test_hostile_descriptors(running: Child) -> None:
    """A descriptor that repeats, overflows or claims everything gives nothing and ends."""
    tls = threads_of(running)[1].tls or 0
    page = page_size()
    for words in ((tls, 1 << 63, 0), (page, 1 << 40, 0), (tls - tls % page, page, page), (0, 0, 0)):

        def read(address: int, size: int, words: Tuple[int, ...] = words) -> bytes:
            data = struct.pack("<Q", address) + struct.pack("<3Q", *words) * (size // 24 + 1)
            return data[:size]

        for stack in thread_stacks(threads_of(running), mappings_of(running), read):
            assert stack.start < stack.end


def ranges_of(running: Child) -> List[Range]:
    owned = [(s.start, s.end) for s in stacks_of(running)]

    def excluded(start: int, end: int) -> bool:
        return any(low < end and start < high for low, high in owned)

    return libc_ranges(mappings_of(running), running.read, page_size(), excluded, owned)


def kind_at(ranges: List[Range], address: int) -> str:
    return next((kind for start, end, kind in ranges if start <= address < end), "")


def test_mmapped_chunks_add_up_to_mallinfo(running: Child) -> None:
    ranges = ranges_of(running)
    mapped = int(running.fact("mallinfo")[0][1])
    assert sum(end - start for start, end, kind in ranges if kind == MMAPPED) == mapped
    assert {kind_at(ranges, int(row[0], 16)) for row in running.fact("chunk")} == {MMAPPED}


def test_heaps_add_up_to_mallinfo(running: Child) -> None:
    ranges = ranges_of(running)
    total = sum(end - start for start, end, kind in ranges if kind in (ARENA, BRK))
    assert total == int(running.fact("mallinfo")[0][0])
    assert {kind_at(ranges, int(row[0], 16)) for row in running.fact("arena")} == {ARENA}
    assert {kind_at(ranges, int(row[0], 16)) for row in running.fact("heap")} == {BRK}


def test_reserved_tails_are_not_accessible(running: Child) -> None:
    mappings = mappings_of(running)
    ranges = ranges_of(running)
    assert any(kind == ARENA_RESERVE for _start, _end, kind in ranges)
    for start, end, kind in ranges:
        holder = next(m for m in mappings if m.start <= start < m.end)
        assert end <= holder.end
        assert holder.permissions[:2] == ("--" if kind == ARENA_RESERVE else "rw")
    assert all(a[1] <= b[0] for a, b in zip(ranges, ranges[1:]))


def test_very_many_chunks_side_by_side_are_all_found() -> None:
    many = 70_000
    mapping = Mapping(1 << 40, (1 << 40) + many * 0x21000, "rw-p", None)
    header = struct.pack("<4Q", 0, 0x21000 | 2, 0, 0)
    told: List[str] = []
    found = libc_ranges([mapping], lambda at, size: header[:size], 4096, tell=told.append)
    assert (found, told) == ([(mapping.start, mapping.end, MMAPPED)], [])


def test_a_walk_over_chunks_that_is_cut_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libc, "_MAX_CHUNKS", 10)
    mapping = Mapping(1 << 40, (1 << 40) + 20 * 0x21000, "rw-p", None)
    header = struct.pack("<4Q", 0, 0x21000 | 2, 0, 0)
    told: List[str] = []
    found = libc_ranges([mapping], lambda at, size: header[:size], 4096, tell=told.append)
    assert found == [(mapping.start, mapping.start + 10 * 0x21000, MMAPPED)]
    assert told == ["malloc: only the first 10 blocks with a mapping of their own are told apart"]


def test_excluded_memory_is_not_claimed(running: Child) -> None:
    ranges = libc_ranges(mappings_of(running), running.read, page_size(), lambda start, end: True)
    assert {kind for _start, _end, kind in ranges} == {BRK}


def test_hostile_malloc_headers() -> None:
    """Heaps that name each other as the previous one, and chunks of impossible sizes."""
    step = 64 << 20
    mapping = Mapping(16 * step, 24 * step, "rw-p", None)

    def cycle(address: int, size: int) -> bytes:
        other = 17 * step if address == 16 * step else 16 * step
        return struct.pack("<4Q", 16 * step + 0x30, other, 4096, 4096)[:size]

    assert libc_ranges([mapping], cycle, 4096) == []
    for chunk in (2, 4096 | 3, (1 << 63) | 2, 4097 << 12 << 20 | 2, 100 | 2):
        header = struct.pack("<4Q", 0, chunk, 0, 0)
        assert libc_ranges([mapping], lambda a, n, h=header: h[:n], 4096) == []  # type: ignore[misc]
    huge = Mapping(1 << 47, 1 << 62, "rw-p", None)
    assert libc_ranges([huge], lambda a, n: bytes(n), 4096) == []
