"""Argument parsing that fits a debugger: errors are one line, help is text, nothing exits."""

from __future__ import annotations

import argparse
import re
import shlex
from itertools import groupby
from typing import Any, List, NoReturn, Optional

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError


class HelpRequested(Exception):
    """--help was given; the argument is the text to show."""


class UsageError(ProblemError):
    """What was typed is wrong; `message` says it without the name of the command, which is `prog`."""

    def __init__(self, prog: str, message: str) -> None:
        super().__init__(f"{prog}: {message} (see `help {prog}`)")
        self.prog, self.message = prog, message


_WIDTH = 79  # columns of help, whatever the terminal's are
_DEEPEST = 50  # columns that what goes on in the next line is indented, at most
_INDENT = re.compile(r"\s+\S.*?\s{2,}(?=\S)|\s*")  # up to the text of a line: behind a word and a gap


def _formatter(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, width=_WIDTH)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises instead of exiting."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", _formatter)
        options.setdefault("allow_abbrev", False)
        super().__init__(**options)

    def error(self, message: str) -> NoReturn:
        """One line that says what is wrong and where to read on."""
        raise UsageError(self.prog, message)

    def add_first(self, name: str, **options: Any) -> None:
        """An argument that stands before all others that are no options."""
        action = self.add_argument(name, **options)
        for actions in (self._actions, self._positionals._group_actions):  # noqa: SLF001  no other way
            actions.remove(action)
            actions.insert(0, action)

    def words(self) -> List[str]:
        """What a line may have: options by their long names, and words that are fixed choices."""
        found: List[str] = []
        for action in self._actions:
            if action.option_strings and action.help != argparse.SUPPRESS and action.dest != "help":
                found.append(max(action.option_strings, key=len))
            elif not action.option_strings:
                found += map(str, action.choices or ())
        return found

    def values_of(self, option: str) -> List[str]:
        """What may follow an option; empty if that is no fixed set of words."""
        action = self._option_string_actions.get(option)
        if action is None:
            return []
        return [str(value) for value in action.choices or (["all"] if option == "--limit" else [])]

    def takes_value(self, option: str) -> bool:
        """Whether something has to follow it."""
        action = self._option_string_actions.get(option)
        return action is not None and action.nargs is None

    def print_help(self, file: Any = None) -> None:
        """Hand the text to the caller."""
        raise HelpRequested(self.help_text())

    def help_text(self) -> str:
        """The help with what the command does first: debuggers list commands by their first line."""
        description, epilog = self.description or "", self.epilog
        self.description, self.epilog = None, filled(epilog or "") or None
        try:
            return f"{description}\n\n{self.format_help()}"
        finally:
            self.description, self.epilog = description, epilog

    def exit(self, status: int = 0, message: Optional[str] = None) -> NoReturn:
        """Never exit the debugger."""
        raise ProblemError((message or "").strip() or f"{self.prog}: cannot go on")

    def parse_line(self, line: str) -> argparse.Namespace:
        """Parse what was typed after the command's name."""
        return self.parse_args(split(line))


def filled(text: str) -> str:
    """`text` in lines of the help's width: prose as paragraphs, what is indented line by line."""
    lines: List[str] = []
    for indented, run in groupby(text.splitlines(), key=lambda line: line[:1].isspace() or not line):
        for line in list(run) if indented else [" ".join(run)]:
            lines += _broken(line)
    return "\n".join(lines)


def _broken(line: str) -> List[str]:
    """A line in as many as it takes, what goes on below where its text begins."""
    import textwrap  # for help alone

    match = _INDENT.match(line) if line[:1].isspace() else None
    blanks = " " * min(match.end() if match else 0, _DEEPEST)
    return textwrap.wrap(
        line,
        _WIDTH,
        subsequent_indent=blanks,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
        replace_whitespace=False,
    ) or [""]


def split(line: str) -> List[str]:
    """Words of a command line, with shell-like quotes. ProblemError if a quote is not closed."""
    try:
        return shlex.split(line)
    except ValueError as error:
        raise ProblemError(f"cannot read the arguments: {error}") from None


def add_output(parser: argparse.ArgumentParser, forms: List[str]) -> None:
    """The options that every command with a table or diagram has; what is text can be a picture too."""
    text = "form of the output (default: text)"
    parser.add_argument("--format", choices=[*forms, SVG], default="text", help=text)
    parser.add_argument("-o", "--output", metavar="FILE", help="write to FILE (atomically)")
    add_look(parser)


def add_look(parser: argparse.ArgumentParser) -> None:
    """How text is to look; what is not given is as the settings and the terminal have it."""
    add = parser.add_argument
    add("--width", type=width_value, metavar="N", help="columns of text, from 40 to 1000")
    add("--ascii", action="store_true", help="draw with ASCII characters only")
    add(
        "--color",
        type=color_value,
        choices=COLORS,
        default="auto",
        help="colour the text (default: auto, at a terminal)",
    )


SVG = "svg"
COLORS = ("auto", "on", "off")


def color_value(text: str) -> str:
    """One of COLORS; `always` and `never` are what ls, grep and git call two of them."""
    return {"always": "on", "never": "off"}.get(text, text)


def width_value(text: str) -> int:
    """A number of columns."""
    width = int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0
    if not 40 <= width <= 1000:
        raise argparse.ArgumentTypeError(f"{printable(text)!r} is not a number from 40 to 1000")
    return width
