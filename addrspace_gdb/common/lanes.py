"""Columns of 64-bit numbers, reckoned with as one long integer each.

Python adds or compares two long integers in C, so that a million numbers take it a few milliseconds, and
copying them into an integer and back a few more; a loop over them takes twenty times as long. Each number is
a lane of 64 bits. What would carry from one lane into the next is told, and nothing is returned then.
"""

from __future__ import annotations

import sys
from array import array
from typing import Optional

_LANE = 8  # bytes
_POWERS = bytes(1 << bit for bit in range(8))


def wide(column: array[int]) -> array[int]:
    """The column in lanes: of a target of 32 bits it is one of smaller numbers."""
    return column if column.itemsize == _LANE else array("Q", column)


def differences(highs: array[int], lows: array[int]) -> Optional[array[int]]:
    """highs[i] - lows[i] for each i; None if one of them is negative, or if numbers are 2**56 or more, which
    leaves no room to see it."""
    if not highs:
        return array("Q")
    gap = _whole(highs) - _whole(lows)
    found = _column(gap, len(highs)) if gap >= 0 else None
    return found if found is not None and below(found, _LANE - 1) and below(lows, _LANE - 1) else None


def below(column: array[int], width: int) -> bool:
    """Whether every number has at most so many bytes."""
    data = column.tobytes()
    planes = (_plane(data, at) for at in range(width, _LANE))
    return all(plane.count(0) == len(plane) for plane in planes)


def unequal(some: array[int], others: array[int]) -> array[int]:
    """Not 0 where some[i] is not others[i]."""
    return _column(_whole(some) ^ _whole(others), len(some))


def changes(some: bytes) -> bytes:
    """Not 0 for each byte but the first that is not the one before it."""
    whole = int.from_bytes(some[1:], sys.byteorder) ^ int.from_bytes(some[:-1], sys.byteorder)
    return whole.to_bytes(max(0, len(some) - 1), sys.byteorder)


def exponents(column: array[int]) -> Optional[bytes]:
    """A byte for each number, 0 for 0 and n + 1 for 2**n; None if there is another number among them."""
    found, many = 0, 0
    data = column.tobytes()
    for at in range(_LANE):
        plane = _plane(data, at)
        here = len(plane) - plane.count(0)
        if here:
            if plane.translate(None, _POWERS).strip(b"\0"):
                return None
            found |= int.from_bytes(plane.translate(_EXPONENTS[at]), sys.byteorder)
            many += here
    codes = found.to_bytes(len(column), sys.byteorder)
    return codes if many == len(codes) - codes.count(0) else None


def powers(codes: bytes) -> array[int]:
    """The column that has those `exponents`."""
    data = bytearray(_LANE * len(codes))
    for at in range(_LANE):
        plane = codes.translate(_POWER[at])
        if plane.count(0) < len(plane):
            data[_place(at) :: _LANE] = plane
    return array("Q", bytes(data))


def total(some: array[int], others: array[int]) -> array[int]:
    """some[i] + others[i], which are less than 2**63 each."""
    return _column(_whole(some) + _whole(others), len(some))


def tagged(column: array[int], tags: bytes) -> Optional[array[int]]:
    """The numbers with a byte each in their lowest 8 bits; None if those of one are taken."""
    whole = column.tobytes()
    taken = _plane(whole, 0)
    if taken.count(0) < len(taken):
        return None
    data = bytearray(whole)
    data[_place(0) :: _LANE] = tags
    return array("Q", bytes(data))


def untagged(column: array[int]) -> tuple[array[int], bytes]:
    """The numbers without their lowest 8 bits, and those."""
    whole = column.tobytes()
    data, tags = bytearray(whole), _plane(whole, 0)
    data[_place(0) :: _LANE] = bytes(len(tags))
    return array("Q", bytes(data)), tags


def _whole(column: array[int]) -> int:
    return int.from_bytes(column.tobytes(), sys.byteorder)


def _column(whole: int, many: int) -> array[int]:
    found = array("Q")
    found.frombytes(whole.to_bytes(_LANE * many, sys.byteorder))
    return found


def _place(at: int) -> int:
    """Where in a lane that byte of a number is, counted from the lowest."""
    return at if sys.byteorder == "little" else _LANE - 1 - at


def _plane(data: bytes, at: int) -> bytes:
    """That byte of each number."""
    return data[_place(at) :: _LANE]


_EXPONENTS = [
    bytes(8 * at + byte.bit_length() if byte in _POWERS else 0 for byte in range(256)) for at in range(_LANE)
]
_POWER = [
    bytes(1 << code - 1 - 8 * at if 8 * at < code <= 8 * at + 8 else 0 for code in range(256))
    for at in range(_LANE)
]
