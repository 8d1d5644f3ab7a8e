"""Which goroutines are asked for: by number, state, the functions on their stacks, and more."""

from __future__ import annotations

from typing import FrozenSet, Iterable, List, Mapping, NamedTuple, Optional, Pattern, Tuple


class GoroutineState(NamedTuple):
    """What a goroutine does, in Go's words."""

    status: str
    reason: Optional[str]  # what it waits for; None: it does not wait
    text: str  # as Go's dump has it: the reason, else the status, "(scan)", "(durable)"


class Chosen(NamedTuple):
    """Which goroutines. Numbers are alternatives, so are statuses; everything that is given must hold."""

    ranges: Tuple[Tuple[int, int], ...] = ()  # first and last goid, in the order typed; empty: any goid
    statuses: FrozenSet[str] = frozenset()  # empty: any
    functions: Tuple[Pattern[str], ...] = ()  # each is found in the name of some function on the stack
    reasons: Tuple[Pattern[str], ...] = ()  # each is found in the state, as Go's dump has it
    state: Optional[str] = None  # a status, or a part of a wait reason, in any case
    waiting_longer: Optional[int] = None  # nanoseconds
    min_size: int = 0  # bytes of stack
    system: bool = True  # the runtime's own too
    dead: bool = False
    labels: Tuple[Tuple[str, str], ...] = ()  # keys and values that a goroutine has, all of them
    without: Optional[Pattern[str]] = None  # found in no name of a function on the stack
    among: Optional[FrozenSet[int]] = None  # positions; None: any

    def has_goid(self, goid: int) -> bool:
        """Whether the numbers allow this goroutine."""
        return not self.ranges or any(first <= goid <= last for first, last in self.ranges)

    def matches(self, state: GoroutineState) -> bool:
        """Whether a goroutine in that state is wanted."""
        if self.statuses and state.status not in self.statuses:
            return False
        if self.state is not None:
            wanted, reason = self.state.lower(), state.reason
            if wanted != state.status.lower() and (reason is None or wanted not in reason.lower()):
                return False
        return all(pattern.search(state.text) for pattern in self.reasons)

    def labelled(self, labels: Mapping[str, str]) -> bool:
        """Whether a goroutine with these labels is wanted."""
        return all(labels.get(key) == value for key, value in self.labels)

    def calls(self, names: Iterable[str]) -> int:
        """A bit for each of `functions` that is found in one of the names."""
        found = 0
        for name in names:
            for number, pattern in enumerate(self.functions):
                if pattern.search(name):
                    found |= 1 << number
        return found

    @property
    def all_functions(self) -> int:
        """What `calls` gives for a stack that has all of them."""
        return (1 << len(self.functions)) - 1

    @property
    def filtered(self) -> bool:
        """Whether more than numbers is asked for."""
        return self._replace(ranges=(), system=True) != Chosen()

    def named(self) -> List[int]:
        """The goroutines that are asked for one by one: each must exist."""
        return [] if self.filtered else [first for first, last in self.ranges if first == last]
