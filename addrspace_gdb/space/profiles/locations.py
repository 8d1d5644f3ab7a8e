"""Locations of a profile, out of stacks, as runtime/pprof makes them (src/runtime/pprof/proto.go).

A stack from the runtime has a pc for each logical frame. Those of functions that are inlined into one another
become one location again: its address is that of the innermost.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.goruntime.callers import Callers, CallFrame
from addrspace_gdb.space.profiles.model import Function, Location, Piece, ProfileMapping

_GOEXIT = "runtime.goexit"
_NO_MAPPING = ProfileMapping(0, 0, 0, "", "", False)  # pprof wants one
_UNKNOWN = CallFrame(0, "", "", "", 0, 0, False, 0)


class _Made(NamedTuple):
    number: int
    pcs: int  # how many of the stack it stands for
    first: CallFrame


class _Deck(NamedTuple):
    """Frames that are inlined into one another, as far as they were met."""

    pcs: List[int]
    frames: List[CallFrame]


class NamedPlaces:
    """Locations for frames that are no code, only names."""

    def __init__(self) -> None:
        self.locations: List[Location] = []
        self.functions: List[Function] = []
        self._numbers: Dict[str, int] = {}  # of functions
        self._named: Dict[str, int] = {}  # locations

    @property
    def mappings(self) -> Sequence[ProfileMapping]:
        """One that is nowhere: pprof wants one, and is not to look for names there."""
        return (_NO_MAPPING._replace(has_functions=True),)

    def named(self, names: Sequence[str]) -> Tuple[Piece, ...]:
        """The locations of such frames, innermost first."""
        for name in names:
            if name not in self._named:
                self.locations.append(Location(0, 0, [(self._function(name, "", 0), 0)]))
                self._named[name] = len(self.locations)
        return (tuple(self._named[name] for name in names),)

    def _function(self, name: str, file: str, start_line: int) -> int:
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self._numbers) + 1
            self.functions.append(Function(name, file, start_line))
        return number


class Locations(NamedPlaces):
    """Numbers of locations for stacks; mappings are ascending."""

    def __init__(self, callers: Callers, mappings: Sequence[ProfileMapping]) -> None:
        super().__init__()
        self._callers = callers
        self._mappings = mappings or [_NO_MAPPING]
        self._mask = (1 << 8 * callers.symtab.pointer_size) - 1
        self._starts = [mapping.start for mapping in self._mappings]
        self._symbolized = [0] * len(self._mappings)  # 1: a frame was named, 2: one was not
        self._made: Dict[int, _Made] = {}  # by the first pc
        self._single: Dict[int, int] = {}  # of pcs, where they mean the same in every stack
        self._within: Dict[int, int] = {}  # pcs that follow in a location, and of which

    def pieces(self, stack: Sequence[int]) -> Tuple[Piece, ...]:
        """The locations of a stack; 0 for a frame that the one before it has."""
        return (self.plain(stack) or tuple(self._slowly(stack)),)

    def plain(self, run: Sequence[int]) -> Optional[Piece]:
        """The locations of a part of a stack, if its pcs were met and mean the same in every stack."""
        try:
            return tuple(map(self._single.__getitem__, run))
        except KeyError:
            return None

    @property
    def mappings(self) -> List[ProfileMapping]:
        """The mappings, by now."""
        return [
            mapping._replace(has_functions=how == 1) for mapping, how in zip(self._mappings, self._symbolized)
        ]

    def _slowly(self, given: Sequence[int]) -> List[int]:
        """appendLocsForStack."""
        stack = self._callers.whole_end(given)
        found: List[int] = []
        deck = _Deck([], [])
        at = 0
        while at < len(stack):
            pc = stack[at]
            made = self._made.get(pc)
            frame = made.first if made is not None else self._callers.frame(pc)
            frame = _UNKNOWN._replace(pc=pc - 1 & self._mask) if frame is None else frame
            if made is None and frame.function == _GOEXIT:
                self._end(deck, found)
                self._single[pc] = 0
                at += 1
            elif made is not None and not (deck.pcs and self._joins(deck, frame)):
                self._end(deck, found)
                found.append(made.number)
                at += made.pcs
            else:
                if deck.pcs and not self._joins(deck, frame):
                    self._end(deck, found)
                    if pc in self._made:
                        continue
                deck.pcs.append(pc)
                deck.frames.append(frame)
                at += 1
        self._end(deck, found)
        return found

    def _joins(self, deck: _Deck, frame: CallFrame) -> bool:
        """Whether the function of the last frame may be inlined into this one's (pcDeck.tryAdd)."""
        last = deck.frames[-1]
        if not last.inlined or last.entry != frame.entry:
            return False
        if self._callers.symtab.minor == 21:
            return last.name != frame.name
        return last.function != frame.function

    def _end(self, deck: _Deck, found: List[int]) -> None:
        """Make a location of the frames, if there are any (emitLocation)."""
        if not deck.pcs:
            return
        first, frame = deck.pcs[0], deck.frames[0]
        lines = [(self._function(one.function, one.file, one.start_line), one.line) for one in deck.frames]
        number = len(self.locations) + 1
        mapping = self._mapping(first, deck)
        self.locations.append(Location(frame.pc, mapping, lines))
        self._made[first] = _Made(number, len(deck.pcs), frame)
        self._remember(deck.pcs, number)
        found.append(number)
        deck.pcs.clear()
        deck.frames.clear()

    def _remember(self, pcs: List[int], number: int) -> None:
        """Which location a pc stands for in any stack; one that stands for several is looked at each time."""
        for place, pc in enumerate(pcs):
            meaning = 0 if place else number
            if self._within.setdefault(pc, meaning) != meaning:
                self._single.pop(pc, None)
            else:
                self._single[pc] = meaning

    def _mapping(self, pc: int, deck: _Deck) -> int:
        at = bisect_right(self._starts, pc) - 1
        if at < 0 or (pc >= self._mappings[at].end and self._mappings[at] != _NO_MAPPING):
            return 0
        for frame in deck.frames:
            named = frame.pc and frame.function and frame.file and frame.line
            self._symbolized[at] |= 1 if named else 3
        return at + 1
