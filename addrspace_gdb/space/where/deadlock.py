"""What the goroutines of a deadlock wait for: main above all, whose return would have ended the program."""

from __future__ import annotations

from collections import Counter
from typing import List, NamedTuple, Optional

from addrspace_gdb.goruntime.waitreason import state_text
from addrspace_gdb.space.goroutines.chosen import Chosen
from addrspace_gdb.space.goroutines.listing import Goroutine, choose, details, find_users
from addrspace_gdb.space.reading.goroutines import GoroutineReading

# As the runtime says it in checkdead (src/runtime/proc.go).
ASLEEP = "all goroutines are asleep - deadlock!"
MAIN_GONE = "no goroutines (main called runtime.Goexit) - deadlock!"
_MAIN = 1  # goid of the goroutine that runs main.main


class Waiting(NamedTuple):
    """Goroutines that wait alike."""

    many: int
    state: str  # in Go's words
    function: Optional[str]  # the user's


class Blocked(NamedTuple):
    """Who waits in a deadlock."""

    main: Optional[Goroutine]  # None: it has ended
    others: List[Waiting]  # most first


def blocked(reading: GoroutineReading, message: Optional[str]) -> Optional[Blocked]:
    """Who waits, if the program died of that; None if not."""
    if message not in (ASLEEP, MAIN_GONE):
        return None
    listing = choose(reading, Chosen(system=False))
    at = reading.goroutines.of_goid(_MAIN)
    main = at if at in set(listing.positions) else None
    others = [position for position in listing.positions if position != main]
    find_users(listing, listing.positions)
    columns = reading.goroutines.columns
    keys = (map(column.__getitem__, others) for column in (columns["status"], columns["waitreason"]))
    counts = Counter(zip(*keys, map(listing.users.numbers.__getitem__, others)))
    waiting = [
        Waiting(count, state_text(reading.reasons, status, reason), listing.users.spots[user].function)
        for (status, reason, user), count in counts.items()
    ]
    waiting.sort(key=lambda one: (-one.many, one.state, one.function or ""))
    return Blocked(details(listing, [main])[0] if main is not None else None, waiting)
