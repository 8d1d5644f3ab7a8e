"""The list of goroutines: which ones, where each stands, and what its stack holds. Pure columns."""

from __future__ import annotations

from itertools import chain, compress
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.columns import pick, places
from addrspace_gdb.goruntime.labels import read_labels
from addrspace_gdb.goruntime.proc import is_live, status_word
from addrspace_gdb.goruntime.synctest import Bubble
from addrspace_gdb.goruntime.traceback import Frame, Walk
from addrspace_gdb.goruntime.waitreason import state_text, wait_reason
from addrspace_gdb.space.goroutines.chosen import Chosen, GoroutineState
from addrspace_gdb.space.goroutines.columns import odd, states, useds
from addrspace_gdb.space.goroutines.equal_stacks import fold_of, same_stacks, walk_of
from addrspace_gdb.space.goroutines.user_frame import NOWHERE, Spot, Users, spots
from addrspace_gdb.space.goroutines.user_frames import user_frames, users_of_walks
from addrspace_gdb.space.goroutines.walk import Start, start_of, walk
from addrspace_gdb.space.reading.cached import once
from addrspace_gdb.space.reading.goroutines import GoroutineReading

_FEW = 1000  # goroutines that are quicker looked for one by one


class Made(NamedTuple):
    """Who made a goroutine: a goid (None: not known) and a function."""

    goid: Optional[int]
    function: Optional[str]


class Goroutine(NamedTuple):
    """One goroutine of the list, for a view that shows a few. Sizes in bytes, times in nanoseconds."""

    goid: int
    status: str
    reason: Optional[str]
    state: str  # as Go prints it: the reason or the status, "(scan)", "(durable)"
    locked: Optional[int]  # id of the M it is locked to
    waited: Optional[int]
    system: bool
    thread: Optional[int]
    number: Optional[int]  # of the thread, as the debugger counts
    m: Optional[int]
    lo: int
    hi: int
    used: Optional[int]
    resident: Optional[int]
    pc: int
    sp: int
    stands: Spot
    user: Spot
    start: Optional[str]
    made: Optional[Made]
    labels: Dict[str, str]
    bubble: Optional[Bubble]
    problem: Optional[str]


class Listing:
    """The chosen goroutines, by position in the reading's columns, in the order to show."""

    def __init__(
        self,
        reading: GoroutineReading,
        positions: List[int],
        unknown_wait: int = 0,
        users: Optional[Users] = None,
    ) -> None:
        self.reading = reading
        self.positions = positions
        self.users = users if users is not None else Users(len(reading.goroutines))
        self.unknown_wait = unknown_wait  # left out because how long they wait is not known

    def __len__(self) -> int:
        return len(self.positions)

    def part(self, positions: List[int]) -> Listing:
        """Some of them, by themselves."""
        return Listing(self.reading, positions, users=self.users)


def choose(reading: GoroutineReading, which: Chosen) -> Listing:
    """The goroutines that `which` asks for, by goid. ProblemError names a goid that does not exist."""
    columns = reading.goroutines.columns
    mask = _of_status(reading, which)
    if not which.ranges and not which.system:
        for at in system_of(reading):
            mask[at] = 0
    positions = list(compress(range(len(mask)), mask))
    if which.ranges:
        positions = _of_goids(reading, which, positions)
    if which.among is not None:
        positions = [at for at in positions if at in which.among]
    if which.min_size:
        los, his = columns["lo"], columns["hi"]
        positions = [at for at in positions if his[at] - los[at] >= which.min_size]
    if which.labels:
        positions = _with_labels(reading, positions, which)
    unknown = 0
    if which.waiting_longer is not None:
        positions, unknown = _waiting(reading, positions, which.waiting_longer)
    if which.functions:
        positions = _with_functions(reading, positions, which)
    if which.without is not None:
        with_it = _with_functions(reading, positions, Chosen(functions=(which.without,)))
        positions = sorted(set(positions).difference(with_it))
    goids = columns["goid"]
    positions.sort(key=goids.__getitem__)
    return Listing(reading, positions, unknown)


def _of_status(reading: GoroutineReading, which: Chosen) -> bytearray:
    """1 for each goroutine with the status or wait reason, 0 for the others."""
    columns = reading.goroutines.columns
    pairs = states(reading).keys()
    wanted = {pair for pair in pairs if _wants(reading, which, *pair)}
    if which.state is not None and not wanted:
        raise ProblemError(
            f'no goroutine has the status or wait reason "{which.state}"; there are '
            + ", ".join(sorted({state_text(reading.reasons, *pair) for pair in pairs if is_live(pair[0])}))
        )
    mask = bytearray(b"\x01") * len(reading.goroutines)
    unwanted = pairs - wanted
    if sum(states(reading)[pair] for pair in unwanted) > _FEW:
        return bytearray(map(wanted.__contains__, zip(columns["status"], columns["waitreason"])))
    for status, reason in unwanted:
        for at in places(columns["status"], status):
            mask[at] &= columns["waitreason"][at] != reason
    return mask


def _wants(reading: GoroutineReading, which: Chosen, status: int, number: int) -> bool:
    if not is_live(status) and not which.dead:
        return False
    reason = wait_reason(reading.reasons, status, number)
    return which.matches(
        GoroutineState(status_word(status), reason, state_text(reading.reasons, status, number))
    )


def _of_goids(reading: GoroutineReading, which: Chosen, of_status: Sequence[int]) -> List[int]:
    goroutines = reading.goroutines
    goids, statuses = goroutines.column("goid"), goroutines.column("status")
    for first, last in which.ranges:
        at = goroutines.of_goid(first) if first == last else 0
        if at is None:
            raise ProblemError(f"there is no goroutine {first}")
        if first == last and not which.dead and not is_live(statuses[at]):
            died = "it is dead (--dead shows what is left)"
            raise ProblemError(f"there is no goroutine {first} any more: {died}")
    alone = {first for first, last in which.ranges if first == last}
    wanted = alone.__contains__ if len(alone) == len(which.ranges) else which.has_goid
    return [at for at in of_status if wanted(goids[at])]


@once
def system_of(reading: GoroutineReading) -> List[int]:
    """Positions of the runtime's own goroutines."""
    starts = reading.goroutines.column("startpc")
    own = [pc for pc in set(starts) if _system(reading, pc)]
    found = sorted(chain.from_iterable(places(starts, pc) for pc in own))
    return [at for at in found if is_system(reading, at)]


def _system(reading: GoroutineReading, start_pc: int) -> bool:
    return reading.tables.is_system_goroutine(start_pc, reading.fing_running)


def is_system(reading: GoroutineReading, at: int) -> bool:
    """isSystemGoroutine: cleanups (Go 1.25 and later) are the user's while they call the user's code."""
    start_pc = reading.goroutines.column("startpc")[at]
    if not _system(reading, start_pc):
        return False
    func = reading.tables.find(start_pc)
    if func is not None and reading.tables.kind(func.func_id) == "runCleanups":
        return not field_of(reading, at, "runningCleanups")
    return True


def field_of(reading: GoroutineReading, at: int, name: str) -> int:
    """A field of the g that is no column; 0 if this version lacks it or it cannot be read."""
    layout = reading.runtime.layout("runtime.g")
    if not layout.has(name):
        return 0
    place = layout.scalar(name)
    address = reading.goroutines.column("address")[at]
    try:
        raw = reading.runtime.target.read(address + place.offset, place.size)
    except UnreadableError:
        return 0
    return int.from_bytes(raw, reading.runtime.order)


def _waiting(reading: GoroutineReading, positions: Sequence[int], longer: int) -> Tuple[List[int], int]:
    columns = reading.goroutines.columns
    since, status, reason = columns["waitsince"], columns["status"], columns["waitreason"]
    found, unknown = [], 0
    for at in positions:
        waited = reading.clock.waited(since[at], status[at])
        if waited is not None and waited >= longer:
            found.append(at)
        elif waited is None and wait_reason(reading.reasons, status[at], reason[at]) is not None:
            unknown += 1
    return found, unknown


def _with_labels(reading: GoroutineReading, positions: Sequence[int], which: Chosen) -> List[int]:
    """Those with the labels that are asked for; goroutines that share their labels are looked at once."""
    pointers = reading.goroutines.column("labels")
    wanted = {
        pointer
        for pointer in {pointers[at] for at in positions}
        if which.labelled(read_labels(reading.runtime, pointer, reading.tables.minor))
    }
    return [at for at in positions if pointers[at] in wanted]


def _with_functions(reading: GoroutineReading, positions: Sequence[int], which: Chosen) -> List[int]:
    """Goroutines with all functions on their stack that are asked for, by the names that Go prints."""
    matches: Dict[int, int] = {}  # by pc
    stacks: Dict[int, Tuple[bool, Walk]] = {}  # by id of what equal stacks share, which is kept alive
    found = []
    with no_cycle_collection():
        for at, walked, shared in same_stacks(reading, positions):
            known = stacks.get(id(walked)) if shared else None
            hit = known[0] if known else _has(reading, walked, which, matches)
            if shared and known is None:
                stacks[id(walked)] = hit, walked
            if hit:
                found.append(at)
    return found


def _has(reading: GoroutineReading, walked: Walk, which: Chosen, matches: Dict[int, int]) -> bool:
    found, every = 0, which.all_functions
    for pc in walked.pcs:
        known = matches.get(pc)
        if known is None:
            known = matches[pc] = which.calls(place.name for place in reading.unwinder.locations(pc))
        found |= known
        if found == every:
            return True
    return False


def find_users(listing: Listing, positions: Sequence[int]) -> List[int]:
    """Fill in `users` for these positions, unless they are there. Returns those not simply parked."""
    if positions and 0 not in pick(listing.users.numbers, positions):
        strange = odd(listing.reading)
        return list(compress(positions, map(strange.__contains__, positions)))
    return put_users(listing.reading, positions, listing.users)


def put_users(reading: GoroutineReading, positions: Sequence[int], users: Users) -> List[int]:
    """Find the users' frames of these goroutines. Returns those not simply parked."""
    if fold_of(reading).knows(positions):
        return users_of_walks(reading, positions, users)
    return user_frames(reading, positions, users)


Key = Callable[[int], int]


def sort(listing: Listing, by: str) -> None:
    """Order by "size", "used", "wait" (most first; not known last) or "goid"."""
    reading = listing.reading
    columns = reading.goroutines.columns
    los, his = columns["lo"], columns["hi"]
    since, statuses = columns["waitsince"], columns["status"]
    used: Sequence[int] = useds(reading) if by == "used" else ()

    def waited(at: int) -> int:
        found = reading.clock.waited(since[at], statuses[at])
        return -1 if found is None else found

    keys: Dict[str, Key] = {
        "size": lambda at: his[at] - los[at],
        "used": lambda at: used[at],
        "wait": waited,
    }
    if by in keys:
        listing.positions.sort(key=keys[by], reverse=True)


def used_of(reading: GoroutineReading, at: int) -> Optional[int]:
    """hi - sp; None where sp is not known or outside the stack."""
    used = useds(reading)[at]
    return used if used >= 0 else None


def details(listing: Listing, positions: Sequence[int]) -> List[Goroutine]:
    """Everything about these goroutines."""
    missing = [at for at in positions if at not in listing.users]
    find_users(listing, missing)
    return [_detail(listing, at) for at in positions]


def _detail(listing: Listing, at: int) -> Goroutine:
    reading = listing.reading
    columns = reading.goroutines.columns
    status, number = columns["status"][at], columns["waitreason"][at]
    lo, hi = columns["lo"][at], columns["hi"][at]
    start = start_of(reading, at)
    live = reading.live.get(at)
    alive = is_live(status)
    bubble = reading.bubbles.get(at)
    return Goroutine(
        goid=columns["goid"][at],
        status=status_word(status),
        reason=wait_reason(reading.reasons, status, number),
        state=state_text(reading.reasons, status, number, bubble is not None and bubble.durable),
        locked=_locked(reading, at) if alive else None,
        waited=waited_of(reading, at),
        system=is_system(reading, at),
        thread=live.m.procid if live is not None and alive else None,
        number=live.thread.number if live is not None and alive and live.thread is not None else None,
        m=live.m.id if live is not None and alive else None,
        lo=lo,
        hi=hi,
        used=used_of(reading, at) if alive else None,
        resident=reading.residency.resident(lo, hi) if lo < hi else 0,
        pc=start.pc,
        sp=start.sp,
        stands=stands(reading, at, start) if alive else NOWHERE,
        user=listing.users[at] if alive else NOWHERE,
        start=function_at(reading, columns["startpc"][at]) if alive else None,
        made=made_by(reading, at) if alive else None,
        labels=read_labels(reading.runtime, columns["labels"][at], reading.tables.minor) if alive else {},
        bubble=bubble,
        problem=_problem(listing, at, start) if alive else None,
    )


def _problem(listing: Listing, at: int, start: Start) -> Optional[str]:
    """Why nothing can be said of its frames; only where none was found its stack is looked at once more."""
    if start.problem or listing.users[at] != NOWHERE:
        return start.problem
    found = walk_of(listing.reading, at)
    return found.problem if not found.pcs else None


def waited_of(reading: GoroutineReading, at: int) -> Optional[int]:
    """Nanoseconds since the runtime saw it wait; None if it does not wait or that is not known."""
    columns = reading.goroutines.columns
    return reading.clock.waited(columns["waitsince"][at], columns["status"][at])


def _locked(reading: GoroutineReading, at: int) -> Optional[int]:
    m = reading.goroutines.columns["lockedm"][at]
    return next((one.id for one in reading.scheduler.ms if one.address == m), 0) if m else None


def stands(reading: GoroutineReading, at: int, start: Start) -> Spot:
    """The innermost frame."""
    live = reading.live.get(at)
    if start.problem and not start.pc:
        return NOWHERE
    if live is None and not start.in_syscall:
        return spots(reading.unwinder, start.pc)[0]
    found = walk(reading, at, limit=2)
    frames = reading.unwinder.frames(found)
    first = next((frame for frame in frames if frame.name is not None), None)
    return Spot(first.name, first.file, first.line or None) if first else NOWHERE


def function_at(reading: GoroutineReading, pc: int) -> Optional[str]:
    """The printed name of the function at `pc`."""
    name = reading.tables.function_name(pc)
    return reading.tables.printed(name) if name else None


def made_by(reading: GoroutineReading, at: int) -> Optional[Made]:
    """The go statement's function and goroutine; None for goroutines the runtime started at birth."""
    columns = reading.goroutines.columns
    if columns["goid"][at] == 1:  # printcreatedby leaves it out too: the runtime made the main goroutine
        return None
    creator = reading.unwinder.creator(columns["gopc"][at], columns["parent"][at])
    return Made(creator.goid or None, creator.name) if creator else None


def frames_of(reading: GoroutineReading, at: int) -> List[Frame]:
    """The logical frames, innermost first, inlined calls included."""
    return reading.unwinder.frames(walk_of(reading, at))
