"""What MemStats.BuckHashSys counts: the profiler's buckets (src/runtime/mprof.go), and pointer masks."""

from __future__ import annotations

from typing import Iterator, Tuple

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.moduledata import modules
from addrspace_gdb.goruntime.record import Runtime

_LISTS = (("mbuckets", "memRecord"), ("bbuckets", "blockRecord"), ("xbuckets", "blockRecord"))
_MAX_DEPTH = 1 << 12  # frames of a stack; maxProfStackDepth is 1024


def profile_bytes(runtime: Runtime) -> int:
    """Bytes of the hash table, of every bucket of memory, block and mutex profiles, and of pointer masks.

    Raises UnreadableError for a bucket that cannot be read or holds an impossible stack.
    """
    return _buckets(runtime) + _masks(runtime)


def _masks(runtime: Runtime) -> int:
    """GC masks of the modules' data and bss: progToPointerMask (src/runtime/mbitmap.go) adds a byte."""
    masks = [mask for m in modules(runtime.target, runtime.problems) for mask in (m.gcdatamask, m.gcbssmask)]
    return sum(-(-mask.length // 8) + 1 for mask in masks if mask is not None)


def _buckets(runtime: Runtime) -> int:
    if not runtime.global_word("runtime.buckhash"):
        return 0
    return runtime.layout("runtime.buckhashArray").size + sum(size for _, size in buckets(runtime))


def buckets(runtime: Runtime) -> Iterator[Tuple[int, int]]:
    """Address and size of each bucket. Raises as `profile_bytes`."""
    layout = runtime.layout("runtime.bucket")
    follow, depth = layout.scalar("allnext").offset, layout.scalar("nstk").offset
    for name, record in _LISTS:
        fixed = layout.size + runtime.layout(f"runtime.{record}").size
        for bucket in runtime.chain(runtime.global_word(f"runtime.{name}"), follow, f"runtime.{name}"):
            frames = runtime.word_at(bucket + depth)
            if frames > _MAX_DEPTH:
                raise UnreadableError(bucket, layout.size)
            yield bucket, fixed + frames * runtime.word
