"""What is typed after `goroutine-apply` and `goroutine`: which goroutines, flags, and a command of gdb.

The command is handed on exactly as it was typed, quotes and all.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Callable, List, NamedTuple, Optional, Pattern, Tuple

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError

if TYPE_CHECKING:  # gdb, which reads this when it is sourced, is not to read space/ then
    from addrspace_gdb.space.goroutines.chosen import Chosen

# What a goroutine with frames can be (gStatusStrings in src/runtime/traceback.go).
STATUSES = ("waiting", "running", "syscall", "runnable", "preempted", "copystack", "idle", "leaked")
FLAGS = ("-q", "-c", "-s")
PATTERNS = ("function:", "reason:")

_TOKEN = re.compile(r"""\s*((?:[^\s"']|"[^"]*"|'[^']*'|["'])+)""")
_NUMBER = re.compile(r"\d+")
_RANGE = re.compile(r"(\d+)-(\d+)")
_FRAME = re.compile(r"f(?:r(?:a(?:me?)?)?)?\s+(?!apply\b)(\S.*)")
_VARIABLE = re.compile(r"\$\w+(?:\(\d*\))?")  # $it, or a function of gdb: $current_goid()

Variable = Callable[[str], int]  # the value of a convenience variable or function; raises ProblemError


class Apply(NamedTuple):
    """`goroutine-apply`, taken apart."""

    chosen: Chosen
    text: str  # the goroutines as typed, for messages
    quiet: bool  # no header
    go_on: bool  # print errors and continue
    silent: bool  # skip errors and goroutines for which the command prints nothing
    command: str


class Select(NamedTuple):
    """`goroutine`, taken apart. All empty: show the current one."""

    goid: Optional[int] = None
    off: bool = False
    apply: Optional[Apply] = None  # `goroutine GOID CMD` and `goroutine all CMD`


def parse_apply(line: str, variable: Variable) -> Apply:
    """Take apart what follows `goroutine-apply`. ProblemError says in one line what is wrong."""
    words, flags, command = split(line)
    if command.startswith("-"):
        raise ProblemError(f"goroutine-apply: there is no flag {printable(command.split()[0])}")
    return _apply(words, flags, command, variable)


def split(line: str) -> Tuple[List[str], List[str], str]:
    """The goroutines, the flags, and the command with what follows it, each as typed."""
    words: List[str] = []
    flags: List[str] = []
    at = 0
    while True:
        token = _TOKEN.match(line, at)
        if token and token.group(1) in FLAGS:
            flags.append(token.group(1))
        elif token and _is_choice(token.group(1)):
            words.append(token.group(1))
        else:
            return words, flags, line[at:].strip()
        at = token.end()


def _apply(words: List[str], flags: List[str], command: str, variable: Variable) -> Apply:
    if not words:
        found = f", not {printable(command.split()[0])!r}" if command else ""
        raise ProblemError(f"goroutine-apply: expected goroutines first: GOID, FIRST-LAST, all ...{found}")
    if not command:
        raise ProblemError("goroutine-apply: missing command to run in the frames of the goroutines")
    if "-c" in flags and "-s" in flags:
        raise ProblemError("goroutine-apply: -c and -s exclude each other")
    chosen = _chosen(words, variable)
    return Apply(chosen, " ".join(words), "-q" in flags, "-c" in flags, "-s" in flags, command)


def parse_select(line: str, variable: Variable) -> Select:
    """Take apart what follows `goroutine`. ProblemError says in one line what is wrong."""
    words = line.split(None, 1)
    if not words:
        return Select()
    if words[0] in ("--off", "0") and len(words) == 1:
        return Select(off=True)
    if words[0] != "all" and not _NUMBER.fullmatch(words[0]) and not _VARIABLE.fullmatch(words[0]):
        raise ProblemError(f"goroutine: {printable(words[0])!r} is not a goroutine's number")
    if len(words) == 1:
        if words[0] == "all":
            raise ProblemError("goroutine: missing command to run in all goroutines")
        return Select(goid=_number(words[0], variable))
    quiet = ["-q"] if words[0] != "all" else []
    return Select(apply=_apply(words[:1], quiet, words[1].strip(), variable))


def _is_choice(word: str) -> bool:
    return (
        word == "all"
        or word in STATUSES
        or word.startswith(PATTERNS)
        or any(form.fullmatch(word) for form in (_NUMBER, _RANGE, _VARIABLE))
    )


def _chosen(words: List[str], variable: Variable) -> Chosen:
    from addrspace_gdb.space.goroutines.chosen import Chosen

    ranges: List[Tuple[int, int]] = []
    for word in words:
        between = _RANGE.fullmatch(word)
        if between:
            first, last = int(between.group(1)), int(between.group(2))
            if last < first:
                raise ProblemError(f"goroutine-apply: the range {word} is inverted")
            ranges.append((first, last))
        elif _NUMBER.fullmatch(word) or _VARIABLE.fullmatch(word):
            goid = _number(word, variable)
            ranges.append((goid, goid))
    return Chosen(
        () if "all" in words else tuple(ranges),
        frozenset(word for word in words if word in STATUSES),
        tuple(_pattern(word, "function:") for word in words if word.startswith("function:")),
        tuple(_pattern(word, "reason:") for word in words if word.startswith("reason:")),
    )


def _number(word: str, variable: Variable) -> int:
    return variable(word) if word.startswith("$") else int(word)


def _pattern(word: str, prefix: str) -> Pattern[str]:
    text = word[len(prefix) :]
    try:
        if text[:1] in ("'", '"'):
            text = "".join(shlex.split(text))
        if not text:
            raise ProblemError(f"goroutine-apply: {prefix} needs a regular expression")
        return re.compile(text)
    except (re.error, ValueError) as error:
        raise ProblemError(f"goroutine-apply: {printable(word)}: {error}") from None


def selecting(command: str) -> Optional[str]:
    """For `frame WHICH` (not `frame apply`), which selects a frame and prints it: the part WHICH."""
    match = _FRAME.fullmatch(command)
    return match.group(1) if match else None


def words() -> List[str]:
    """What completion offers before the command."""
    return ["all", *STATUSES, *PATTERNS, *FLAGS]
