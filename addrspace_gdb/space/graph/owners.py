"""Who holds the pointers that the collector begins with, as a tree: kinds of roots, then single ones."""

from __future__ import annotations

from array import array
from typing import Dict, List, NamedTuple, Tuple

from addrspace_gdb.common.messages import Column

GLOBALS, GOROUTINES, FINALIZERS, CLEANUPS, WEAK, QUEUES = (
    "globals",
    "goroutines",
    "finalizers",
    "cleanups",
    "weak handles",
    "queues of finalizers and cleanups",
)
ALL = "all"


class Owner(NamedTuple):
    """One that holds roots, itself or by others. `parent` is a number; 0's is itself."""

    parent: int
    kind: str  # one of the above; "function" in a goroutine, "group" of goroutines
    name: str
    address: int = 0  # of a variable
    goid: int = 0
    exact: bool = True  # False: what it holds was taken for pointers and may be none


class Owners:
    """The tree, growing, and the roots of each."""

    def __init__(self) -> None:
        self.all: List[Owner] = [Owner(0, ALL, "")]
        self._numbers: Dict[Tuple[int, str, str, int], int] = {}
        self.values, self.owners = array("Q"), array("q")
        self.addresses = array("Q")  # where each root stands; 0: in a register, or it is not known
        self.places = array("I")  # where in its frame, by number (space/goroutines/stack_roots.py)
        self.finalized = array("Q")  # objects with a finalizer: what they lead to is kept, they are not
        self.finalizer = self.number(0, FINALIZERS, "")

    def number(
        self, parent: int, kind: str, name: str, address: int = 0, goid: int = 0, exact: bool = True
    ) -> int:
        """That owner's number; it is made if it is new."""
        key = (parent, kind, name, address or goid)
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self.all)
            self.all.append(Owner(parent, kind, name, address, goid, exact))
        return found

    def put(self, owner: int, value: int, address: int = 0, place: int = 0) -> None:
        """A pointer that it holds."""
        self.owners.append(owner)
        self.values.append(value)
        self.addresses.append(address)
        self.places.append(place)

    def told(self) -> Tuple[Dict[str, object], Dict[str, Column]]:
        """As the worker is told."""
        parents = array("q", [owner.parent for owner in self.all])
        columns: Dict[str, Column] = {
            "parents": parents,
            "values": self.values,
            "owners": self.owners,
            "finalized": self.finalized,
        }
        return {"do": "roots", "finalizer": self.finalizer}, columns
