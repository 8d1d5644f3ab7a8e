"""Which goroutines are asked for: by number, status, wait reason and the functions on their stacks."""

from __future__ import annotations

from typing import FrozenSet, List, NamedTuple, Pattern, Tuple


class Chosen(NamedTuple):
    """Which goroutines. Numbers are alternatives, so are statuses; everything that is given must hold."""

    ranges: Tuple[Tuple[int, int], ...] = ()  # first and last goid, in the order typed; empty: any goid
    statuses: FrozenSet[str] = frozenset()  # empty: any
    functions: Tuple[Pattern[str], ...] = ()  # each is found in the name of some function on the stack
    reasons: Tuple[Pattern[str], ...] = ()  # each is found in the wait reason (or status), in Go's words

    def has_goid(self, goid: int) -> bool:
        """Whether the numbers allow this goroutine."""
        return not self.ranges or any(first <= goid <= last for first, last in self.ranges)

    def has_state(self, status: str, reason: str) -> bool:
        """Whether the statuses and reasons allow it."""
        return (not self.statuses or status in self.statuses) and all(p.search(reason) for p in self.reasons)

    def has_functions(self, names: FrozenSet[str]) -> bool:
        """Whether the functions on its stack have what is asked for."""
        return all(any(pattern.search(name) for name in names) for pattern in self.functions)

    @property
    def filtered(self) -> bool:
        """Whether more than numbers is asked for."""
        return bool(self.statuses or self.functions or self.reasons)

    def named(self) -> List[int]:
        """The goroutines that are asked for one by one: each must exist."""
        return [] if self.filtered else [first for first, last in self.ranges if first == last]
