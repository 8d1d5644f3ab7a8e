"""Columns of numbers packed for the page: differences, byte planes, deflate, base64.

A number is written as so many bytes as the column's largest takes, all lowest bytes first, then all second
ones and so on: what is alike stands together, which deflate makes little of. data.js unpacks it.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from base64 import b64encode
from itertools import islice
from operator import sub
from typing import Dict, Iterable, List, Sequence, TypedDict

_LEVEL = 6  # of deflate: more takes three times as long for a hundredth less


class Place(TypedDict):
    """Where a column is in the blob, and how it is to be read."""

    at: int
    rows: int
    width: int  # bytes of a number; 0: they are as they are, as bytes
    delta: bool


class Packed:
    """A blob, and what is where in it."""

    def __init__(self) -> None:
        self.columns: Dict[str, Place] = {}
        self._parts: List[bytes] = []
        self._size = 0

    def add(self, name: str, values: Iterable[int], delta: bool = False) -> None:
        """A column of numbers from 0 to 2^64; with `delta` they ascend."""
        column = values if isinstance(values, array) and values.typecode == "Q" else array("Q", values)
        if delta and column:
            column = array("Q", [column[0], *map(sub, islice(column, 1, None), column)])
        width = -(-max(column, default=0).bit_length() // 8) or 1
        if sys.byteorder == "big":
            column.byteswap()
        data = column.tobytes()
        self._put(name, b"".join([data[plane::8] for plane in range(width)]), len(column), width, delta)

    def add_bytes(self, name: str, data: bytes) -> None:
        """Bytes as they are."""
        self._put(name, data, len(data), 0, False)

    def _put(self, name: str, data: bytes, rows: int, width: int, delta: bool) -> None:
        self.columns[name] = {"at": self._size, "rows": rows, "width": width, "delta": delta}
        self._parts.append(data)
        self._size += len(data)

    def blob(self) -> str:
        """All of it as text."""
        return b64encode(zlib.compress(b"".join(self._parts), _LEVEL)).decode("ascii")


def packed_size(data: bytes) -> int:
    """About how many characters of the blob bytes take, by a part of them from everywhere."""
    sample = data if len(data) < 1 << 20 else b"".join(_slices(data))
    share = len(zlib.compress(sample, 1)) / len(sample) if sample else 0.0
    return int(len(data) * share * 4 / 3)


def _slices(data: Sequence[int]) -> Iterable[bytes]:
    step = len(data) // 16
    return (bytes(data[at : at + (1 << 16)]) for at in range(0, len(data), step))
