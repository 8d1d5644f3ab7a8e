"""Which frame of a stack is the user's: the first that is not the runtime's or a way to block.

Left out, from the innermost frame on, are functions of these packages of the standard library:
`runtime` and all under it, `internal/...`, `sync`, `syscall`, `time`, `reflect`, `iter`, `os`, `io`
and `net` themselves (not `net/http`, `os/signal` ...), and what tools made: the compiler's wrappers, and
those of cgo through which Go calls C (cmd/cgo/out.go). If the whole stack is made of them, the user's frame
is the outermost one that is not the runtime's, and if there is no such frame either, the function that the
goroutine started in.
"""

from __future__ import annotations

from array import array
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.goruntime import funcid
from addrspace_gdb.goruntime.symtab import Location
from addrspace_gdb.goruntime.traceback import Frame, Unwinder
from addrspace_gdb.space.goroutines.equal_stacks import plain_size

_BLOCKING = frozenset(("runtime", "sync", "syscall", "time", "reflect", "iter", "os", "io", "net"))
_OF_CGO = ("._Cfunc_", "._C2func_", "._Cmacro_", "._cgoexp_")
_UNDER = ("runtime/", "internal/", "sync/", "vendor/")


def package(function: str) -> str:
    """The import path in a linker's function name: "net/http" of `net/http.(*conn).serve`."""
    path = function.partition("[")[0]
    slash = path.rfind("/") + 1
    return path[: slash + path[slash:].find(".")] if "." in path[slash:] else path


def is_users(function: Optional[str], kind: str = funcid.NORMAL) -> bool:
    """Whether a frame of that function is the user's, by the rule above."""
    if function is None or kind == funcid.WRAPPER:
        return False
    path = package(function)
    if function.startswith(_OF_CGO, len(path)):
        return False
    return path not in _BLOCKING and not path.startswith(_UNDER)


class Spot(NamedTuple):
    """A function and a line in it. `function` is as Go prints it; None: no Go function."""

    function: Optional[str]
    file: Optional[str]
    line: Optional[int]


NOWHERE = Spot(None, None, None)


class Users:
    """The user's frame of goroutines by position: a number for each, as equal frames are many."""

    def __init__(self, count: int) -> None:
        self.numbers = array("Q", bytes(8 * count))  # 0: not looked for
        self.spots = [NOWHERE]  # by number
        self._known: Dict[Spot, int] = {}

    def number(self, spot: Spot) -> int:
        """The number of a frame, from 1 on."""
        if spot not in self._known:
            self._known[spot] = len(self.spots)
            self.spots.append(spot)
        return self._known[spot]

    def __contains__(self, at: int) -> bool:
        return self.numbers[at] != 0

    def __getitem__(self, at: int) -> Spot:
        """NOWHERE where it was not looked for."""
        return self.spots[self.numbers[at]]

    def of(self, positions: Sequence[int]) -> List[Spot]:
        """Those of many goroutines."""
        return [self.spots[number] for number in map(self.numbers.__getitem__, positions)]


def spot(place: Location) -> Spot:
    """A frame's place, with what the tables do not say as None."""
    return Spot(place.name, place.file if place.file != "?" else None, place.line or None)


def user_spot(frames: Sequence[Frame]) -> Spot:
    """The user's frame of a whole stack, innermost first."""
    known = [frame for frame in frames if frame.function is not None and frame.name is not None]
    for frame in known:
        if is_users(frame.function, frame.kind):
            return _of(frame)
    others = [frame for frame in known if not str(frame.function).startswith("runtime.")]
    others = others or [frame for frame in known if frame.kind not in ("goexit", funcid.WRAPPER)]
    return _of(others[-1]) if others else NOWHERE


def _of(frame: Frame) -> Spot:
    return Spot(frame.name, frame.file if frame.file != "?" else None, frame.line or None)


class Skipper:
    """Goes from a parked goroutine's pc to its user frame, remembering what each pc means."""

    def __init__(self, unwinder: Unwinder, users: Users) -> None:
        self.unwinder = unwinder
        self._users = users
        self.skip: Dict[int, int] = {}  # pc to what `words` said of it
        self.ends: Dict[int, int] = {}  # pc where a search ends to a number; 0: only the whole stack tells

    def words(self, pc: int) -> int:
        """Words to where the caller's pc is, if nothing at `pc` is the user's; 0 if the search ends here."""
        found, size = self._look(pc)
        self.skip[pc] = words = (size or 0) // self.unwinder.symtab.pointer_size
        if words == 0:
            self.ends[pc] = self._users.number(found) if found is not None else 0
        return words

    def _look(self, pc: int) -> Tuple[Optional[Spot], Optional[int]]:
        for place in self.unwinder.locations(pc):
            if is_users(place.function, place.kind):
                return spot(place), None
        return None, plain_size(self.unwinder, pc)


def spots(unwinder: Unwinder, pc: int) -> List[Spot]:
    """The logical frames at a parked goroutine's pc, innermost first."""
    return [spot(place) for place in unwinder.locations(pc)] or [NOWHERE]
