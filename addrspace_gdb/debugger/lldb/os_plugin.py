"""Loaded by lldb itself (target.process.python-os-plugin-path), and again for each process: it keeps nothing.

No call of lldb's API may be made here.
"""

from __future__ import annotations

from typing import Any, Dict, List

from addrspace_gdb.debugger.lldb import made_up


class OperatingSystemPlugIn:
    """The name is lldb's."""

    def __init__(self, _process: Any) -> None:
        """Nothing."""

    def get_thread_info(self) -> List[Dict[str, Any]]:
        """The threads besides the kernel's."""
        shown = made_up.current()
        return [made_up.as_thread(shown)] if shown is not None else []

    def create_thread(self, tid: int, _context: int) -> Dict[str, Any]:
        """The one that is asked for."""
        shown = made_up.current()
        return made_up.as_thread(shown) if shown is not None and shown.tid == tid else {}

    def get_register_info(self) -> Dict[str, Any]:
        """Names and places."""
        return made_up.register_info()

    def get_register_data(self, tid: int) -> bytes:
        """Values of the innermost frame."""
        shown = made_up.STATE.shown
        if shown is None or shown.tid != tid:
            return made_up.registers(0, 0, 0)
        return made_up.registers(shown.pcs[0], shown.sp, shown.bp)
