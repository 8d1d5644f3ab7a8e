"""Fields of very many structs of one type, as arrays: no Python object is made for a struct or a number.

Structs that lie at one distance (objects of a size class do) are copied side by side as they are, and a field
of all of them is then one strided view of the copy.
"""

from __future__ import annotations

import re
import sys
from array import array
from collections import Counter
from itertools import chain, compress
from operator import itemgetter, sub
from typing import Dict, Iterator, List, Literal, Mapping, Optional, Sequence, Tuple, TypeVar, Union

from addrspace_gdb.common.lanes import differences, unequal
from addrspace_gdb.goruntime.record import Runtime, bulk, direct_pid
from addrspace_gdb.process.vm_readv import TOGETHER, read_runs
from addrspace_gdb.target.layout import Located, Type
from addrspace_gdb.target.protocol import Target

_FLUSH = 1 << 18  # bytes that are held before they become columns
_FEW = 64  # structs for which it does not pay to ask the kernel another way
_SAMPLE = 4096  # structs whose distances tell that of all
_SCATTERED = 16  # rows a run below which it is quicker to pick them one by one
_ONES = re.compile(b"\x01+")
_ALIGN = 8  # a multiple of the size of every number
_Code = Literal["B", "H", "I", "Q", "b", "h", "i", "q"]
_UNSIGNED: Dict[int, _Code] = {1: "B", 2: "H", 4: "I", 8: "Q"}
_SIGNED: Dict[int, _Code] = {1: "b", 2: "h", 4: "i", 8: "q"}

Columns = Dict[str, "array[int]"]
Item = TypeVar("Item")


def read_columns(
    runtime: Runtime,
    addresses: Sequence[int],
    layout: Type,
    fields: Mapping[str, Union[str, Located]],
    what: str,
) -> Columns:
    """The numbers at `fields` (column name to path or place in the struct) of the structs at the ascending
    `addresses`, and the column "address" of those that could be read; problems are told as of `what`.

    Every column is an array of numbers as wide as the field is, signed where it is; so a field of one byte
    is a column of bytes, which bytes' own methods search and translate.
    """
    places = {name: layout.scalar(path) if isinstance(path, str) else path for name, path in fields.items()}
    # Made as long as they will be: arrays that grow are copied again and again.
    found: Columns = {name: array(_code(place), [0]) * len(addresses) for name, place in places.items()}
    runs: List[Sequence[int]] = []
    done = 0
    for structs, run in _copies(runtime, addresses, layout.size, what):
        runs.append(run)
        done = _fill(found, done, structs, places)
    if done < len(addresses):
        addresses = [*chain.from_iterable(runs)]
        for column in found.values():
            del column[done:]
    found["address"] = array("Q", addresses)
    return found


def pick(column: Sequence[Item], positions: Sequence[int]) -> Sequence[Item]:
    """The items of `column` at `positions`."""
    if isinstance(positions, range):
        return column[positions.start : positions.stop : positions.step]
    return itemgetter(*positions)(column) if len(positions) > 1 else tuple(column[at] for at in positions)


def places(column: array[int], value: int) -> Iterator[int]:
    """The positions of a value that is rare in the column, ascending."""
    try:
        wanted = value.to_bytes(column.itemsize, sys.byteorder)
    except OverflowError:
        return
    data = column.tobytes()
    at = data.find(wanted)
    while at >= 0:
        if at % column.itemsize == 0:
            yield at // column.itemsize
        at = data.find(wanted, at + 1)


def nonzero(column: Sequence[int]) -> Iterator[int]:
    """The positions of what is not 0, ascending. Often there is nothing, which the bytes say soonest."""
    if isinstance(column, array) and not column.tobytes().strip(b"\0"):
        return iter(())
    return compress(range(len(column)), column)


def ones(mask: bytes) -> Iterator[int]:
    """The positions where `mask` has 1, ascending: quick where that is rare."""
    at = mask.find(1)
    while at >= 0:
        yield at
        at = mask.find(1, at + 1)


def chosen(columns: Columns, mask: bytes) -> Columns:
    """The rows where `mask`, a byte a row, has 1 (and 0 elsewhere)."""
    if mask.find(0) < 0:
        return columns
    runs = [found.span() for found in _ONES.finditer(mask)]
    if len(runs) * _SCATTERED > len(mask):
        return {name: array(column.typecode, compress(column, mask)) for name, column in columns.items()}
    made: Columns = {}
    for name, column in columns.items():
        view = memoryview(column)
        made[name] = array(column.typecode, b"".join([view[first:after] for first, after in runs]))
    return made


def _code(place: Located) -> _Code:
    """The type of the column of a field."""
    return (_SIGNED if place.type.kind == "int" else _UNSIGNED)[place.size]


def _stride(addresses: Sequence[int], size: int) -> int:
    """The usual distance of neighbours, if structs at that distance can be copied as they lie."""
    some = addresses[:_SAMPLE]
    distances = Counter(map(sub, some[1:], some))
    usual = max(distances, key=distances.__getitem__, default=0)
    return usual if size <= usual < 2 * size + _ALIGN and usual % _ALIGN == 0 else -(-size // _ALIGN) * _ALIGN


def _copies(
    runtime: Runtime, addresses: Sequence[int], size: int, what: str
) -> Iterator[Tuple[_Structs, Sequence[int]]]:
    """The structs side by side, some at a time, with the addresses of those that could be read."""
    stride = _stride(addresses, size)
    breaks = _breaks(addresses, stride)
    done = 0
    for first, after, data in _direct(runtime.target, addresses, (size, stride), breaks):
        if data is None:
            break
        runtime.progress.step(what, first, len(addresses))
        yield _Structs(data, stride, runtime.order), addresses[first:after]
        done = after
    held: List[bytes] = []
    runs: List[Sequence[int]] = []
    for block, base, run in bulk(runtime, addresses[done:], size, what):
        held.append(_side_by_side(block, base, run, size, stride))
        runs.append(run)
        if sum(map(len, held)) >= _FLUSH:
            yield _Structs(b"".join(held), stride, runtime.order), [*chain.from_iterable(runs)]
            held, runs = [], []
    yield _Structs(b"".join(held), stride, runtime.order), [*chain.from_iterable(runs)]


def _breaks(addresses: Sequence[int], stride: int) -> List[int]:
    """Positions of those of the ascending addresses that are not so far behind the one before."""
    rows = range(1, len(addresses))
    if isinstance(addresses, array) and addresses.itemsize == 8:
        steps = differences(addresses[1:], addresses[:-1])
        if steps is not None:
            return list(compress(rows, unequal(steps, array("Q", [stride]) * len(steps))))
    return list(compress(rows, map(stride.__ne__, map(sub, addresses[1:], addresses))))


def _direct(
    target: Target, addresses: Sequence[int], lie: Tuple[int, int], breaks: List[int]
) -> Iterator[Tuple[int, int, Optional[memoryview]]]:
    """Structs of (bytes, bytes from one to the next) of a process of this machine: the positions of the first
    and one past the last, and their bytes, None from where on they cannot be read so. Nothing where that is
    no way to read.

    `breaks` are the positions of those that do not lie that far behind the one before.
    """
    size, stride = lie
    few = len(addresses) <= _FEW or stride > TOGETHER
    pid = None if few else direct_pid(target, addresses, size, ascending=True)
    if pid is None:
        return
    firsts = array("Q", _not_longer([0, *breaks, len(addresses)], TOGETHER // stride))
    starts = array("Q", map(addresses.__getitem__, firsts[:-1]))
    places = array("Q", map(stride.__mul__, firsts))
    sizes = array("Q", map((size - stride).__add__, map(sub, places[1:], places)))
    for first, after, data in read_runs(pid, starts, sizes, places):
        yield firsts[first], firsts[after], data


def _not_longer(firsts: List[int], most: int) -> Iterator[int]:
    """With more of them where two are more than `most` apart."""
    for first, after in zip(firsts, firsts[1:]):
        yield from range(first, after, most)
    yield firsts[-1]


def _side_by_side(block: memoryview, base: int, run: Sequence[int], size: int, stride: int) -> bytes:
    """The bytes of the structs of `run`, each `stride` long."""
    breaks = compress(range(1, len(run)), map(stride.__ne__, map(sub, run[1:], run)))
    padding = memoryview(bytes(stride - size))
    parts: List[memoryview] = []
    first = 0
    for after in [*breaks, len(run)]:
        start = run[first] - base
        parts.append(block[start : start + (after - first - 1) * stride + size])
        parts.append(padding)
        first = after
    return b"".join(parts)


def _fill(found: Columns, done: int, structs: _Structs, places: Dict[str, Located]) -> int:
    """Put the numbers of `structs` into the columns from row `done` on; returns the row after them."""
    after = done + len(structs)
    for name, place in places.items():
        found[name][done:after] = structs.numbers(_code(place), place.offset, place.size)
    return after


class _Structs:
    """Structs that lie a stride apart, and their fields as arrays."""

    def __init__(self, data: Union[bytes, memoryview], stride: int, order: str) -> None:
        self._whole = array("Q")  # arrays are cut faster than views
        self._whole.frombytes(data)
        self._stride, self._order = stride, order
        self._words: Dict[int, array[int]] = {}

    def __len__(self) -> int:
        return 8 * len(self._whole) // self._stride

    def _word(self, number: int) -> array[int]:
        """That one of the 8 bytes that each struct consists of."""
        if number not in self._words:
            self._words[number] = self._whole[number :: self._stride // 8]
        return self._words[number]

    def numbers(self, code: str, offset: int, size: int) -> array[int]:
        """The number of `size` bytes at the offset of each."""
        if offset % size:  # a uint64 of a 32-bit target: its halves
            half = _UNSIGNED[size // 2]
            low, high = (self.numbers(half, offset + at, size // 2) for at in (0, size // 2))
            if self._order == "big":
                low, high = high, low
            whole = array(code.upper(), (h << 4 * size | w for h, w in zip(high, low)))
            return array(code, whole.tobytes())
        part = array(code, self._word(offset // 8).tobytes())[offset % 8 // size :: 8 // size]
        if self._order != sys.byteorder:
            part.byteswap()
        return part
