"""Who holds the pointers that the collector begins with, as a tree: kinds of roots, then single ones."""

from __future__ import annotations

from array import array
from collections import Counter
from itertools import compress
from operator import not_
from typing import Dict, List, NamedTuple, Sequence, Set, Tuple, Union, overload

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
OF_STACKS = GROUP, GOROUTINE, FUNCTION = "group", "goroutine", "function"  # as worker/stacks.py counts them


class Owner(NamedTuple):
    """One that holds roots, itself or by others. `parent` is a number; 0's is itself."""

    parent: int
    kind: str  # one of the above; "function" in a goroutine, "group" of goroutines
    name: str
    address: int = 0  # of a variable
    goid: int = 0
    exact: bool = True  # False: what it holds was taken for pointers and may be none


class Numbers:
    """Numbers for texts."""

    def __init__(self) -> None:
        self.texts: List[str] = []
        self._known: Dict[str, int] = {}

    def number(self, text: str) -> int:
        """The place in `texts`."""
        found = self._known.setdefault(text, len(self.texts))
        if found == len(self.texts):
            self.texts.append(text)
        return found


class Owners(Sequence[Owner]):
    """The tree, growing, and the roots of each. Very many are columns, not as many objects."""

    def __init__(self) -> None:
        self.names, self._kinds = Numbers(), Numbers()
        self.parents, self._named = array("q"), array("I")
        self._kind, self._exact = bytearray(), bytearray()
        self._addresses, self._goids = array("Q"), array("Q")
        self._numbers: Dict[Tuple[int, str, str, int], int] = {}
        self.values, self.owners = array("Q"), array("q")
        self.addresses = array("Q")  # where each root stands; 0: in a register, or it is not known
        self.places = array("I")  # where in its frame, by number (space/goroutines/stack_plans.py)
        self.finalized = array("Q")  # objects with a finalizer: what they lead to is kept, they are not
        self._add(Owner(0, ALL, ""))
        self.finalizer = self.number(0, FINALIZERS, "")

    def __len__(self) -> int:
        return len(self.parents)

    @overload
    def __getitem__(self, number: int) -> Owner: ...

    @overload
    def __getitem__(self, number: slice) -> List[Owner]: ...

    def __getitem__(self, number: Union[int, slice]) -> Union[Owner, List[Owner]]:
        if isinstance(number, slice):
            return [self[at] for at in range(*number.indices(len(self)))]
        return Owner(
            self.parents[number],
            self._kinds.texts[self._kind[number]],
            self.names.texts[self._named[number]],
            self._addresses[number],
            self._goids[number],
            bool(self._exact[number]),
        )

    def _add(self, owner: Owner) -> None:
        self.parents.append(owner.parent)
        self._kind.append(self._kinds.number(owner.kind))
        self._named.append(self.names.number(owner.name))
        self._addresses.append(owner.address)
        self._goids.append(owner.goid)
        self._exact.append(owner.exact)

    def number(self, parent: int, kind: str, name: str, address: int = 0, goid: int = 0) -> int:
        """That owner's number; it is made if it is new."""
        key = (parent, kind, name, address or goid)
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self)
            self._add(Owner(parent, kind, name, address, goid))
        return found

    def extend(
        self, parents: array[int], kinds: Sequence[str], kind: bytes, names: array[int], goids: array[int]
    ) -> None:
        """Very many more, by columns: `kind` has places in `kinds`, `names` numbers that `names` gave."""
        self.parents.extend(parents)
        self._kind += kind.translate(bytes(map(self._kinds.number, kinds)).ljust(256, b"\0"))
        self._named.extend(names)
        self._goids.frombytes(goids.tobytes())
        self._addresses.frombytes(bytes(8 * len(parents)))
        self._exact += b"\1" * len(parents)

    def put(self, owner: int, value: int, address: int = 0, place: int = 0) -> None:
        """A pointer that it holds."""
        self.owners.append(owner)
        self.values.append(value)
        self.addresses.append(address)
        self.places.append(place)

    def put_many(
        self, owners: array[int], values: array[int], addresses: array[int], places: array[int]
    ) -> None:
        """Very many pointers, by columns."""
        self.owners.extend(owners)
        self.values.frombytes(values.tobytes())  # they may be signed as well
        self.addresses.frombytes(addresses.tobytes())
        self.places.extend(places)

    def doubt(self, owner: int) -> None:
        """What it holds was taken for pointers and may be none."""
        self._exact[owner] = 0

    def below(self, number: int) -> List[int]:
        """Those that hang on it."""
        return [at for at in compress(range(len(self)), map(number.__eq__, self.parents)) if at != number]

    def goroutines(self) -> Dict[int, int]:
        """How many there are in each group."""
        code = self._kinds.number(GOROUTINE)
        return Counter(compress(self.parents, map(code.__eq__, self._kind)))

    def doubtful(self) -> Set[int]:
        """Those of which something was taken for pointers and may be none, and what they hang on."""
        found = [*compress(range(len(self)), map(not_, self._exact))]
        return {*found, *map(self.parents.__getitem__, found)}

    def told(self) -> Tuple[Dict[str, object], Dict[str, Column]]:
        """As the worker is told."""
        columns: Dict[str, Column] = {
            "parents": self.parents,
            "values": self.values,
            "owners": self.owners,
            "finalized": self.finalized,
        }
        return {"do": "roots", "finalizer": self.finalizer}, columns
