"""Rows of the list for very many goroutines: each different piece of text is made once."""

from __future__ import annotations

import struct
from array import array
from itertools import compress
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, TypeVar

from addrspace_gdb.common import sizes
from addrspace_gdb.goruntime.columns import pick
from addrspace_gdb.goruntime.proc import DEAD, GSCAN
from addrspace_gdb.goruntime.waitreason import state_text
from addrspace_gdb.space.goroutines.columns import residents, sizes_of, useds
from addrspace_gdb.space.goroutines.listing import Listing, details, find_users
from addrspace_gdb.views.kit.text import clean
from addrspace_gdb.views.stackparts import bar, place, waited

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


def of_dead(size: int, resident: Optional[int]) -> Row:
    """The cells behind the state of a dead goroutine: its stack, if it has one still, is in no use."""
    return (sizes.size(size), "", "", sizes.size(resident) if size else "", "", "")


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
    kinds, cells = _kinds(listing, shown), _Cells(listing, exact, unicode, parts)
    rests: Dict[Any, Row] = {kind: cells(kind) for kind in set(kinds)}
    apart.update(compress(shown, pick(columns["lockedm"], shown)))
    nowhere = {number for number, user in enumerate(listing.users.spots) if user.function is None}
    if len(nowhere) > 1:  # the first is not in use
        apart.update(at for at in shown if listing.users.numbers[at] in nowhere)
    odd = list(compress(range(len(shown)), map(apart.__contains__, shown)))
    for i, goroutine in zip(odd, details(listing, [shown[i] for i in odd])):
        kinds[i] = i
        rests[i] = row_of(goroutine)[1:]
    return Rows(pick(columns["goid"], shown), kinds, rests)


_UNKNOWN = (1 << 64) - 1  # bytes used or resident that are not known

# Status, wait reason, waitsince; size, used and resident bytes of the stack; the number of the user's frame.
_KIND = struct.Struct("=7Q")


def _kinds(listing: Listing, shown: Sequence[int]) -> List[Any]:
    """What tells the row of each goroutine, as it would be were it simply parked."""
    reading, users = listing.reading, listing.users
    columns, known = reading.goroutines.columns, residents(reading)
    if not isinstance(known, array):
        known = array("Q", (_UNKNOWN if amount is None else amount for amount in known))
    amounts = (sizes_of(reading), useds(reading), known)
    parts = (columns["status"], columns["waitreason"], columns["waitsince"], *amounts, users.numbers)
    packed = array("Q", bytes(_KIND.size * len(reading.goroutines)))
    for i, part in enumerate(parts):
        # As bytes where they fit: used bytes that are not known are -1.
        packed[i :: len(parts)] = array("Q", part.tobytes() if part.itemsize == 8 else part)
    return list(pick(list(struct.iter_unpack(f"{_KIND.size}s", packed)), shown))


class _Cells:
    """Makes the cells of goroutines that are alike."""

    def __init__(self, listing: Listing, exact: bool, unicode: bool, parts: int) -> None:
        self._reading, self._spots = listing.reading, listing.users.spots
        self._exact = exact
        self._unicode = unicode
        self._place = Shared(lambda spot: clean(place(spot.file, spot.line, parts), unicode))
        self._size = Shared(sizes.size)
        self._state = Shared(self._state_of)

    def __call__(self, kind: Tuple[bytes]) -> Row:
        status, reason, since, size, used, resident, number = _KIND.unpack(*kind)
        if status & ~GSCAN == DEAD:
            there = resident if resident < _UNKNOWN else None
            return (self._state[status, reason, since], *of_dead(size, there))
        known, user = used if used < _UNKNOWN else None, self._spots[number]
        return (
            self._state[status, reason, since],
            self._size[size],
            self._size[known],
            bar(known, size, self._unicode),
            self._size[resident if resident < _UNKNOWN else None],
            clean(user.function or sizes.UNKNOWN, self._unicode),
            self._place[user],
        )

    def _state_of(self, key: Tuple[int, int, int]) -> str:
        status, reason, since = key
        text = state_text(self._reading.reasons, status, reason)
        time = waited(self._reading.clock.waited(since, status), self._exact, self._unicode)
        return clean(f"{text}, {time}" if time else text, self._unicode)
