"""Profiles of blocking: what goroutines waited for, and whom they waited for (block and mutex)."""

from __future__ import annotations

import struct
from functools import cached_property
from typing import Dict, Iterator, List, Sequence, Tuple

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.goruntime.mprof import Buckets, read_profile
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.space.profiles.locations import Locations
from addrspace_gdb.space.profiles.model import Sample, ValueType
from addrspace_gdb.space.profiles.source import Source

_LISTS = {"block": "bbuckets", "mutex": "xbuckets"}
_TURNED_ON_BY = {"block": "runtime.SetBlockProfileRate", "mutex": "runtime.SetMutexProfileFraction"}
_SIGN = 1 << 63
_EXPANDS = (
    23  # since Go 1.N stacks are kept by frames, and what is inlined there is found when they are written
)
_SCALES = 20  # since Go 1.N events are scaled when they are counted


class ContentionProfile:
    """`block` or `mutex` (printCountCycleProfile, src/runtime/pprof/pprof.go)."""

    period_type = ValueType("contentions", "count")
    period = 1
    default = ""

    def __init__(self, source: Source, kind: str) -> None:
        """Read the buckets. ProblemError, one line, where there are none."""
        runtime = source.runtime
        self.kind, self.time, self._source = kind, source.time, source
        self.notes: List[str] = []
        self._buckets = _read(runtime, kind)
        self._depth = stack_depth(source)
        ticks = _ticks_per_second(runtime)
        self._per_second = ticks or 10**9
        self._factor = _fraction(runtime) if kind == "mutex" and source.minor < _SCALES else 1
        self.types = (
            ValueType("contentions", "count"),
            ValueType("delay", "nanoseconds" if ticks else "ticks"),
        )
        if not ticks:
            self.notes.append(
                "the runtime has not measured its clock: delays are in its ticks, not in nanoseconds"
            )
        self._runs = self._buckets.stacks.runs()
        source.learn({pc for run in self._runs for pc in run})

    @cached_property
    def made(self) -> Locations:
        """See model.Profile."""
        return self._source.locations()

    def samples(self) -> Iterator[Sample]:
        """One for each stack, those of the longest delays first."""
        rows = [(_signed(cycles), row) for row, cycles in enumerate(self._buckets.cycles)]
        stacks = list(self._buckets.stacks)
        for cycles, row in sorted(rows, key=lambda one: -one[0]):
            count = self._count(self._buckets.counts[row])
            delay = int(cycles / (self._per_second / 1e9) * self._factor)
            yield Sample(
                (count * self._factor, delay),
                self.made.pieces(self._stack([pc for run in stacks[row] for pc in self._runs[run]])),
                (),
            )

    def _stack(self, stack: Sequence[int]) -> Sequence[int]:
        if self._source.minor < _EXPANDS:
            return stack
        return self._source.callers.expanded(stack, self._depth)

    def _count(self, bits: int) -> int:
        """blockRecord.count is a float64."""
        (number,) = struct.unpack("<d", struct.pack("<Q", bits))
        count = int(number) if -_SIGN < number < _SIGN else 0
        return 1 if not count and self.kind == "block" else count


def _read(runtime: Runtime, kind: str) -> Buckets:
    found = read_profile(runtime, _LISTS[kind])
    if found is not None:
        return found
    raise ProblemError(
        f"the {kind} profile is empty: {_TURNED_ON_BY[kind]} turns it on, and nothing blocked since"
    )


def _ticks_per_second(runtime: Runtime) -> int:
    """Of cputicks, as the runtime measured it; 0 where it has not, or that is not known."""
    if not runtime.has("runtime.ticks"):
        return 0
    try:
        return runtime.variable("runtime.ticks").number("val")
    except ProblemError:
        return 0


def _fraction(runtime: Runtime) -> int:
    """What an event stands for: 1 of so many is taken."""
    rate = "runtime.mutexprofilerate"
    return runtime.global_number(rate, 8) if runtime.has(rate) else 1


def stack_depth(source: Source) -> int:
    """Frames of a stack that profiles keep: 32, since Go 1.23 what GODEBUG=profstackdepth says."""
    runtime = source.runtime
    if source.minor < _EXPANDS or not runtime.has("runtime.debug"):
        return 32 if source.minor < _EXPANDS else 128
    return max(0, runtime.variable("runtime.debug").number("profstackdepth"))


def _signed(number: int) -> int:
    return number - 2 * _SIGN if number >= _SIGN else number


class ThreadProfile:
    """`threadcreate`: the stack that made each thread, which is known of few (ThreadCreateProfile)."""

    kind, default, period = "threadcreate", "", 1
    period_type = ValueType("threadcreate", "count")
    types = (ValueType("threadcreate", "count"),)

    def __init__(self, source: Source) -> None:
        """Read the stacks of all Ms."""
        self.time, self._source = source.time, source
        self.notes: List[str] = []
        self._stacks = _made_by(source)
        source.learn(pc for stack in self._stacks for pc in stack)

    @cached_property
    def made(self) -> Locations:
        """See model.Profile."""
        return self._source.locations()

    def samples(self) -> Iterator[Sample]:
        """One for each stack, the most frequent first."""
        counted: Dict[Tuple[int, ...], int] = {}
        for stack in self._stacks:
            counted[stack] = counted.get(stack, 0) + 1
        for stack, count in sorted(counted.items(), key=lambda item: (-item[1], stack_key(item[0]))):
            yield Sample((count,), self.made.pieces(stack), ())


def stack_key(stack: Sequence[int]) -> str:
    """By what printCountProfile sorts stacks of which there are equally many."""
    return "@" + "".join(f" {pc:#x}" for pc in stack)


def _made_by(source: Source) -> List[Tuple[int, ...]]:
    """m.createstack of each M. Up to Go 1.22 it ends at the first 0; since then there are 32 always."""
    runtime = source.runtime
    layout = runtime.layout("runtime.m")
    place, link = layout.locate("createstack"), layout.scalar("alllink").offset
    count = place.size // runtime.word
    found = []
    for m in runtime.chain(runtime.global_word("runtime.allm"), link, "runtime.allm"):
        words = runtime.words(m + place.offset, count, "runtime.m.createstack")
        stack = tuple(words)
        if source.minor < _EXPANDS and 0 in stack:
            stack = stack[: stack.index(0)]
        found.append(stack)
    return found
