"""`addrspace set NAME VALUE` and `addrspace show [NAME]`: lldb's own settings cannot be added to."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Sequence, Tuple

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError


class Parameter(NamedTuple):
    """One of them. `values` is empty where it is no fixed set of words."""

    default: str
    values: Tuple[str, ...]
    help: str


_SWITCH = ("auto", "on", "off")
PARAMETERS: Dict[str, Parameter] = {
    "unicode": Parameter("auto", _SWITCH, "Draw with Unicode characters; off draws in ASCII."),
    "color": Parameter("auto", _SWITCH, "Colour the output; auto follows `settings set use-color`."),
    "style": Parameter("quiet", (), "Pygments style of coloured output."),
    "width": Parameter("0", (), "Columns of the output; 0 follows the terminal."),
    "threads": Parameter("on", ("on", "off"), "Make a parked goroutine a thread of lldb's (22 and newer)."),
    "debug": Parameter("off", ("on", "off"), "Show Python's traceback of internal errors."),
}
_MOST = 1000  # columns


class Parameters:
    """How output looks, as the user has said."""

    def __init__(self) -> None:
        self._values = {name: one.default for name, one in PARAMETERS.items()}

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def set(self, words: List[str]) -> None:
        """`addrspace set NAME VALUE`. ProblemError."""
        if len(words) != 2:
            raise ProblemError(f"addrspace set: give one of {', '.join(PARAMETERS)}, and its value")
        name, value = words
        known = _known(name, "set")
        if known.values and value not in known.values:
            raise ProblemError(
                f"addrspace set {name}: {printable(value)!r} is not {' or '.join(known.values)}"
            )
        if name == "width" and not (value.isascii() and value.isdecimal() and int(value[:9]) <= _MOST):
            raise ProblemError(f"addrspace set width: {printable(value)!r} is not a number up to {_MOST}")
        if name == "style":
            from addrspace_gdb.views.kit.render import find_style

            find_style(value)
        self._values[name] = value

    def show(self, words: List[str]) -> str:
        """`addrspace show [NAME]`: a line for each. ProblemError."""
        if len(words) > 1:
            raise ProblemError("addrspace show: give one name, or none")
        if words:
            _known(words[0], "show")
        return "".join(f"addrspace {name}: {self._values[name]}\n" for name in words or PARAMETERS)


def _known(name: str, verb: str) -> Parameter:
    if name not in PARAMETERS:
        raise ProblemError(f"addrspace {verb}: {printable(name)!r} is not one of {', '.join(PARAMETERS)}")
    return PARAMETERS[name]


def following(before: Sequence[str]) -> Sequence[str]:
    """What may follow the words `set` or `show` and so on; empty if nothing is known."""
    if len(before) == 1:
        return list(PARAMETERS)
    known = PARAMETERS.get(before[1]) if before[0] == "set" and len(before) == 2 else None
    return known.values if known is not None else ()


def help_text(verb: str) -> str:
    """What `addrspace set --help` says, or `show`."""
    usage = "addrspace set NAME VALUE" if verb == "set" else "addrspace show [NAME]"
    first = "Change how addrspace output looks." if verb == "set" else "Show how addrspace output looks."
    lines = [
        f"  {name:8} {'|'.join(one.values) or 'VALUE':11} {one.help}" for name, one in PARAMETERS.items()
    ]
    return "\n".join([first, "", f"usage: {usage}", "", *lines, ""])
