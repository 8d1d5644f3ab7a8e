"""Completion in lldb, which has it for commands whose words it takes apart itself (22 and newer: 20 and 21
end themselves when one without options of lldb's own is completed)."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Union

import lldb

from addrspace_gdb.debugger.lldb.api import version

OLDEST = 22
MOST = 200  # of what there may be thousands: as many as gdb shows (max-completions)
_LONGEST = 1 << 16  # bytes of a word


def can_be() -> bool:
    """Whether this lldb completes commands of Python's."""
    return version() >= OLDEST


class Completed:
    """What lldb wants to know of a command whose words it takes apart: all of them are ours, options too."""

    def get_options_definition(self) -> Dict[str, object]:
        """None that lldb would read."""
        return {}

    def get_args_definition(self) -> List[List[Dict[str, object]]]:
        """As many words as there are."""
        return [[{"arg_type": lldb.eArgTypeValue, "repeat": "star"}]]

    def get_flags(self) -> int:
        """It can be run without a process."""
        return 0

    def option_parsing_started(self) -> None:
        """There are none."""

    def handle_argument_completion(
        self, words: Sequence[Any], at: int, cursor: int
    ) -> Union[bool, Dict[str, object]]:
        """What the word in which the cursor is may become; True: nothing."""
        before = [str(word) for word in words[: at + 1]]
        try:
            found = self.offers([*before[:-1], before[-1][:cursor]] if before else [""])
        except Exception:  # noqa: BLE001  whatever it is, a TAB offers nothing then
            return True
        if len(found) == 1:
            mode = "partial" if found[0].endswith(("/", ":")) else "complete"
            return {"completion": found[0], "mode": mode}
        return {"values": found} if found else True

    def offers(self, before: List[str]) -> List[str]:
        """What the last of the words may become."""
        raise NotImplementedError


def words_of(given: Any) -> List[str]:
    """The words that lldb hands over."""
    items = [given.GetItemAtIndex(at) for at in range(given.GetSize())]
    return [str(item.GetStringValue(_LONGEST)) for item in items]


def lldbs_offers(debugger: Any, command: str) -> List[str]:
    """What the last word of a command of lldb's own may become."""
    found = lldb.SBStringList()
    debugger.GetCommandInterpreter().HandleCompletion(command, len(command.encode()), 0, MOST, found)
    beyond_what_all_share = range(1, found.GetSize())
    return [str(found.GetStringAtIndex(at)) for at in beyond_what_all_share]
