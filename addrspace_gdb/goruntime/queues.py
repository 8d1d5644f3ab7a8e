"""Finalizers and cleanups whose objects are dead, and that wait to be run.

Both lie in blocks of persistent memory that one list has all of: `allfin` those of finalizers
(src/runtime/mfinal.go), and since Go 1.25 `gcCleanups.all` those of cleanups (mcleanup.go). Go 1.24 queued
cleanups as finalizers without an argument.
"""

from __future__ import annotations

import sys
from array import array
from typing import Iterator, NamedTuple, Tuple

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.funcid import FING_RUNNING
from addrspace_gdb.goruntime.record import Record, Runtime
from addrspace_gdb.target.layout import Type


class Queues(NamedTuple):
    """What waits, and what is being run. Addresses and counts are as of the stop."""

    finalizers: int  # that have not begun
    finalizing: int  # that have: 0 or 1
    cleanups: int  # that have not begun
    cleaning: int  # goroutines that run some
    objects: array[int]  # addresses of the objects that those finalizers keep
    worker: int  # the g that runs finalizers; 0 until there was one

    @property
    def waiting(self) -> int:
        """All that have not begun."""
        return self.finalizers + self.cleanups


def read_queues(runtime: Runtime) -> Queues:
    """Read them. UnreadableError; ProblemError and KeyError where this version's variables are not known."""
    arguments = array("Q")
    for argument in _queued_finalizers(runtime):
        arguments.append(argument)
    finalizing = int(is_finalizing(runtime))
    objects = array("Q", filter(None, arguments))
    cleanups, cleaning = _cleanups(runtime) if runtime.has("runtime.gcCleanups") else (0, 0)
    finalizers, old_cleanups = len(objects), len(arguments) - len(objects)
    if finalizers:  # the one that runs is the last of its block, and still in it
        finalizers -= finalizing
    elif old_cleanups:
        old_cleanups, cleaning = old_cleanups - finalizing, cleaning + finalizing
        finalizing = 0
    return Queues(
        max(0, finalizers),
        finalizing,
        max(0, cleanups + old_cleanups),
        cleaning,
        objects,
        runtime.global_word("runtime.fing"),
    )


def is_finalizing(runtime: Runtime) -> bool:
    """Whether the finalizer goroutine is in a finalizer: it is the user's then (isSystemGoroutine)."""
    if runtime.has("runtime.fingRunning"):  # up to Go 1.19
        return bool(runtime.global_number("runtime.fingRunning", 1))
    return bool(runtime.global_number("runtime.fingStatus", 4) & FING_RUNNING)


def queued_words(runtime: Runtime) -> Iterator[Tuple[int, array[int]]]:
    """What the collector scans of the queues: the words of each block of finalizers, and of cleanups since
    Go 1.25, and where the first of them is. Raises as `read_queues`."""
    layout = runtime.target.type("runtime.finBlock") or runtime.layout("runtime.finblock")
    first = runtime.global_word("runtime.allfin")
    for block, count in _blocks(runtime, layout, first, "runtime.allfin", "cnt"):
        yield block.at("fin"), _entries(runtime, layout, block, "fin", count)[0]
    if runtime.has("runtime.gcCleanups"):
        layout, header = runtime.layout("runtime.cleanupBlock"), "cleanupBlockHeader."
        first = runtime.variable("runtime.gcCleanups").number("all")
        for block, count in _blocks(runtime, layout, first, "gcCleanups.all", "n", header):
            yield block.at("cleanups"), _entries(runtime, layout, block, "cleanups", count)[0]


def _queued_finalizers(runtime: Runtime) -> Iterator[int]:
    """The argument of each finalizer in a block; 0 for what Go 1.24 queued of cleanups."""
    renamed = runtime.target.type("runtime.finBlock")  # since Go 1.25
    layout = renamed or runtime.layout("runtime.finblock")
    argument = runtime.layout("runtime.finalizer").scalar("arg").offset // runtime.word
    first = runtime.global_word("runtime.allfin")
    for block, count in _blocks(runtime, layout, first, "runtime.allfin", "cnt"):
        words, width = _entries(runtime, layout, block, "fin", count)
        yield from words[argument::width]


def _cleanups(runtime: Runtime) -> Tuple[int, int]:
    """How many wait, and how many goroutines are at work. What has begun is wiped out of its block, by
    Go 1.25, whose entries are pointers, when it has ended."""
    queue = runtime.variable("runtime.gcCleanups")
    layout = runtime.layout("runtime.cleanupBlock")
    waiting = 0
    header = "cleanupBlockHeader."
    for block, count in _blocks(runtime, layout, queue.number("all"), "gcCleanups.all", "n", header):
        words, width = _entries(runtime, layout, block, "cleanups", count)
        waiting += sum(map(bool, words[::width]))
    running = queue.number("running")
    entry = layout.locate("cleanups").type.element
    wiped_late = entry is not None and entry.size == runtime.word
    return max(0, waiting - running) if wiped_late else waiting, running


def _blocks(
    runtime: Runtime, layout: Type, first: int, what: str, count: str, header: str = ""
) -> Iterator[Tuple[Record, int]]:
    """The blocks of a list that hold something, and how many entries each of them has."""
    follow = layout.scalar(header + "alllink").offset
    for address in runtime.chain(first, follow, what):
        try:
            block = Record(runtime, layout, address)
        except UnreadableError as error:
            runtime.problems.add(f"{what}: {error}; left out")
            continue
        entries = block.number(header + count)
        if entries:
            yield block, entries


def _entries(runtime: Runtime, layout: Type, block: Record, name: str, count: int) -> Tuple[array[int], int]:
    """The first `count` entries of a block as words, and how many words each of them takes."""
    place = layout.locate(name)
    element = place.type.element
    if element is None or count > place.type.count:
        runtime.problems.add(
            f"{name} of the block at {block.address:#x}: {count} entries are too many; left out"
        )
        return array("Q"), 1
    words = array("Q" if runtime.word == 8 else "I")
    words.frombytes(block.data[place.offset : place.offset + count * element.size])
    if runtime.order != sys.byteorder:
        words.byteswap()
    return words if runtime.word == 8 else array("Q", words), element.size // runtime.word
