"""Memory of the execution tracer: event buffers and tables, straight from the OS (src/runtime/trace*.go)."""

from __future__ import annotations

from typing import Iterator, List, Set, Tuple

from addrspace_gdb.goruntime.proc import Scheduler
from addrspace_gdb.goruntime.record import Record, Runtime

# Where the pool of a table starts, by version: 1.21 traceAlloc{head}, 1.22 traceRegionAlloc{head} in a
# traceMap, from 1.23 traceRegionAlloc{current, full}.
_POOLS = ("mem.head", "tab.mem.head", "tab.mem.current", "tab.mem.full")
# Blocks of such a pool, with the field that links them.
_BLOCKS = (("traceAllocBlock", "next"), ("traceRegionAllocBlock", "traceRegionAllocBlockHeader.next"))


def tracer_memory(runtime: Runtime, scheduler: Scheduler) -> Iterator[Tuple[int, int, str]]:
    """(start, end, kind) of every buffer and table block that the tracer holds, used or empty."""
    layout = runtime.target.type("runtime.traceBuf")
    if layout is None or not runtime.has("runtime.trace"):
        return
    trace = runtime.variable("runtime.trace")
    follow = layout.scalar("link", "traceBufHeader.link").offset
    seen: Set[int] = set()
    for head in _buffer_heads(runtime, trace, scheduler):
        for buffer in runtime.chain(head, follow, "trace buffers"):
            if buffer not in seen:
                seen.add(buffer)
                yield buffer, buffer + layout.size, "trace buffer"
    for table in _tables(trace):
        yield from _blocks(runtime, table)


def _tables(trace: Record) -> List[Record]:
    """stackTab (one up to Go 1.21, one for each of two generations since), stringTab, typeTab."""
    found: List[Record] = []
    for name in ("stackTab", "stringTab", "typeTab"):
        if trace.has(name):
            is_array = trace.type.locate(name).type.kind == "array"
            found.extend(trace.elements(name) if is_array else [trace.sub(name)])
    return found


def _buffer_heads(runtime: Runtime, trace: Record, scheduler: Scheduler) -> List[int]:
    """First buffers of every list, and those that Ms (Go 1.22) or Ps (before) write to."""
    heads = [b for m in scheduler.ms for b in m.trace_buffers] + [p.trace_buffer for p in scheduler.ps]
    heads += [trace.number(n) for n in ("reading", "empty", "fullHead", "buf", "cpuLogBuf") if trace.has(n)]
    if trace.has("full"):  # [2]traceBufQueue since Go 1.22
        heads.extend(queue.number("head") for queue in trace.elements("full"))
    if trace.has("cpuBuf"):
        place = trace.type.locate("cpuBuf")
        heads.extend(runtime.words(trace.address + place.offset, place.size // runtime.word, "trace.cpuBuf"))
    heads.extend(table.number("buf") for table in _tables(trace) if table.has("buf"))
    return heads


def _blocks(runtime: Runtime, table: Record) -> Iterator[Tuple[int, int, str]]:
    for name, link in _BLOCKS:
        layout = runtime.target.type(f"runtime.{name}")
        if layout is None:
            continue
        follow = layout.scalar("next", link).offset
        for pool in _POOLS:
            if table.has(pool):
                for block in runtime.chain(table.number(pool), follow, "tables of the tracer"):
                    yield block, block + layout.size, "trace tables"
