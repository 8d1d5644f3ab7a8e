"""What is made of the parsers: the help that gdb shows before a command is loaded, what completes words and
options in a shell (shtab writes it), and the manual page."""

from __future__ import annotations

import argparse
import re
from collections import Counter
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

import shtab

from addrspace_gdb.commands import HELP, help_json, report
from addrspace_gdb.shell.cli import COMPLETIONS, MAN_PAGE, SHARE, parser
from addrspace_gdb.shell.words import WORDS
from addrspace_gdb.views.documents.schema import NAMES

_PLAIN = re.compile(r"[A-Za-z][\w-]*")  # no option, and nothing that a shell would take apart
_USUAL = 8  # commands that have an option, for it to be described once
_OptionKey = Tuple[Tuple[str, ...], str, str]

# Numbers and names of all processes but the kernel's own, in a shell.
_PROCESSES = (
    "ps -e -o pid= -o ppid= -o comm= 2>/dev/null | "
    """awk 'BEGIN { k = -1 } $3 == "kthreadd" { k = $1 } $1 != k && $2 != k { print $1, $3 }'"""
)

# What completes a process or a core: processes by number and by name, and files.
_TARGETS = {
    "bash": """\
_addrspace_targets() {
  compgen -W "$(PROCESSES)" -- "$1"
  compgen -f -- "$1"
}""",
    "zsh": """\
_addrspace_targets() {
  local -a processes names
  processes=(${(f)"$(PROCESSES)"})
  names=(${(u)processes#* })
  processes=(${processes/ /:})
  _describe process processes
  compadd -a names
  _files
}""",
    "fish": """\
function __addrspace_targets
    set -l processes (PROCESSES)
    printf '%s\\n' $processes | string replace ' ' \\t
    printf '%s\\n' $processes | string replace -r '^[0-9]+ ' '' | sort -u
    __fish_complete_path (commandline -ct)
end""",
}
_COMPLETE_TARGET = {
    "bash": "_addrspace_targets",
    "zsh": "_addrspace_targets",
    "fish": "(__addrspace_targets)",
}


def generated() -> Dict[Path, str]:
    """Each file, and what it should be."""
    made = {Path(HELP): help_json()}
    for shell, name in COMPLETIONS.items():
        made[SHARE / name] = _completion(shell)
    made[SHARE / MAN_PAGE] = manual(parser(whole=True))
    return made


# Completion


def _completion(shell: str) -> str:
    whole = parser(whole=True)
    for word in _words(whole):
        word.parser.description = word.help  # what is told of it in a list
        offers = _offers(word.name)
        for action in word.parser._actions:  # noqa: SLF001  argparse has no other way to list them
            _complete(action, offers)
    text = shtab.complete(whole, shell=shell, preamble=_TARGETS[shell].replace("PROCESSES", _PROCESSES))
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def _offers(name: str) -> Dict[str, List[str]]:
    """What may stand after the options of a command, and ("") as its other arguments, besides what the
    parser knows."""
    if name == "schema":
        return {"": list(NAMES)}
    if name not in WORDS:
        return {}
    command = report(name)
    found = {option: list(values) for option, values in command.values.items()}
    found[""] = [one for one in command.words if _PLAIN.fullmatch(one)]
    return found


def _complete(action: argparse.Action, offers: Dict[str, List[str]]) -> None:
    """Say what an argument is, as shtab wants it: an attribute."""
    wanted: Optional[object] = None
    names = action.option_strings or ([""] if action.dest != "target" else [])
    for name in names:
        action.choices = action.choices or offers.get(name)
    if action.dest in ("target", "dumps"):
        wanted = _COMPLETE_TARGET
    elif action.metavar in ("FILE", "PATH"):
        wanted = shtab.FILE
    elif action.metavar in ("DIR", "FOLDER"):
        wanted = shtab.DIRECTORY
    if wanted is not None:
        vars(action)["complete"] = wanted


def subparsers(whole: argparse.ArgumentParser) -> Dict[str, argparse.ArgumentParser]:
    """The parser of each command, by name."""
    for action in whole._actions:  # noqa: SLF001  argparse has no other way to list them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            return dict(action.choices)
    return {}


# The manual page


class _Word(NamedTuple):
    """A command."""

    name: str
    help: str
    parser: argparse.ArgumentParser


def manual(whole: argparse.ArgumentParser) -> str:
    """The page addrspace-gdb(1), in the macros of man(7)."""
    words = _words(whole)
    counted = Counter(_key(one) for word in words for one in _options(word.parser))
    usual = {key for key, count in counted.items() if count >= _USUAL}
    lines = [
        '.TH ADDRSPACE\\-GDB 1 "" "addrspace\\-gdb" "User Commands"',
        ".SH NAME",
        r"addrspace\-gdb \- where every byte of a Go process lives",
        ".SH SYNOPSIS",
        ".B addrspace\\-gdb",
        "\\fICOMMAND\\fR [\\fIPID\\fR|\\fICORE\\fR] [\\fIoptions\\fR]",
        ".SH DESCRIPTION",
        *_text(_ABOUT),
        ".SH COMMANDS",
    ]
    for word in words:
        lines += _command(word, usual)
    lines.append(".SH OPTIONS OF MOST COMMANDS")
    for option in _usual_options(words, usual):
        lines += _option(option)
    for title, text in _SECTIONS:
        lines += [f".SH {title}", *_text(text)]
    return "\n".join(lines) + "\n"


_ABOUT = """\
Shows the address space of a Go process: the operating system's view and the Go runtime's view of the same
bytes, joined by address. It reads a running process, which is stopped only while it is read, or a core
file. The same commands are there in gdb, where `addrspace-gdb init` brings them.

A process is given by its number, by its name, or as :PORT by a TCP port that it listens on, where only one
fits. A core file may be compressed (zstd, lz4, xz, gzip)."""

_STATUS = """\
0: done. 1: something could not be done, or was found damaged; each is one line on standard error. 2: wrong
usage. 128 + n: after signal n."""

_ENVIRONMENT = """\
ADDRSPACE_DEBUGGER: gdb or none, who reads. ADDRSPACE_GDB: which gdb. NO_COLOR: no colours. TMPDIR: where
compressed cores are unpacked. ADDRSPACE_CRASHES: where `crash` keeps what it sees."""

_SECTIONS = (
    ("EXIT STATUS", _STATUS),
    ("ENVIRONMENT", _ENVIRONMENT),
    ("SEE ALSO", "gdb(1), core(5), proc(5), ptrace(2)"),
)


def _words(whole: argparse.ArgumentParser) -> List[_Word]:
    """In the order in which help lists them."""
    for action in whole._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            texts = {one.dest: one.help or "" for one in action._choices_actions}  # noqa: SLF001
            return [_Word(name, texts[name], found) for name, found in action.choices.items()]
    return []


def _options(one: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Its arguments and options, but --help."""
    return (
        action
        for action in one._actions  # noqa: SLF001
        if action.help != argparse.SUPPRESS and not isinstance(action, argparse._HelpAction)  # noqa: SLF001
    )


def _key(action: argparse.Action) -> _OptionKey:
    """What makes two options the same."""
    return tuple(action.option_strings), _value(action), _help(action)


def _usual_options(words: List[_Word], usual: set[_OptionKey]) -> List[argparse.Action]:
    found = {_key(one): one for word in words for one in _options(word.parser) if _key(one) in usual}
    return [one for key, one in sorted(found.items()) if key[0]]


def _command(word: _Word, usual: set[_OptionKey]) -> List[str]:
    own = list(_options(word.parser))
    names = [_value(one) for one in own if not one.option_strings]
    usage = " ".join([f"\\fB{_escaped(word.name)}\\fR", *(f"\\fI{_escaped(name)}\\fR" for name in names)])
    lines = [".SS " + usage, *_text(_sentence(word.parser.description or word.help))]
    for option in own:
        if _key(option) not in usual or not option.option_strings:
            lines += _option(option)
    if word.parser.epilog:
        lines += [".PP", ".nf", *(_line(one) for one in word.parser.epilog.splitlines()), ".fi"]
    return lines


def _option(action: argparse.Action) -> List[str]:
    strings = ", ".join(f"\\fB{_escaped(one)}\\fR" for one in action.option_strings)
    value = _value(action)
    shown = " ".join(filter(None, [strings, f"\\fI{_escaped(value)}\\fR" if value else ""]))
    return [".TP", shown, *(_text(_sentence(_help(action))) or [""])]


def _value(action: argparse.Action) -> str:
    """What follows an option, or what an argument is called."""
    if action.nargs == 0:
        return ""
    named = action.metavar if isinstance(action.metavar, str) else None
    text = named or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    return f"[{text}]" if action.nargs in ("?", "*") and not text.startswith("[") else text


def _help(action: argparse.Action) -> str:
    return (action.help or "") % {**vars(action), "prog": "addrspace-gdb"}


def _sentence(text: str) -> str:
    """With a capital and a full stop."""
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", ":")) or not text else f"{text}."


def _text(text: str) -> List[str]:
    """Paragraphs."""
    parts = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text)]
    lines: List[str] = []
    for number, part in enumerate(filter(None, parts)):
        lines += [".PP"] * bool(number) + [_line(part)]
    return lines


def _line(text: str) -> str:
    text = _escaped(text)
    return f"\\&{text}" if text.startswith((".", "'")) else text


def _escaped(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")


def write() -> None:
    """Write all files."""
    Path(HELP).write_text(help_json(), encoding="utf-8")  # first: the others are made of it
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
