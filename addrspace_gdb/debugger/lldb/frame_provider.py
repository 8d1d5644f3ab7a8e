"""Frames of a goroutine in place of those that lldb would find, which are too few (lldb 22 and newer).

No call of lldb's API may be made in what lldb calls here. A frame is a dictionary: `register read` in one
that is an object ends lldb 23.
"""

from __future__ import annotations

from typing import Any, Dict, Optional

from lldb.plugins.scripted_frame_provider import ScriptedFrameProvider

from addrspace_gdb.debugger.lldb import made_up


class GoFrames(ScriptedFrameProvider):  # type: ignore[misc]
    """Those of the goroutine that is shown."""

    def __init__(self, _frames: Any, _arguments: Any) -> None:
        shown = made_up.STATE.shown
        self._pcs = shown.pcs if shown is not None else []

    @staticmethod
    def get_description() -> str:
        """What lldb lists it as."""
        return "frames of goroutines, by Go's own tables"

    @staticmethod
    def applies_to_thread(thread: Any) -> bool:
        """Only to what was made up."""
        return int(thread.GetThreadID()) >= made_up.FIRST

    def get_frame_at_index(self, index: int) -> Optional[Dict[str, int]]:
        """None behind the last one. Of a caller the end of the call: behind it the line may be another."""
        if index >= len(self._pcs):
            return None
        return {"idx": index, "pc": self._pcs[index] - (index > 0)}
