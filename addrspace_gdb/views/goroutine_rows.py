"""Rows of the list for very many goroutines: each different piece of text is made once."""

from __future__ import annotations

from itertools import compress
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, TypeVar

from addrspace_gdb import sizes
from addrspace_gdb.goruntime.waitreason import state_text
from addrspace_gdb.space.goroutine_reading import GoroutineReading
from addrspace_gdb.space.goroutines import Listing, details, find_users
from addrspace_gdb.space.stackcolumns import pick, residents, sizes_of, useds
from addrspace_gdb.space.userframe import Spot
from addrspace_gdb.views.stackparts import bar, place, waited
from addrspace_gdb.views.text import clean

Row = Tuple[str, ...]


Made = TypeVar("Made")


class Shared(Dict[Any, Made]):
    """Text (or whatever `make` gives) by key, made when first asked for."""

    def __init__(self, make: Callable[[Any], Made]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: Any) -> Made:
        made = self._make(key)
        self[key] = made
        return made


class Rows(NamedTuple):
    """Rows in two parts: goroutines that are alike are of the same kind."""

    goids: Sequence[int]
    kinds: Sequence[Any]
    rests: Dict[Any, Row]  # all cells but the first, by kind


def many_rows(
    listing: Listing, shown: Sequence[int], exact: bool, unicode: bool, parts: int, row_of: Callable[..., Row]
) -> Rows:
    """As `row_of(goroutine)` gives them, for the goroutines at the positions `shown`.

    `parts`: how many parts of a file's path to show, 0 for all. `row_of` is asked for those that are not
    simply parked.
    """
    reading = listing.reading
    columns = reading.goroutines.columns
    apart = set(find_users(listing, shown)).union(reading.bubbles)
    users = list(map(listing.users.__getitem__, shown))
    names = ("status", "waitreason", "waitsince")
    state = (pick(columns[name], shown) for name in names)
    amounts = (pick(column, shown) for column in (sizes_of(reading), useds(reading), residents(reading)))
    kinds: List[Any] = list(zip(*state, *amounts, users))
    cells = _Cells(reading, exact, unicode, parts)
    rests: Dict[Any, Row] = {kind: cells(kind) for kind in set(kinds)}
    apart.update(compress(shown, pick(columns["lockedm"], shown)))
    if any(user.function is None for user in {kind[-1] for kind in rests}):
        apart.update(at for at, user in zip(shown, users) if user.function is None)
    odd = list(compress(range(len(shown)), map(apart.__contains__, shown)))
    for i, goroutine in zip(odd, details(listing, [shown[i] for i in odd])):
        kinds[i] = i
        rests[i] = row_of(goroutine)[1:]
    return Rows(pick(columns["goid"], shown), kinds, rests)


# Status, wait reason, waitsince; size, used and resident bytes of the stack; the user's frame.
_Key = Tuple[int, int, int, int, int, Optional[int], Spot]


class _Cells:
    """Makes the cells of goroutines that are alike."""

    def __init__(self, reading: GoroutineReading, exact: bool, unicode: bool, parts: int) -> None:
        self._reading = reading
        self._exact = exact
        self._unicode = unicode
        self._place = Shared(lambda spot: clean(place(spot.file, spot.line, parts), unicode))
        self._size = Shared(sizes.size)
        self._state = Shared(self._state_of)

    def __call__(self, key: _Key) -> Row:
        status, reason, since, size, used, resident, user = key
        known = used if used >= 0 else None
        return (
            self._state[status, reason, since],
            self._size[size],
            self._size[known],
            bar(known, size, self._unicode),
            self._size[resident],
            clean(user.function or sizes.UNKNOWN, self._unicode),
            self._place[user],
        )

    def _state_of(self, key: Tuple[int, int, int]) -> str:
        status, reason, since = key
        text = state_text(self._reading.reasons, status, reason)
        time = waited(self._reading.clock.waited(since, status), self._exact, self._unicode)
        return clean(f"{text}, {time}" if time else text, self._unicode)
