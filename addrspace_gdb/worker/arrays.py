"""Arrays of integers and the kernels over them: numpy's and compiled by numba where both are installed, else
Python's own and run as they are written.

A kernel is a plain function that indexes arrays and calculates with integers below 2^63, and nothing else.
"""

from __future__ import annotations

import os
from array import array
from typing import Any, Callable, List, Optional, Sequence, TypeVar

COMPILED_IN = "NUMBA_CACHE_DIR"  # in the environment: where numba keeps what it compiles
PLAIN = "ADDRSPACE_GRAPH_PLAIN"  # in the environment: do without numba, even if it is there

Ints = Any  # an array of integers, of one of both kinds
Kernel = TypeVar("Kernel", bound=Callable[..., Any])

try:
    if os.environ.get(PLAIN):
        raise ImportError
    import numba
    import numpy

    COMPILED = True
except ImportError:
    COMPILED = False

_TYPES = {"B": "uint8", "b": "int8", "H": "uint16", "I": "uint32", "i": "int32", "q": "int64"}


def kernel(function: Kernel) -> Kernel:
    """Compile it, at its first call or once for all on this machine; or leave it as it is."""
    if not COMPILED:
        return function
    made: Kernel = numba.njit(cache=True, nogil=True)(function)
    return made


def inlined(function: Kernel) -> Kernel:
    """The same for what other kernels have in their own code: millions of calls cost too much."""
    if not COMPILED:
        return function
    made: Kernel = numba.njit(inline="always")(function)
    return made


def zeros(count: int, code: str = "q") -> Ints:
    """`count` zeros of array's type `code`: B, b, H, I, i or q."""
    if COMPILED:
        return numpy.zeros(count, _TYPES[code])
    return array(code, bytes(array(code).itemsize * count))


def like(column: Ints, count: int) -> Ints:
    """`count` zeros of the same type of number."""
    if COMPILED:
        return numpy.zeros(count, column.dtype)
    return array(column.typecode, bytes(column.itemsize * count))


def filled(count: int, value: int, code: str = "q") -> Ints:
    """`count` times `value`."""
    if COMPILED:
        return numpy.full(count, value, _TYPES[code])
    return array(code, [value]) * count


def of_bytes(data: Any, code: str) -> Ints:
    """The numbers in some bytes; they share memory with what can be written to."""
    if COMPILED:
        found = numpy.frombuffer(data, _TYPES[code])
        return found if found.flags.writeable else found.copy()  # one type of array, for what is compiled
    return array(code, bytes(data))


def widened(column: Ints) -> Ints:
    """Numbers of 32 bits as kernels take them: of 64."""
    return column.astype(numpy.int64) if COMPILED else array("q", column)


def grown(column: Ints, count: int) -> Ints:
    """The same array made longer, if it is not; what is new may hold anything."""
    if COMPILED:
        if len(column) >= count:
            return column
        column.resize(count, refcheck=False)
        return column
    column.extend(array(column.typecode, bytes(column.itemsize * max(0, count - len(column)))))
    return column


def moved(column: Ints, count: int) -> Ints:
    """The same numbers in a much longer array. (In what `grown` adds there are no huge pages.)"""
    if COMPILED:
        longer = numpy.empty(count, column.dtype)
        longer[: len(column)] = column
        return longer
    return grown(column, count)


def cut(column: Ints, count: int) -> Ints:
    """Its first `count` numbers."""
    if COMPILED:
        column.resize(count, refcheck=False)
        return column
    del column[count:]
    return column


def trimmed(column: Ints, count: int) -> Ints:
    """At least its first `count` numbers. Memory that nobody has written to is none: it may stay."""
    return column if COMPILED else cut(column, count)


def reserved(count: int, code: str) -> Optional[Ints]:
    """An array as long as it can ever become, which takes memory only where it was written to. None where
    there is no such thing: without numpy, or where all memory that is asked for counts."""
    if not COMPILED:
        return None
    try:
        return numpy.empty(count, _TYPES[code])
    except MemoryError:
        return None


def order_of(column: Ints) -> Ints:
    """The places of its numbers in ascending order."""
    if COMPILED:
        return numpy.argsort(column, kind="stable")
    return sorted(range(len(column)), key=column.__getitem__)


def picked(column: Ints, order: Ints) -> Ints:
    """Its numbers at those places."""
    if COMPILED:
        return numpy.ascontiguousarray(column[order])
    return array(column.typecode, map(column.__getitem__, order))


def joined(columns: Sequence[Ints], code: str) -> Ints:
    """Several as one."""
    if COMPILED:
        return numpy.concatenate([numpy.asarray(one, _TYPES[code]) for one in columns])
    found = array(code)
    for one in columns:
        found.extend(one if getattr(one, "typecode", code) == code else one.tolist())
    return found


def distinct(column: Ints) -> List[int]:
    """Its different numbers, ascending."""
    if COMPILED:
        found: List[int] = numpy.unique(column).tolist()
        return found
    return sorted(set(column))
