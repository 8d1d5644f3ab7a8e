"""Goroutines at two moments: born, gone, grown, by the stack they share; and stacks that were copied."""

from __future__ import annotations

from collections import Counter
from typing import Dict, List, NamedTuple, Optional, Set, Tuple

from addrspace_gdb.space.goroutines.stack_keys import StackKey
from addrspace_gdb.space.moments.snapshot import GoroutineTable

_FEW = 5  # goids that a group names


class StackMove(NamedTuple):
    """A goroutine whose stack lies elsewhere or has another size: the runtime copies a stack that grows or
    shrinks. Bytes; `stack` is the one it has now, None if that is not known."""

    goid: int
    was_lo: int
    was_size: int
    lo: int
    size: int
    stack: Optional[StackKey]


class GroupChange(NamedTuple):
    """The goroutines that have one stack. `born` and `gone` are None where goids cannot be matched."""

    stack: StackKey
    before: int
    after: int
    born: Optional[int]
    gone: Optional[int]
    grown: Optional[int]  # that are in it now and whose stack is larger than before
    size_before: int  # bytes of their stacks
    size_after: int
    born_goids: Tuple[int, ...]  # the first few
    gone_goids: Tuple[int, ...]


class GoroutineChanges(NamedTuple):
    """`born` and `gone` are goids, ascending; None where goids of the two moments are not of one process.
    `groups` is None where a moment does not know the stacks."""

    before: int
    after: int
    born: Optional[List[int]]
    gone: Optional[List[int]]
    moved: Optional[List[StackMove]]  # largest change first
    groups: Optional[List[GroupChange]]  # those with a difference, the largest first


class _Group:
    __slots__ = ("after", "before", "born", "gone", "grown", "size_after", "size_before", "stack")

    def __init__(self, stack: StackKey) -> None:
        self.stack = stack
        self.before = self.after = self.grown = self.size_before = self.size_after = 0
        self.born: List[int] = []
        self.gone: List[int] = []


def compare_goroutines(before: GoroutineTable, after: GoroutineTable, same_process: bool) -> GoroutineChanges:
    """What became of the goroutines. Only in one process does a goid mean the same goroutine."""
    born: Optional[List[int]] = None
    gone: Optional[List[int]] = None
    moved: Optional[List[StackMove]] = None
    if same_process:
        old, new = set(before.goids), set(after.goids)
        born, gone = sorted(new - old), sorted(old - new)
        moved = _moved(before, after)
    groups = None
    if before.stacks is not None and after.stacks is not None:
        groups = _groups(before, after, moved, set(born or ()), set(gone or ()))
    return GoroutineChanges(len(before), len(after), born, gone, moved, groups)


def _moved(before: GoroutineTable, after: GoroutineTable) -> List[StackMove]:
    if (before.goids, before.los, before.sizes) == (after.goids, after.los, after.sizes):
        return []
    places = dict(zip(before.goids, zip(before.los, before.sizes)))
    found = []
    for at, (goid, lo, size) in enumerate(zip(after.goids, after.los, after.sizes)):
        was = places.get(goid)
        if was is None or was == (lo, size):
            continue
        stack = after.stacks[after.ids[at]] if after.stacks is not None else None
        found.append(StackMove(goid, *was, lo, size, stack))
    found.sort(key=lambda move: (-abs(move.size - move.was_size), move.goid))
    return found


def _groups(
    before: GoroutineTable,
    after: GoroutineTable,
    moved: Optional[List[StackMove]],
    born: Set[int],
    gone: Set[int],
) -> List[GroupChange]:
    groups: Dict[bytes, _Group] = {}
    for table, now in ((before, False), (after, True)):
        sums = _sums(table)
        for number, stack in enumerate(table.stacks or ()):
            one = groups.setdefault(stack.key, _Group(stack))
            count, size = sums.get(number, (0, 0))
            if now:
                one.after, one.size_after = one.after + count, one.size_after + size
            else:
                one.before, one.size_before = one.before + count, one.size_before + size
        wanted = born if now else gone
        if wanted and table.stacks is not None:
            for goid, number in zip(table.goids, table.ids):
                if goid in wanted:
                    one = groups[table.stacks[number].key]
                    (one.born if now else one.gone).append(goid)
    for move in moved or ():
        if move.stack is not None and move.size > move.was_size:
            groups[move.stack.key].grown += 1
    return _sorted([_change(one, moved is not None) for one in groups.values()])


def _sums(table: GoroutineTable) -> Dict[int, Tuple[int, int]]:
    """Goroutines, and bytes of their stacks, by the number of the stack they share."""
    pairs = Counter(zip(table.ids, table.sizes))
    found: Dict[int, Tuple[int, int]] = {}
    for (number, size), count in pairs.items():
        many, total = found.get(number, (0, 0))
        found[number] = many + count, total + size * count
    return found


def _change(one: _Group, matched: bool) -> GroupChange:
    return GroupChange(
        one.stack,
        one.before,
        one.after,
        len(one.born) if matched else None,
        len(one.gone) if matched else None,
        one.grown if matched else None,
        one.size_before,
        one.size_after,
        tuple(sorted(one.born)[:_FEW]),
        tuple(sorted(one.gone)[:_FEW]),
    )


def _sorted(groups: List[GroupChange]) -> List[GroupChange]:
    differing = [
        one
        for one in groups
        if one.before != one.after or one.born or one.gone or one.size_before != one.size_after
    ]
    differing.sort(
        key=lambda one: (
            -abs(one.after - one.before),
            -abs(one.size_after - one.size_before),
            one.stack.function or "",
            one.stack.key,
        )
    )
    return differing
