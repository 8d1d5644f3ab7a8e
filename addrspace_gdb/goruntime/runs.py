"""Very many stacks that share most of what they are: kept in runs of a few pcs, each of them once."""

from __future__ import annotations

import sys
from array import array
from typing import Dict, Iterator, List, Literal, Sequence, Tuple

_RUN = 8  # pcs

Run = Tuple[int, ...]


class Stacks:
    """Stacks in the order in which they were added. Runs are counted from the outermost pc on, so that only
    the innermost one of a stack may be shorter."""

    def __init__(self, word: int, order: str) -> None:
        """`word`: bytes of a pc in what is added, in that byte order."""
        self._code: Literal["Q", "I"] = "Q" if word == 8 else "I"
        self._swap = order != sys.byteorder
        self._size = _RUN * word
        self._known: Dict[bytes, int] = {}
        self.ids = array("I")  # of the runs of all stacks in a row, the innermost first
        self.counts = array("H")  # runs of each stack

    def __len__(self) -> int:
        return len(self.counts)

    def add(self, raw: bytes, at: int, end: int) -> None:
        """One more, by its bytes [at, end), the innermost pc first."""
        known, append, size = self._known, self.ids.append, self._size
        following, count = at + ((end - at) % size or size), 0
        while at < end:
            run = raw[at:following]
            number = known.get(run)
            if number is None:
                number = known[run] = len(known)
            append(number)
            count += 1
            at = following
            following += size
        self.counts.append(count)

    def runs(self) -> List[Run]:
        """The pcs of each run, innermost first."""
        return [self._pcs(run) for run in self._known]

    def _pcs(self, run: bytes) -> Run:
        pcs = array(self._code, run)
        if self._swap:
            pcs.byteswap()
        return tuple(pcs)

    def __iter__(self) -> Iterator[Sequence[int]]:
        """The numbers of each stack's runs, innermost first."""
        at, ids = 0, self.ids
        for count in self.counts:
            yield ids[at : at + count]
            at += count
