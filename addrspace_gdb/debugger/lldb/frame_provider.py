"""Frames of a goroutine in place of those that lldb would find, which are too few (lldb 22 and newer).

No call of lldb's API may be made in what lldb calls here, not even for a thread's number: lldb asks while it
holds the lock of the thread's frames, and `process continue` on another thread of its holds the one that the
API takes and waits for this one. A frame is a dictionary: `register read` in one that is an object ends
lldb 23.
"""

from __future__ import annotations

from typing import Any, Dict, Optional

from lldb.plugins.scripted_frame_provider import ScriptedFrameProvider

from addrspace_gdb.debugger.lldb import made_up


class GoFrames(ScriptedFrameProvider):  # type: ignore[misc]
    """Those of the goroutine that is asked for."""

    def __init__(self, _frames: Any, _arguments: Any) -> None:
        shown = made_up.asked()
        self._places = shown.places if shown is not None else []

    @staticmethod
    def get_description() -> str:
        """What lldb lists it as."""
        return "frames of goroutines, by Go's own tables"

    @staticmethod
    def applies_to_thread(_thread: Any) -> bool:
        """Only to what was made up."""
        return made_up.asked() is not None

    def get_frame_at_index(self, index: int) -> Optional[Dict[str, int]]:
        """None behind the last one."""
        return {"idx": index, "pc": self._places[index]} if index < len(self._places) else None
