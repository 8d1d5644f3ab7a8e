"""Variables of packages as typed memory: what their pointers say of objects of the heap, directly or through
other variables (a composite literal of a package lies in data itself)."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from addrspace_gdb.common.messages import Column
from addrspace_gdb.goruntime.mgcroots import Slots
from addrspace_gdb.goruntime.shape import (
    DIRECTORY,
    DYNAMIC,
    MANY,
    NOTHING,
    ONE,
    UNKNOWN,
    Direct,
    Pointer,
    Shape,
)

_MAX_VISITS = 1 << 20
_NEAR = 1 << 12  # bytes
_MAX_LEADERS = 16  # to one variable


class Visit(NamedTuple):
    """`many` values of a shape that lie behind one another."""

    address: int
    shape: int
    many: int


class Said:
    """What roots say: where each leads to in the heap, how, and of what shape that is."""

    def __init__(self) -> None:
        self.values, self.hows, self.targets = array("Q"), array("q"), array("q")
        self.closures: Dict[int, int] = {}  # shapes, by the address of their code
        self.sites = array("Q"), array("q"), array("q")  # the same of where objects were allocated

    def put(self, value: int, how: int, target: int) -> None:
        """What one pointer says; nothing if it says nothing."""
        if how != UNKNOWN and target != NOTHING:
            self.values.append(value)
            self.hows.append(how)
            self.targets.append(target)

    def put_site(self, object_: int, how: int, target: int) -> None:
        """What the place where an object was allocated says of it."""
        for column, value in zip(self.sites, (object_, how, target)):
            column.append(value)

    def told(self, merged: Sequence[int]) -> Dict[str, Column]:
        """As the worker is told; `merged`: which shape stands for each."""
        targets = array("q", [merged[one] for one in self.targets])
        pcs = sorted(self.closures)
        return {
            "root_values": self.values,
            "root_hows": self.hows,
            "root_targets": targets,
            "site_values": self.sites[0],
            "site_hows": self.sites[1],
            "site_targets": array("q", [merged[one] for one in self.sites[2]]),
            "closure_pcs": array("Q", pcs),
            "closure_shapes": array("q", map(self.closures.__getitem__, pcs)),
        }


ExtentOf = Callable[[int, int], Optional[int]]


def leaders(
    slots: Slots, addresses: Sequence[int], extent_of: ExtentOf = lambda slot, behind: None
) -> Dict[int, Tuple[int, int]]:
    """Variables without a name, which others lead to: for each of these addresses where that one begins, and
    the slot that leads there. Those that nothing leads to, or only from afar, are left out. `extent_of`: how
    many bytes a slot leads to, with the word behind it; None: that is not known."""
    to = sorted(zip(slots.values, slots.addresses, slots.behind))
    found = {}
    for address in addresses:
        at = bisect_left(to, (address + 1, 0, 0)) - 1
        if at < 0 or address - to[at][0] >= _NEAR:
            continue
        first = bisect_left(to, (to[at][0], 0, 0))
        for value, slot, behind in to[first : min(at + 1, first + _MAX_LEADERS)]:
            extent = extent_of(slot, behind)
            if extent is None or address < value + extent:
                found[address] = value, slot
                break
    return found


class Statics:
    """Walks over them, from some variables on."""

    def __init__(self, slots: Slots, heap: Tuple[int, int], word: int) -> None:
        """`slots`: ascending."""
        self._slots, self._heap, self._word = slots, heap, word

    def walk(
        self,
        first: Iterable[Tuple[int, int]],
        shapes: Sequence[Shape],
        of_word: Callable[[int], Direct],
        said: Said,
    ) -> None:
        """`first`: addresses of variables and the numbers of their shapes."""
        tables: Dict[int, Dict[int, Pointer]] = {}
        waiting = [Visit(address, shape, 1) for address, shape in first]
        seen: Set[Visit] = set()
        while waiting and len(seen) < _MAX_VISITS:
            visit = waiting.pop()
            if visit in seen or visit.shape == NOTHING or not shapes[visit.shape].size:
                continue
            seen.add(visit)
            if visit.shape not in tables:
                tables[visit.shape] = {one.offset: one for one in shapes[visit.shape].pointers}
            waiting += self._one(visit, shapes[visit.shape], tables[visit.shape], of_word, said)

    def _one(
        self,
        visit: Visit,
        shape: Shape,
        table: Dict[int, Pointer],
        of_word: Callable[[int], Direct],
        said: Said,
    ) -> List[Visit]:
        """Follow its pointers; the variables that they lead to."""
        slots, (low, high) = self._slots, self._heap
        period = shape.period or shape.size
        end = visit.address + shape.size * visit.many
        found: List[Visit] = []
        for at in range(bisect_left(slots.addresses, visit.address), bisect_left(slots.addresses, end)):
            within = (slots.addresses[at] - visit.address) % shape.size % period
            pointer = table.get(within)
            if pointer is None:
                continue
            how, target = self._led(pointer, at, of_word)
            if how == UNKNOWN or target == NOTHING:
                continue
            value = slots.values[at]
            if low <= value < high:
                said.put(value, how, target)
            else:
                found.append(Visit(value, target, slots.behind[at] if how == MANY else 1))
        return found

    def _led(self, pointer: Pointer, at: int, of_word: Callable[[int], Direct]) -> Tuple[int, int]:
        if pointer.how == DYNAMIC:
            direct = of_word(self._slots.before[at])
            return direct.how, direct.target
        if pointer.how == DIRECTORY:
            return (MANY, pointer.target) if self._slots.behind[at] else (ONE, pointer.other)
        return pointer.how, pointer.target
