"""The ``addrspace-gdb`` command: ``init`` prints the line for ~/.gdbinit, ``dump`` runs gdb in batch mode,
``diff`` and ``compare`` read two dumps, for which they need no gdb, or have them made.

The shell side and the gdb side speak through files in a private folder (`asking`). What gdb itself prints is
caught and not shown. Exit status: 0 done, 1 could not be done, 2 wrong usage, 128 + n after signal n.
"""

from __future__ import annotations

import argparse
import errno
import io
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, BinaryIO, Optional, Sequence

from . import __version__
from .asking import Question, ask, is_pid, make_request
from .commands import REPORTS
from .launch import LOADER, Signalled, catch_signals, find_gdb, tell
from .precheck import elf_type
from .problems import ProblemError
from .process.escape import printable
from .unpack import format_of


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command line `argv` (default: the process's own); returns the exit status."""
    options = _parser().parse_args(argv)
    try:
        if options.command == "init":
            _to_stdout(io.BytesIO(b"source " + os.fsencode(LOADER) + b"\n"))
            return 0
        if options.command in ("diff", "compare"):
            return from_dumps(options)
        return dump(options)
    except ProblemError as problem:
        tell(str(problem))
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Signalled as signalled:
        return 128 + signalled.number
    except OSError as error:
        tell(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="addrspace-gdb", description="Where every byte of a Go process lives, by gdb."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    commands.add_parser("init", help="print the line for ~/.gdbinit that brings the commands into gdb")
    dump_parser = commands.add_parser(
        "dump",
        help="print the address space of a process or a core file",
        description="Print the address space of a running process, which is paused while it is read and"
        " then goes on, or of a core file. A compressed core (zstd, lz4, xz, gzip) is unpacked into a"
        " temporary folder ($TMPDIR) and removed again.",
    )
    add = dump_parser.add_argument
    add("target", metavar="PID|CORE", help="a process (digits only) or the path of a core file")
    add("--report", metavar="COMMAND", help="print what this command of gdb prints, not the diagram; its"
        f" options go into the same argument: {', '.join(REPORTS)}")  # fmt: skip
    add("--format", choices=("text", "classic", "json"), default="text", help="default: %(default)s")
    add("-o", "--output", metavar="FILE", help="write to FILE, which appears complete or not at all")
    add("--check", action="store_true", help="also check every sum against the kernel's and Go's own")
    add("--stacks", action="store_true", help="with json: which goroutines share which stack, for `diff`")
    add("--stats", action="store_true", help="also say how long the process was stopped, on stderr")
    add("--ascii", action="store_true", help="draw with ASCII characters only")
    add("--width", metavar="N", type=_width, help="columns; default: the terminal's, at most 100")
    _add_gdb(dump_parser)
    _add_from_dumps(commands)
    return parser


def _add_gdb(parser: argparse.ArgumentParser) -> None:
    """What gdb is, and what it is given besides the process or core."""
    add = parser.add_argument
    add("--exe", metavar="FILE", help="the executable, where it cannot be found or is not the right one")
    add("--sysroot", metavar="DIR", help="the file system whose shared libraries a core's process had")
    add("--gdb", metavar="PATH", help="the gdb to run; default: $ADDRSPACE_GDB, the one of this"
        " environment, the one on PATH")  # fmt: skip


def _add_from_dumps(commands: Any) -> None:
    """`diff` and `compare`."""
    for name, text, more in (
        ("diff", "print what has changed between two dumps of a process", None),
        ("compare", "print two dumps side by side: what the same addresses are in each", "ADDRESS"),
    ):
        made = commands.add_parser(
            name,
            help=text,
            description=f"{text[:1].upper()}{text[1:]}. Dumps are made by: addrspace-gdb dump --format json;"
            " of a core file or a process one is made on the way.",
        )
        made.add_argument("dumps", nargs=2, metavar="FILE", help="two dumps, core files or process ids")
        if more:
            made.add_argument("addresses", nargs="*", metavar=more, help="what is there, one a row")
        else:
            made.add_argument(
                "--limit", metavar="N", help="at most N rows a table, or all (20 on a terminal)"
            )
        made.add_argument("--format", choices=("text", "json"), default="text", help="default: %(default)s")
        made.add_argument("-o", "--output", metavar="FILE", help="write to FILE, complete or not at all")
        made.add_argument("--ascii", action="store_true", help="draw with ASCII characters only")
        made.add_argument("--width", metavar="N", type=_width, help="columns; default: the terminal's")
        _add_gdb(made)


def from_dumps(options: argparse.Namespace) -> int:
    """Carry out ``diff`` or ``compare``; returns 0 or 1."""
    from .fromdumps import answer  # loads what `dump` leaves to gdb

    catch_signals()
    output = _Output(options.output) if options.output else None
    try:
        columns = shutil.get_terminal_size((100, 24)).columns
        width = options.width or min(100 if options.command == "diff" else 120, max(72, columns))
        plain = options.ascii or (not options.output and not _speaks_unicode())
        with tempfile.TemporaryDirectory(prefix="addrspace-gdb-") as folder:
            status = _make_dumps(options, Path(folder))
            text, damage = answer(options, width, not plain, _colored(options.output))
        if output:
            with tempfile.NamedTemporaryFile(prefix="addrspace-gdb-") as file:
                file.write(text.encode("utf-8", "surrogateescape"))
                file.flush()
                output.commit(Path(file.name))
        else:
            _to_stdout(io.BytesIO(text.encode("utf-8", "surrogateescape")))
        if damage:
            tell(damage)
        return 1 if damage or status else 0
    finally:
        if output:
            output.discard()


def _make_dumps(options: argparse.Namespace, folder: Path) -> int:
    """Put the path of a dump in place of each process and core file in `options.dumps`; 1 if any is damaged.

    ProblemError if one could not be made.
    """
    status = 0
    for number, name in enumerate(options.dumps):
        if os.path.exists(name):
            asked = os.path.isfile(name) and (format_of(name) or elf_type(name) is not None)
        else:
            asked = is_pid(name)
        if not asked:
            continue
        question = Question(name, options.exe, options.sysroot, "json", stacks=True)
        place = folder / str(number)
        place.mkdir()
        answer, failed = ask(find_gdb(options.gdb), make_request(question), place)
        if not answer.result.stat().st_size:
            raise ProblemError(answer.reason(failed))
        answer.tell(failed)
        status |= failed != 0
        options.dumps[number] = str(place / os.path.basename(name))
        os.rename(answer.result, options.dumps[number])
    return status


def _colored(output: Optional[str]) -> bool:
    tty = sys.stdout.isatty() and not output
    return tty and not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in (None, "", "dumb")


def _width(text: str) -> int:
    width = int(text) if text.isdecimal() else 0
    if not 40 <= width <= 1000:
        raise argparse.ArgumentTypeError("not a number from 40 to 1000")
    return width


def dump(options: argparse.Namespace) -> int:
    """Carry out ``dump``; returns 0 or 1. Everything that can be refused is refused before gdb starts."""
    catch_signals()
    gdb = find_gdb(options.gdb)
    asked = {name: getattr(options, name) for name in Question._fields if hasattr(options, name)}
    asked["ascii"] = options.ascii or (not options.output and not _speaks_unicode())
    asked["width"] = options.width or min(100, max(40, shutil.get_terminal_size((100, 24)).columns))
    request = make_request(Question(**asked, color=_colored(options.output)))
    output = _Output(options.output) if options.output else None
    folder = tempfile.mkdtemp(prefix="addrspace-gdb-")  # for this user only
    try:
        answer, status = ask(gdb, request, Path(folder))
        if answer.result.stat().st_size:
            if output:
                output.commit(answer.result)
            else:
                with open(answer.result, "rb") as result:
                    _to_stdout(result)
        answer.tell(status)
        return 1 if status else 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if output:
            output.discard()


def _speaks_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


class _Output:
    """The file named by --output: written beside its place, then moved there, so it is never half there.

    What is not a regular file (/dev/stdout, a pipe) is written to directly.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._place = os.path.realpath(name)
        self._beside: Optional[str] = None
        try:
            if os.path.isdir(name):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if os.path.exists(name) and not os.access(name, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            if os.path.exists(name) and not os.path.isfile(name):
                return
            handle, self._beside = tempfile.mkstemp(prefix=".addrspace-", dir=os.path.dirname(self._place))
            os.close(handle)
        except OSError as error:
            raise ProblemError(f"cannot write {printable(name)}: {error.strerror}") from None

    def commit(self, source: Path) -> None:
        """Put the contents of `source` into the output file; ProblemError if that fails."""
        try:
            if self._beside is None:
                with open(source, "rb") as result, open(self._name, "wb") as file:
                    shutil.copyfileobj(result, file)
            else:
                self._replace(source, self._beside)
        except OSError as error:
            raise ProblemError(f"cannot write {printable(self._name)}: {error.strerror}") from None

    def _replace(self, source: Path, beside: str) -> None:
        shutil.copyfile(source, beside)
        try:
            mode = os.stat(self._place).st_mode & 0o7777
        except FileNotFoundError:
            mask = os.umask(0)
            os.umask(mask)
            mode = 0o666 & ~mask
        os.chmod(beside, mode)
        os.replace(beside, self._place)
        self._beside = None

    def discard(self) -> None:
        """Leave nothing behind; does nothing after `commit`."""
        if self._beside:
            try:
                os.unlink(self._beside)
            except OSError:
                pass


def _to_stdout(source: BinaryIO) -> None:
    """Copy `source` to stdout; a reader that goes away early has what it wanted."""
    try:
        shutil.copyfileobj(source, sys.stdout.buffer)
        sys.stdout.flush()
    except BrokenPipeError:
        # Or the interpreter would try again, at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
