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
        """The threads besides the kernel's, at a new stop: none, for goroutines are asked for one by one."""
        return []

    def create_thread(self, tid: int, _context: int) -> Dict[str, Any]:
        """The one that is asked for."""
        shown = made_up.STATE.shown.get(tid)
        return made_up.as_thread(tid, shown) if shown is not None else {}

    def get_register_info(self) -> Dict[str, Any]:
        """Names and places."""
        return made_up.register_info()

    def get_register_data(self, tid: int) -> bytes:
        """Values of the innermost frame."""
        shown = made_up.STATE.shown.get(tid)
        return made_up.registers(shown.pcs[0], shown.sp, shown.bp) if shown is not None else b""
