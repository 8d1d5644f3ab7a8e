"""Goroutines that are alike, as one: by function, by whole stack, by who made them, by state."""

from __future__ import annotations

from collections import Counter
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.goruntime.traceback import Frame, Walk
from addrspace_gdb.goruntime.waitreason import state_text
from addrspace_gdb.space.goroutines.equal_stacks import equal_stacks
from addrspace_gdb.space.goroutines.listing import Listing, find_users, made_by, used_of
from addrspace_gdb.space.goroutines.user_frame import Spot


class Group(NamedTuple):
    """Some goroutines that have something in common. Sizes in bytes."""

    many: int  # goroutines in it
    name: Optional[str]  # the function or state they share; for stacks the user's function; None: not known
    place: Optional[str]  # FILE:LINE, where one line is shared
    goids: Tuple[int, ...]  # the first few
    states: Dict[str, int]  # by Go's own word, most frequent first
    size: int  # of their stacks
    used: int  # of those whose sp is known
    waited: Optional[int]  # the longest, in nanoseconds; None: not known of any
    walk: Optional[Walk]  # of one of them, for stacks
    makers: Tuple[Tuple[str, int], ...] = ()  # functions that created them, and how many each, most first
    keeps: Optional[int] = None  # bytes of the heap that only they lead to, where that was asked for


_FEW = 5


class _Sum:
    __slots__ = ("count", "goids", "makers", "size", "states", "used", "waited", "walk")

    def __init__(self) -> None:
        self.count = self.size = self.used = self.waited = 0
        self.goids: List[int] = []
        self.states: Dict[Tuple[int, int], int] = {}
        self.makers: Counter[int] = Counter()  # by pc of the go statement
        self.walk: Optional[Walk] = None


def group(listing: Listing, by: str) -> List[Group]:
    """Groups of the listing, largest first. `by`: function, stack, created-by or status."""
    with no_cycle_collection():
        return _stacks(listing) if by == "stack" else _by_name(listing, _key(listing, by))


def parts(listing: Listing, by: str) -> List[List[int]]:
    """The positions of each group, the largest first."""
    found: Dict[object, List[int]] = {}
    with no_cycle_collection():
        if by == "stack":
            for walk, _, positions in equal_stacks(listing.reading, listing.positions):
                found.setdefault((walk.trap, walk.problem, tuple(walk.pcs)), []).extend(positions)
        else:
            key = _key(listing, by)
            for at in listing.positions:
                found.setdefault(key(at), []).append(at)
    return sorted(found.values(), key=lambda part: (-len(part), part))


_Key = Callable[[int], Tuple[Optional[str], Optional[str]]]


def _key(listing: Listing, by: str) -> _Key:
    """What the goroutines of a group have in common."""
    find_users(listing, listing.positions if by == "function" else [])
    keys: Dict[str, _Key] = {
        "function": lambda at: _name(listing.users[at]),
        "created-by": _Makers(listing).key,
        "status": _States(listing).key,
    }
    return keys[by]


def _name(user: Spot) -> Tuple[Optional[str], Optional[str]]:
    return user.function, f"{user.file}:{user.line}" if user.file else None


class _Makers:
    """The function of the go statement, once for each pc."""

    def __init__(self, listing: Listing) -> None:
        self._reading = listing.reading
        self._gopcs = listing.reading.goroutines.column("gopc")
        self._known: Dict[int, Tuple[Optional[str], Optional[str]]] = {}

    def key(self, at: int) -> Tuple[Optional[str], Optional[str]]:
        pc = self._gopcs[at]
        if pc not in self._known:
            creator = self._reading.unwinder.creator(pc, 0) if made_by(self._reading, at) else None
            self._known[pc] = (creator.name, f"{creator.file}:{creator.line}") if creator else (None, None)
        return self._known[pc]


class _States:
    """The state in words, once for each pair of numbers."""

    def __init__(self, listing: Listing) -> None:
        self._reading = listing.reading
        columns = listing.reading.goroutines.columns
        self._status, self._reason = columns["status"], columns["waitreason"]
        self._known: Dict[Tuple[int, int], Tuple[Optional[str], Optional[str]]] = {}

    def key(self, at: int) -> Tuple[Optional[str], Optional[str]]:
        pair = self._status[at], self._reason[at]
        if pair not in self._known:
            self._known[pair] = (state_text(self._reading.reasons, *pair), None)
        return self._known[pair]


def _by_name(listing: Listing, key: _Key) -> List[Group]:
    sums: Dict[Tuple[Optional[str], Optional[str]], _Sum] = {}
    for at in listing.positions:
        one = key(at)
        found = sums.get(one)
        if found is None:
            found = sums[one] = _Sum()
        _add(listing, found, at)
    return _sorted(_group(listing, one, *key) for key, one in sums.items())


def _stacks(listing: Listing) -> List[Group]:
    """Goroutines with the same pcs in all frames, as runtime/pprof's debug=1 folds them."""
    sums: Dict[Tuple[bool, Optional[str], Tuple[int, ...]], _Sum] = {}
    for walk, shared, positions in equal_stacks(listing.reading, listing.positions):
        key = (walk.trap, walk.problem, tuple(walk.pcs))
        found = sums.get(key)
        if found is None:
            found = sums[key] = _Sum()
            found.walk = walk
        if shared:
            _add_parked(listing, found, positions)
        else:
            for at in positions:
                _add(listing, found, at)
    return _sorted(_group(listing, one, None, None) for one in sums.values())


_GOIDS = 64  # of a group, from which the least are shown


def _add_parked(listing: Listing, one: _Sum, positions: List[int]) -> None:
    """Add goroutines that are simply parked, with their sps on their stacks: whole columns of them."""
    columns = listing.reading.goroutines.columns

    def pick(name: str) -> List[int]:
        return list(map(columns[name].__getitem__, positions))

    one.count += len(positions)
    one.goids += map(columns["goid"].__getitem__, positions[: max(0, _GOIDS - len(one.goids))])
    his, statuses, sinces = sum(pick("hi")), pick("status"), pick("waitsince")
    one.size += his - sum(pick("lo"))
    one.used += his - sum(pick("sp"))
    for state, count in Counter(zip(statuses, pick("waitreason"))).items():
        one.states[state] = one.states.get(state, 0) + count
    one.makers.update(pc for pc, goid in zip(pick("gopc"), pick("goid")) if goid != 1)
    for status in set(statuses):
        since = min((at for at, own in zip(sinces, statuses) if at > 0 and own == status), default=0)
        if since:
            one.waited = max(one.waited, listing.reading.clock.waited(since, status) or 0)


def _add(listing: Listing, one: _Sum, at: int) -> None:
    reading = listing.reading
    columns = reading.goroutines.columns
    one.count += 1
    if len(one.goids) < _GOIDS:
        one.goids.append(columns["goid"][at])
    lo, hi = columns["lo"][at], columns["hi"][at]
    one.size += hi - lo
    if at in reading.live or columns["syscallsp"][at]:
        one.used += used_of(reading, at) or 0
    elif lo < columns["sp"][at] <= hi:
        one.used += hi - columns["sp"][at]
    state = columns["status"][at], columns["waitreason"][at]
    one.states[state] = one.states.get(state, 0) + 1
    if columns["goid"][at] != 1:  # the runtime made that one
        one.makers[columns["gopc"][at]] += 1
    since = columns["waitsince"][at]
    if since > 0:
        one.waited = max(one.waited, reading.clock.waited(since, state[0]) or 0)


def _group(listing: Listing, one: _Sum, name: Optional[str], place: Optional[str]) -> Group:
    states: Dict[str, int] = {}
    for pair, count in one.states.items():
        word = state_text(listing.reading.reasons, *pair)
        states[word] = states.get(word, 0) + count
    return Group(
        many=one.count,
        name=name,
        place=place,
        goids=tuple(sorted(one.goids)[:_FEW]),
        states=dict(sorted(states.items(), key=lambda item: (-item[1], item[0]))),
        size=one.size,
        used=one.used,
        waited=one.waited or None,
        walk=one.walk,
        makers=_made(listing, one),
    )


def _made(listing: Listing, one: _Sum) -> Tuple[Tuple[str, int], ...]:
    """Functions by how many of the group they created."""
    found: Counter[str] = Counter()
    for pc, count in one.makers.items():
        creator = listing.reading.unwinder.creator(pc, 0)
        if creator is not None and creator.name:
            found[creator.name] += count
    return tuple(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _sorted(groups: Iterator[Group]) -> List[Group]:
    return sorted(groups, key=lambda one: (-one.many, -one.size, one.name or "", one.goids))


def frames_of_group(listing: Listing, one: Group, hidden: bool) -> List[Frame]:
    """The frames of a stack group, as Go prints them; with `hidden` those too that Go leaves out."""
    unwinder = listing.reading.unwinder
    frames = unwinder.frames(one.walk) if one.walk is not None else []
    return unwinder.printed(frames, 2 if hidden else 1)
