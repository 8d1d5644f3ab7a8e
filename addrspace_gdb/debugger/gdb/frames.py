"""Frames for gdb's backtrace that can be printed whatever the process and its symbols look like."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Iterator

import gdb
from gdb.FrameDecorator import FrameDecorator

from addrspace_gdb.common.escape import printable, shortened
from addrspace_gdb.debugger.gdb.text import text_of

_UNKNOWN = "<unavailable>"  # gdb's own word


class Careful(FrameDecorator):
    """A frame as it is. As soon as there is one frame filter gdb prints frames by Python, where registers
    that a core lacks, and names that are no UTF-8, are exceptions that end the backtrace."""

    def function(self) -> Any:
        """The function's name, or the pc."""
        return _tried(super().function, _UNKNOWN)

    def address(self) -> Any:
        """The pc."""
        return _tried(super().address, None)

    def filename(self) -> Any:
        """The source file or the library."""
        return _tried(super().filename, None)

    def line(self) -> Any:
        """The line in it."""
        return _tried(super().line, None)

    def frame_args(self) -> Any:
        """The arguments."""
        return _tried(super().frame_args, None)

    def frame_locals(self) -> Any:
        """The local variables."""
        return _tried(super().frame_locals, None)


def _tried(get: Callable[[], Any], unknown: Any) -> Any:
    try:
        found = text_of(get)
    except (gdb.error, RuntimeError):  # RuntimeError: the frame is gone
        return unknown
    return printable(shortened(found)) if isinstance(found, str) else found


def careful(frames: Iterable[FrameDecorator]) -> Iterator[FrameDecorator]:
    """Each of these frames so."""
    return map(Careful, frames)
