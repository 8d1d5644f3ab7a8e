"""Messages between two processes over pipes: a header of JSON, and columns of numbers behind it."""

from __future__ import annotations

import json
import struct
from array import array
from typing import IO, Any, Dict, List, NamedTuple, Tuple, Union

from addrspace_gdb.common.problems import ProblemError

_LENGTH = struct.Struct("<Q")
_MAX_HEADER = 1 << 28  # bytes
_MAX_COLUMN = 1 << 36
_CODES = "BHIQbhiqd"

Column = Union[bytes, bytearray, memoryview, "array[int]"]  # or an array of numpy's


class Message(NamedTuple):
    """What was said: `header` is what json made of it, `columns` are bytes with the type code of array."""

    header: Dict[str, Any]
    columns: Dict[str, Tuple[str, bytes]]

    def column(self, name: str) -> array[int]:
        """One column as an array. KeyError if it was not sent."""
        code, data = self.columns[name]
        return array(code, data)


class ClosedError(Exception):
    """The other side has ended."""


def send(stream: IO[bytes], header: Dict[str, Any], columns: Dict[str, Column]) -> None:
    """Say something. ClosedError."""
    listed: List[Tuple[str, str, int]] = []
    views = []
    for name, column in columns.items():
        view = memoryview(column)
        code = {"l": "q", "L": "Q"}.get(view.format, view.format) if view.itemsize == 8 else view.format
        listed.append((name, code, view.nbytes))
        views.append(view.cast("B") if view.nbytes else memoryview(b""))
    head = json.dumps({"say": header, "columns": listed}).encode()
    try:
        stream.write(_LENGTH.pack(len(head)) + head)
        for view in views:
            stream.write(view)
        stream.flush()
    except (BrokenPipeError, ValueError):
        raise ClosedError from None


def receive(stream: IO[bytes]) -> Message:
    """The next message. ClosedError; ProblemError if it is none."""
    (size,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
    if size > _MAX_HEADER:
        raise ProblemError(f"a message with a header of {size:,} bytes")
    head = json.loads(_exactly(stream, size))
    columns = {}
    for name, code, length in head["columns"]:
        if code not in _CODES or not 0 <= length <= _MAX_COLUMN:
            raise ProblemError(f"a message with {length:,} bytes of {code!r}")
        columns[name] = (code, _exactly(stream, length))
    return Message(head["say"], columns)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise ClosedError
    return data
