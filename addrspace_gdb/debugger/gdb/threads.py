"""The selected thread, also where a damaged core has made gdb lose count of them."""

from __future__ import annotations

from typing import Optional

import gdb


def selected_thread() -> Optional[gdb.InferiorThread]:
    """gdb's selected thread; None if there is none, or none that gdb's Python knows: of two threads with one
    number, as a damaged core has them, it keeps one, and raises SystemError for the other (13 to 18)."""
    try:
        return gdb.selected_thread()
    except SystemError:
        return None
