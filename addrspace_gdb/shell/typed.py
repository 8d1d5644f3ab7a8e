"""What is typed after ``addrspace-gdb``: wrong usage is one line that says where to read on, and status 2."""

from __future__ import annotations

import argparse
from typing import Any, Dict, List, NoReturn, Sequence

from addrspace_gdb.commands import PROFILES
from addrspace_gdb.commands.options import UsageError
from addrspace_gdb.common.streams import tell

WRONG_USAGE = 2


class ShellParser(argparse.ArgumentParser):
    """An ArgumentParser that does not print all of a command's options because one of them is wrong."""

    def error(self, message: str) -> NoReturn:
        """One line, and the end."""
        _, _, word = self.prog.partition(" ")
        tell(f"{f'{word}: ' if word else ''}{message} (see `{self.prog} --help`)")
        raise SystemExit(WRONG_USAGE)


class CommandLine(ShellParser):
    """The whole of it: what is wrong is told by the command that it is typed after."""

    commands: Dict[str, ShellParser]

    def add_commands(self) -> Any:
        """Where the commands are added. They are parsed by parsers that know none themselves."""
        made = self.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=ShellParser)
        self.commands = made.choices
        return made

    def parsed(self, words: Sequence[str]) -> argparse.Namespace:
        """What `words` ask for."""
        line = list(words)
        if not line:
            self.error("missing command")
        if line[0] not in self.commands and not line[0].startswith("-"):
            self.error(f"there is no command '{line[0]}'{self._meant(line[0])}")
        options, rest = self.parse_known_args(line)
        if rest:
            self.commands[options.command].error(f"unrecognized arguments: {' '.join(rest)}")
        return options

    def _meant(self, word: str) -> str:
        import difflib  # for what is mistyped alone

        near = difflib.get_close_matches(word.lower(), self.commands, 1)
        return f"; there is {near[0]!r}" if near else ""


def ordered(words: List[str]) -> List[str]:
    """`help WORD` is its --help, and `profile` takes the process first, too, as all others do."""
    if words[:1] == ["help"]:
        return [*words[1:2], "--help"]
    if words[:1] == ["profile"] and len(words) > 2 and words[1] not in PROFILES and words[2] in PROFILES:
        return ["profile", words[2], words[1], *words[3:]]
    return words


def told_of_usage(wrong: UsageError) -> int:
    """Say what is wrong with a debugger's command that was typed as a word of the shell; the status."""
    name = word_of(wrong.prog)
    tell(f"{name}: {wrong.message} (see `addrspace-gdb {name} --help`)")
    return WRONG_USAGE


def word_of(command: str) -> str:
    """What a command is called in the shell."""
    return "dump" if command == "addrspace" else command.rpartition(" ")[2]
