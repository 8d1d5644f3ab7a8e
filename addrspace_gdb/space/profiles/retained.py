"""The dominator tree as a profile: what a frame has with all below it is what it keeps alive."""

from __future__ import annotations

from functools import cached_property
from typing import Callable, Iterator, List, NamedTuple, Sequence

from addrspace_gdb.space.profiles.locations import NamedPlaces
from addrspace_gdb.space.profiles.model import Sample, ValueType


class Kept(NamedTuple):
    """Objects of one type that are kept in the same way; `names` from their type up to the root."""

    names: Sequence[str]
    objects: int
    bytes: int


class RetainedProfile:
    """`retained`: all that is reachable, each object below what alone keeps it."""

    kind, period, period_type = "retained", 0, None
    types: Sequence[ValueType] = (
        ValueType("retained_objects", "count"),
        ValueType("retained_space", "bytes"),
    )
    default = "retained_space"

    def __init__(self, kept: Callable[[], List[Kept]], time: int) -> None:
        """`kept` is worked out when it is asked for."""
        self._make, self.time = kept, time
        self.notes: List[str] = []
        self.made = NamedPlaces()

    @cached_property
    def _kept(self) -> List[Kept]:
        return self._make()

    def samples(self) -> Iterator[Sample]:
        """One for each row."""
        for one in self._kept:
            yield Sample((one.objects, one.bytes), self.made.named(one.names), ())
