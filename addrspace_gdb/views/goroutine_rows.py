"""Rows of the list for very many goroutines: each different piece of text is made once."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from addrspace_gdb import sizes
from addrspace_gdb.goruntime.waitreason import state_text
from addrspace_gdb.space.goroutine_columns import columns_of
from addrspace_gdb.space.goroutine_walk import is_plain
from addrspace_gdb.space.goroutines import Listing, details
from addrspace_gdb.space.userframe import Spot
from addrspace_gdb.views.stackparts import bar, place, waited
from addrspace_gdb.views.text import clean

Row = Tuple[str, ...]


class Shared(Dict[Any, str]):
    """Text by key, made when first asked for."""

    def __init__(self, make: Callable[[Any], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: Any) -> str:
        text = self._make(key)
        self[key] = text
        return text


def many_rows(
    listing: Listing, shown: Sequence[int], exact: bool, unicode: bool, parts: int, row_of: Callable[..., Row]
) -> List[Row]:
    """As `row_of(goroutine)` gives them, for the goroutines at the positions `shown`.

    `parts`: how many parts of a file's path to show, 0 for all. `row_of` is asked for those that are not
    simply parked.
    """
    reading = listing.reading
    found = columns_of(Listing(reading, list(shown), listing.users))
    columns = reading.goroutines.columns
    size = Shared(sizes.size)
    full = Shared(lambda key: bar(key[0], key[1], unicode))
    name = Shared(lambda pair: _function(pair, unicode))
    at_line = Shared(lambda spot: clean(place(spot.file, spot.line, parts), unicode))

    def state_of(key: Tuple[Tuple[int, int], int]) -> str:
        text = state_text(reading.reasons, *key[0])
        time = waited(reading.clock.waited(key[1]), exact, unicode)
        return clean(f"{text}, {time}" if time else text, unicode)

    state = Shared(state_of)
    rows = list(
        zip(
            map(str, found.goids),
            map(state.__getitem__, zip(found.states, map(columns["waitsince"].__getitem__, shown))),
            map(size.__getitem__, found.sizes),
            map(size.__getitem__, found.useds),
            map(full.__getitem__, zip(found.useds, found.sizes)),
            map(size.__getitem__, found.residents),
            map(name.__getitem__, zip(found.users, found.stands)),
            map(at_line.__getitem__, found.users),
        )
    )
    odd = _odd(listing, shown, found.useds)
    for i, goroutine in zip(odd, details(listing, [shown[i] for i in odd])):
        rows[i] = row_of(goroutine)
    return rows


def _function(pair: Tuple[Spot, Spot], unicode: bool) -> str:
    user, stands = pair
    return clean(user.function or stands.function or sizes.UNKNOWN, unicode)


def _odd(listing: Listing, shown: Sequence[int], useds: Sequence[Optional[int]]) -> List[int]:
    """Which of `shown` are not simply parked: their rows say more than the columns do."""
    columns, live = listing.reading.goroutines.columns, listing.reading.live
    plain = {status for status in set(columns["status"]) if is_plain(status)}
    picked = (map(columns[name].__getitem__, shown) for name in ("syscallsp", "lockedm", "status"))
    return [
        row
        for row, (at, used, call, m, status) in enumerate(zip(shown, useds, *picked))
        if used is None or call or m or status not in plain or at in live
    ]
