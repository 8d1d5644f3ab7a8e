"""The ``addrspace-gdb`` command: ``init`` prints the line for ~/.gdbinit or ~/.lldbinit, ``dump`` asks a
process or core, as ``profile`` and the other words do, ``diff`` and ``compare`` read two dumps or have them
made.

The shell side and the gdb side speak through files in a private folder (`asking`). What gdb itself prints is
caught and not shown. Exit status: 0 done, 1 could not be done, 2 wrong usage, 128 + n after signal n.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import sys
from pathlib import Path
from typing import Any, Optional, Sequence

from addrspace_gdb import __version__
from addrspace_gdb.commands import PROFILES, REPORTS
from addrspace_gdb.commands.options import UsageError, add_look
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.files import OutputFile
from addrspace_gdb.common.folders import PrivateFolder
from addrspace_gdb.common.lldb_words import path_in_lldb
from addrspace_gdb.common.problems import ProblemError, cut_short
from addrspace_gdb.common.streams import secure_streams, speaks_unicode, stdout_is_terminal, tell, to_stdout
from addrspace_gdb.process.elf import elf_type
from addrspace_gdb.shell.answering import answered, colored, put, question_of
from addrspace_gdb.shell.arguments import TARGET, TARGET_HELP, add_check, add_gdb, add_stats
from addrspace_gdb.shell.asking import Question, ask, check
from addrspace_gdb.shell.compressed import format_of
from addrspace_gdb.shell.crash.arguments import add_crash
from addrspace_gdb.shell.pictures import add_html
from addrspace_gdb.shell.processes import resolved
from addrspace_gdb.shell.run_gdb import LOADER, Signalled, catch_signals
from addrspace_gdb.shell.run_lldb import LOADER as LLDB_LOADER
from addrspace_gdb.shell.typed import CommandLine, ordered, told_of_usage
from addrspace_gdb.shell.watch import add_watch
from addrspace_gdb.shell.words import WORDS, first_lines, run_word, whole_word


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command line `argv` (default: the process's own); returns the exit status."""
    try:
        secure_streams()
        catch_signals()
        words = ordered(list(sys.argv[1:] if argv is None else argv))
        if words[:1] and words[0] in WORDS:
            return run_word(words[0], words[1:])
        options = parser().parsed(words)
        return int(options.run(options))
    except UsageError as wrong:
        return told_of_usage(wrong)
    except ProblemError as problem:
        tell(str(problem).removeprefix("addrspace "))
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Signalled as signalled:
        return 128 + signalled.number
    except RuntimeError as error:
        end = cut_short(error)
        if end is None:
            raise
        return 128 + (end.number if isinstance(end, Signalled) else signal.SIGINT)
    except MemoryError:
        tell("not enough memory")
        return 1
    except OSError as error:
        reason = error.strerror or str(error)
        tell(f"{error.filename}: {reason}" if error.filename else reason)
        return 1


def parser(whole: bool = False) -> CommandLine:
    """What is typed; the words of `words` have their options only if it is to be `whole`: for what is
    generated of it."""
    made = CommandLine(prog="addrspace-gdb", description="See where every byte of a Go process lives.")
    made.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = made.add_commands()
    init_parser = commands.add_parser(
        "init", help="print the line for ~/.gdbinit, or ~/.lldbinit, that brings the commands in"
    )
    init_parser.add_argument("--lldb", action="store_true", help="the line for ~/.lldbinit")
    init_parser.set_defaults(run=init)
    schema_parser = commands.add_parser(
        "schema", help="print the JSON Schema of a document, or the names of all"
    )
    schema_parser.add_argument(
        "name", nargs="?", metavar="NAME", help="such as rss/1; without it all names are listed"
    )
    schema_parser.set_defaults(run=schema)
    completion_parser = commands.add_parser(
        "completion", help="print the completion script for a shell: bash, zsh or fish"
    )
    completion_parser.add_argument("shell", choices=tuple(COMPLETIONS), help="which shell")
    completion_parser.set_defaults(run=completion)
    dump_parser = commands.add_parser(
        "dump",
        help="print the address space of a process or a core file",
        description="Print the address space of a running process, which is paused while it is read and"
        " then goes on, or of a core file. A compressed core (zstd, lz4, xz, gzip) is unpacked into a"
        " temporary folder ($TMPDIR) and removed again.",
    )
    dump_parser.set_defaults(run=dump)
    add = dump_parser.add_argument
    add("target", metavar=TARGET, help=TARGET_HELP)
    add("--report", metavar="COMMAND", help="run this command instead (quote it with its options):"
        f" {', '.join(REPORTS)}")  # fmt: skip
    add("--format", choices=("text", "classic", "json", "svg", "html"), default="text",
        help="form of the output (default: %(default)s)")  # fmt: skip
    add("--classic", action="store_true", help="a simplified eight-row picture, for teaching")
    add("-o", "--output", metavar="FILE", help="write to FILE (atomically)")
    add_check(dump_parser)
    add("--stacks", action="store_true",
        help="with --format json: include goroutine stacks so that `diff` can group them")  # fmt: skip
    add_stats(dump_parser)
    add_look(dump_parser)
    add_gdb(dump_parser)
    _add_words(commands, whole)
    _add_profile(commands)
    _add_from_dumps(commands)
    add_html(commands)
    add_watch(commands)
    add_crash(commands)
    return made


def _add_words(commands: Any, whole: bool) -> None:
    """Those of `words`, which parse what follows them themselves; here they are listed."""
    for name, text in first_lines():
        own = {"parents": [whole_word(name)]} if whole else {}
        commands.add_parser(name, help=text[:1].lower() + text[1:].rstrip("."), add_help=False, **own)


def _add_profile(commands: Any) -> None:
    """`profile`."""
    made = commands.add_parser(
        "profile",
        help="write the profiles that Go's own pprof would, even of a core or a stripped program",
        description="Write a profile of a running process, which is paused while it is read and then goes"
        " on, or of a core file. At a terminal, without -o, the top functions are listed.",
    )
    made.set_defaults(run=profile, report=None)
    add = made.add_argument
    add("kind", choices=PROFILES, metavar="KIND", help=f"what to profile: {', '.join(PROFILES)}")
    add("target", metavar=TARGET, help=TARGET_HELP)
    add("-o", "--output", metavar="FILE", help="write to FILE (atomically)")
    add("--format", dest="form", choices=("pprof", "folded", "text"), help="pprof: for `go tool pprof`;"
        " folded: one line per stack, for flame graphs; text: a list (default: at a terminal, else pprof)",
    )  # fmt: skip
    add("--value", metavar="TYPE", help="which value is listed or folded, such as alloc_space")
    add("--limit", metavar="N", help="at most N functions in the list, or `all`")
    add_stats(made)
    add_look(made)
    add_gdb(made)


def _add_from_dumps(commands: Any) -> None:
    """`diff` and `compare`."""
    for name, text, more in (
        ("diff", "print what changed between two dumps of a process", None),
        ("compare", "print two dumps side by side: what the same addresses are in each", "ADDRESS"),
    ):
        made = commands.add_parser(
            name,
            help=text,
            description=f"{text[:1].upper()}{text[1:]}. A dump is made by `addrspace-gdb dump --format json"
            " --stacks`; of a core file or a process one is made first.",
        )
        made.set_defaults(run=from_dumps)
        made.add_argument("dumps", nargs=2, metavar="FILE", help="two dumps, core files or processes")
        if more:
            made.add_argument("addresses", nargs="*", metavar=more, help="what is there, one per row")
        else:
            made.add_argument(
                "--limit", metavar="N", help="at most N rows per table, or `all` (20 on a terminal)"
            )
        made.add_argument(
            "--format",
            choices=("text", "json", "svg"),
            default="text",
            help="form of the output (default: %(default)s)",
        )
        made.add_argument("-o", "--output", metavar="FILE", help="write to FILE (atomically)")
        add_stats(made)
        add_look(made)
        add_gdb(made)


def init(options: argparse.Namespace) -> int:
    """Carry out ``init``."""
    if options.lldb:
        to_stdout([b"command script import " + os.fsencode(path_in_lldb(str(LLDB_LOADER))) + b"\n"])
        return 0
    if "\n" in str(LOADER):
        raise ProblemError(f"gdb cannot source a file in a folder of this name: {printable(str(LOADER))}")
    to_stdout([b"source " + os.fsencode(LOADER) + b"\n"])
    return 0


def schema(options: argparse.Namespace) -> int:
    """Carry out ``schema``."""
    from addrspace_gdb.views.documents import schema as schemas

    if options.name is None:
        text = "".join(f"{name}\n" for name in schemas.NAMES)
    else:
        text = json.dumps(schemas.schema(options.name), indent=2) + "\n"
    to_stdout([text.encode()])
    return 0


# Generated by scripts/gen-help, and installed where shells look for them.
SHARE = Path(__file__).with_name("share")
COMPLETIONS = {"bash": "addrspace-gdb", "zsh": "_addrspace-gdb", "fish": "addrspace-gdb.fish"}
MAN_PAGE = "addrspace-gdb.1"


def completion(options: argparse.Namespace) -> int:
    """Carry out ``completion``."""
    to_stdout([(SHARE / COMPLETIONS[options.shell]).read_bytes()])
    return 0


def from_dumps(options: argparse.Namespace) -> int:
    """Carry out ``diff`` or ``compare``; returns 0 or 1."""
    from addrspace_gdb.shell.from_dumps import answer  # loads what `dump` leaves to gdb

    output = OutputFile(options.output, options.dumps) if options.output else None
    columns = shutil.get_terminal_size((100, 24)).columns
    width = options.width or min(100 if options.command == "diff" else 120, max(72, columns))
    plain = options.ascii or (not options.output and not speaks_unicode())
    with PrivateFolder() as folder:
        failed = _make_dumps(options, folder)
        text, damage = answer(options, width, not plain, colored(options))
    put([text.encode("utf-8", "surrogateescape")], output)
    if damage:
        tell(damage)
    return 1 if damage or failed else 0


def _make_dumps(options: argparse.Namespace, folder: Path) -> bool:
    """Put the path of a dump in place of each process and core file in `options.dumps`. ProblemError.

    Returns whether any is damaged.
    """
    damaged = False
    for number, name in enumerate(options.dumps):
        target = _asked_target(name)
        if target is None:
            continue
        place = folder / str(number)
        place.mkdir()
        question = Question(
            target,
            options.debugger,
            options.gdb,
            options.wait,
            options.exe,
            options.sysroot,
            format="json",
            stacks=True,
            stats=options.stats,
        )
        answer = ask(check(question), place)
        if not answer.has_result:
            raise ProblemError(answer.lines()[0])
        answer.tell()
        damaged |= answer.failed
        options.dumps[number] = str(place / os.path.basename(name))
        os.rename(answer.result, options.dumps[number])
    return damaged


def _asked_target(name: str) -> Optional[str]:
    """The process or core file that a dump is to be made of; None for a dump. ProblemError."""
    if os.path.isfile(name) and (format_of(name) or elf_type(name) is not None):
        return name
    if os.path.exists(name) or "/" in name or name.endswith(".json"):
        return None
    return resolved(name)


def dump(options: argparse.Namespace) -> int:
    """Carry out ``dump``; returns 0 or 1."""
    question = question_of(options)
    if options.classic:
        if question.report is not None:
            raise UsageError("addrspace", "--classic is of the diagram, and does not go with --report")
        question = question._replace(report=f"addrspace --classic --format {question.format}", format="text")
    return answered(question, options.output)


def profile(options: argparse.Namespace) -> int:
    """Carry out ``profile``, which is a report; returns 0 or 1."""
    listed = not options.output and stdout_is_terminal()
    form = options.form or ("text" if listed else "pprof")
    limit = options.limit or (None if listed else "all")
    words = ["profile", options.kind, "--format", form]
    for name, given in (("--value", options.value), ("--limit", limit)):
        words += [name, given] if given else []
    options.report = shlex.join(words)
    return answered(question_of(options), options.output)
