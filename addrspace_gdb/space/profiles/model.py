"""What a profile is (profile.proto of github.com/google/pprof), apart from how it is written."""

from __future__ import annotations

from typing import Iterator, List, NamedTuple, Optional, Protocol, Sequence, Tuple


class ValueType(NamedTuple):
    """What a number means, and its unit as pprof knows it: "inuse_space", "bytes"."""

    type: str
    unit: str


class Function(NamedTuple):
    """A function; its number is its place in the list, from 1 on."""

    name: str
    file: str
    start_line: int  # 0: not known


class Location(NamedTuple):
    """An instruction with what is inlined there; its number is its place in the list, from 1 on."""

    address: int  # 0: it is none
    mapping: int  # number of the mapping, 0 for none
    lines: Sequence[Tuple[int, int]]  # numbers of functions and lines in them, the innermost first


class ProfileMapping(NamedTuple):
    """A mapped file with code; its number is its place in the list, from 1 on."""

    start: int
    end: int
    offset: int
    file: str
    build_id: str
    has_functions: bool


class Label(NamedTuple):
    """A label of a sample: a text, or a number."""

    key: str
    text: str = ""
    number: int = 0


Piece = Tuple[int, ...]


class Sample(NamedTuple):
    """Numbers for one stack, which is there in pieces: many stacks have a piece in common.

    A piece are locations, innermost first, as the pieces are; a 0 among them is nothing.
    """

    values: Tuple[int, ...]
    pieces: Tuple[Piece, ...]
    labels: Tuple[Label, ...]

    @property
    def locations(self) -> List[int]:
        """Of all frames, innermost first."""
        return [number for piece in self.pieces for number in piece if number]


class Places(Protocol):
    """Where samples were taken. It is complete once all samples were asked for."""

    locations: List[Location]
    functions: List[Function]

    @property
    def mappings(self) -> Sequence[ProfileMapping]:
        """What is mapped, with which of it has functions."""


class Profile(Protocol):
    """A profile."""

    kind: str
    period: int
    time: int  # nanoseconds since 1970, 0 where it is not known
    notes: List[str]

    @property
    def default(self) -> str:
        """The type to show first; empty: the last one."""

    @property
    def types(self) -> Sequence[ValueType]:
        """Of the values of each sample."""

    @property
    def period_type(self) -> Optional[ValueType]:
        """Of the period; None: there is none."""

    @property
    def made(self) -> Places:
        """What the samples' locations are."""

    def samples(self) -> Iterator[Sample]:
        """Each sample, in Go's order where that is one. They are asked for once."""
