"""The arguments of `addrspace-gdb crash`, and who carries them out."""

from __future__ import annotations

import argparse
from typing import Any, Iterable, List

from addrspace_gdb.commands.values import size_value
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.common.streams import tell, to_stdout
from addrspace_gdb.shell.crash.place import DEFAULT, VARIABLE, place

KEEP, TIME = 256 << 20, 30.0  # bytes, seconds
_NEWEST = ""

_DESCRIPTION = """\
Keep what can be learned about a program that dies, without a core file. The
kernel runs this command (kernel.core_pattern) with the core on standard input.
It reads the threads and the signal from there, and everything else from the
process itself, which still exists: what `fault` says, all goroutines, `rss`,
`memstats` and the regions. Each crash gets a folder, with text and JSON. A Go
panic dumps core only if the program has GOTRACEBACK=crash in its environment."""

_EPILOG = """\
PID TID SIGNAL are %P %i %s of core(5); a VALUE is another specifier's letter
and what it stands for.
  addrspace-gdb crash --install        what would be set
  addrspace-gdb crash --install --yes  set it, until the next boot: to stay,
                                       the two lines go into a file in
                                       /etc/sysctl.d
  addrspace-gdb crash --show           the last crash"""


def add_crash(commands: Any) -> None:
    """The sub-command."""
    made = commands.add_parser(
        "crash",
        help="keep what can be learned about a program that dies, without a core file",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.set_defaults(run=run)
    add = made.add_argument
    add("words", nargs="*", metavar="PID [TID [SIGNAL [VALUE ...]]]", help="as the kernel calls it")
    what = made.add_mutually_exclusive_group()
    what.add_argument("--show", nargs="?", const=_NEWEST, metavar="FOLDER", help="print a crash: the last"
        " one, or that in FOLDER")  # fmt: skip
    what.add_argument("--status", action="store_true", help="what is set, and what is kept")
    what.add_argument("--install", action="store_true", help="print what makes the kernel run this, and"
        " what has to be set for it")  # fmt: skip
    what.add_argument("--uninstall", action="store_true", help="print what was set before")
    add("--yes", action="store_true", help="with --install or --uninstall: do it")
    add("--forward", action="store_true", help="pass the whole core on to the handler that was set"
        " before; nothing is kept then of processes that are not Go")  # fmt: skip
    add("--folder", metavar="DIR", help=f"where crashes are kept; default: ${VARIABLE}, else {DEFAULT}")
    add("--keep", metavar="SIZE", type=size_value, default=KEEP, help="delete the oldest crashes when all"
        " together take more (default: 256MiB)")  # fmt: skip
    add("--time", metavar="SECONDS", type=_seconds, default=TIME, help="hold the dying process no longer than"
        " this (default: %(default)g)")  # fmt: skip


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 3600.0:
        raise argparse.ArgumentTypeError("not a number of seconds from 0.1 to 3600")
    return seconds


def run(options: argparse.Namespace) -> int:
    """Carry out `crash`; 0 or 1."""
    if options.yes and not (options.install or options.uninstall):
        raise ProblemError("--yes goes with --install or --uninstall")
    if options.words and (options.install or options.uninstall or options.status or options.show is not None):
        raise ProblemError("a process goes without --show, --status, --install and --uninstall")
    if options.show is not None:
        return _show(options)
    if options.status or options.install or options.uninstall:
        return _set_up(options)
    from addrspace_gdb.shell.crash.handling import handle

    return handle(options)


def _print(lines: Iterable[str]) -> None:
    to_stdout(f"{line}\n".encode("utf-8", "surrogateescape") for line in lines)


def _show(options: argparse.Namespace) -> int:
    from addrspace_gdb.shell.crash.showing import newest, show

    _print(show(options.show or newest(place(options.folder))))
    return 0


def _set_up(options: argparse.Namespace) -> int:
    from addrspace_gdb.shell.crash import installing
    from addrspace_gdb.shell.crash.showing import status

    folder, kernel = place(options.folder), installing.Kernel()
    if options.status:
        _print(status(folder, kernel))
    elif options.uninstall:
        before = installing.uninstall(folder, kernel, options.yes)
        _print([f"kernel.{name} = {value}" for name, value in before._asdict().items()])
    else:
        wanted = installing.Wanted(
            folder, installing.handler_options(folder, _more(options)), options.forward
        )
        found = installing.plan(wanted, kernel)
        if options.yes:
            installing.install(found, wanted, kernel)
        _print(installing.lines(found, wanted))
        for warning in found.warnings:
            tell(warning)
    return 0


def _more(options: argparse.Namespace) -> List[str]:
    """The options of the handler that are not the usual ones."""
    found = ["--keep", str(options.keep)] if options.keep != KEEP else []
    found += ["--time", f"{options.time:g}"] if options.time != TIME else []
    return found + (["--forward"] if options.forward else [])
