"""``addrspace-gdb COMMAND PID|CORE``: the debugger's commands as words of the shell.

A command is parsed by its own parser, on both sides; here an argument for the process or core comes before
its own, and a few options of the shell's are added.
"""

from __future__ import annotations

import argparse
import re
from typing import List, Sequence, Tuple

from addrspace_gdb.commands import REPORTS, report
from addrspace_gdb.commands.command import Command
from addrspace_gdb.commands.options import HelpRequested, Parser, UsageError
from addrspace_gdb.commands.spoken import for_shell, quoted
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.common.streams import to_stdout
from addrspace_gdb.shell.answering import answered, question_of
from addrspace_gdb.shell.arguments import TARGET, TARGET_HELP, add_check, add_gdb, add_stats
from addrspace_gdb.shell.typed import told_of_usage

# `dump` is the diagram, `profile` has its kind before the process, and `html` takes dumps too.
WORDS = tuple(name for name in REPORTS if name not in ("addrspace", "profile", "html"))


def run_word(name: str, words: Sequence[str]) -> int:
    """Answer one of WORDS with what follows it; returns the status. ProblemError if it cannot be done."""
    command = report(name)
    try:
        options, line = take_apart(command, name, words)
        command.arguments(line)
    except HelpRequested as text:
        to_stdout([str(text).encode()])
        return 0
    except ProblemError as problem:
        said = str(problem).removeprefix("addrspace ").removeprefix(f"{name}: ")
        return told_of_usage(problem if isinstance(problem, UsageError) else UsageError(name, said))
    return answered(question_of(options)._replace(report=f"{name} {line}", format="text"), options.output)


def take_apart(command: Command, name: str, words: Sequence[str]) -> Tuple[argparse.Namespace, str]:
    """Which process or core, the shell's options, and the line that the command itself gets. ProblemError,
    HelpRequested."""
    placed = [_Word.at(place, word) for place, word in enumerate(words)]
    options, _ = _whole(command, name).parse_known_args(placed)
    place = options.target.place
    rest = [*words[:place], *words[place + 1 :]]
    end = rest.index("--") if "--" in rest else len(rest)
    _, own = _shells(name).parse_known_args(rest[:end])
    return options, command.joined([*own, *rest[end:]])


class _Word(str):
    """A word that knows where it stands: argparse hands on the very object."""

    __slots__ = ("place",)
    place: int

    @classmethod
    def at(cls, place: int, word: str) -> _Word:
        made = cls(word)
        made.place = place
        return made


def _whole(command: Command, name: str) -> Parser:
    """Everything that may be typed after the word."""
    made = command.parser()
    made.prog = f"addrspace-gdb {name}"
    made.epilog = in_shell(made.epilog) if made.epilog else None
    made.add_first("target", metavar=TARGET, help=TARGET_HELP)
    add_check(made)
    add_stats(made)
    add_gdb(made)
    return made


_EXAMPLE = re.compile(r"  (?:addrspace ([a-z]+)|(goroutine-stacks))((?: \S+)*)(?: {2,}(\S.*))?")
_EXAMPLES = 2  # blanks between an example and what it is
_RIGHTMOST = 50  # column where that begins; further right it goes below


def in_shell(text: str) -> str:
    """A command's text with examples as they are typed in the shell."""
    speak = for_shell("4242")
    lines = [speak(line) if speak is not None else line for line in text.splitlines()]
    shown = {line: found for line in lines if (found := _EXAMPLE.fullmatch(line)) is not None}
    typed = {line: f"  addrspace-gdb {one[1] or one[2]} 4242{quoted(one[3])}" for line, one in shown.items()}
    column = _EXAMPLES + max((len(typed[line]) for line, one in shown.items() if one[4]), default=0)
    for line, one in shown.items():
        gap = "\n      " if column > _RIGHTMOST else " " * (column - len(typed[line]))
        typed[line] += f"{gap}{one[4]}" if one[4] else ""
    return "\n".join(typed.get(line, line) for line in lines)


def whole_word(name: str) -> Parser:
    """Everything that may be typed after one of WORDS."""
    return _whole(report(name), name)


def _shells(name: str) -> Parser:
    """What the command itself does not get."""
    made = Parser(prog=name, add_help=False)
    made.add_argument("-o", "--output")
    add_check(made)
    add_stats(made)
    add_gdb(made)
    return made


def first_lines() -> List[Tuple[str, str]]:
    """Each word and what it does."""
    from addrspace_gdb.commands import commands

    known = {one.module.replace("_", "-"): one.help.partition("\n")[0] for one in commands()}
    return [(name, known[name]) for name in WORDS]
