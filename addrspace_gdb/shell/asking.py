"""One question from the shell: what is asked, checked beforehand, and the answer in files.

It is answered without a debugger, or by gdb or lldb if that is wanted, or if only a debugger can tell.
"""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from pathlib import Path
from typing import List, NamedTuple, Optional

from addrspace_gdb.commands import REPORTS, report
from addrspace_gdb.commands.options import HelpRequested
from addrspace_gdb.common import request as requests
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.common.progress import Progress
from addrspace_gdb.common.request import Request
from addrspace_gdb.common.streams import show_line, tell
from addrspace_gdb.process.elf import elf_type
from addrspace_gdb.shell.compressed import format_of, unpacked
from addrspace_gdb.shell.precheck import check_core, check_process
from addrspace_gdb.shell.processes import is_pid, number_of, resolved
from addrspace_gdb.shell.run_gdb import AnswerFiles, Debugger, find_gdb, run_gdb
from addrspace_gdb.shell.run_lldb import OLDEST, find_lldb, run_lldb
from addrspace_gdb.shell.stopping import PATIENCE, wait_stoppable


class Question(NamedTuple):
    """What is asked of a process or a core file."""

    target: str
    debugger: Optional[str] = None  # "gdb", "lldb" or "none"; None: as $ADDRSPACE_DEBUGGER says
    gdb: Optional[str] = None
    wait: float = PATIENCE
    exe: Optional[str] = None
    sysroot: Optional[str] = None
    format: str = "text"
    report: Optional[str] = None
    check: bool = False
    stacks: bool = False
    stats: bool = False
    ascii: bool = False
    width: int = 100
    height: Optional[int] = None
    color: bool = False


class Asked(NamedTuple):
    """A question that makes sense, and who is to answer it."""

    question: Question
    debugger: Debugger
    only: bool  # nobody else
    pid: Optional[int]  # a process, or
    core: str  # the absolute path of a core file


def check(question: Question) -> Asked:
    """Everything that can be refused without stopping anything is refused here: ProblemError."""
    wanted = _wanted(question)
    path = _debugger(wanted, question.gdb)
    pid, core, name = None, "", ""
    target = resolved(question.target)
    if is_pid(target):
        pid = number_of(target)
        name = check_process(pid)
    else:
        core = os.path.abspath(target)
        if format_of(core) is None:
            check_core(core)
    if question.stacks and (question.format != "json" or question.report):
        raise ProblemError("--stacks goes with --format json")
    if question.report is not None:
        _check_report(question)
    if question.exe and elf_type(question.exe) is None:
        raise ProblemError(f"{printable(question.exe)} is not an ELF executable")
    if question.sysroot and not os.path.isdir(question.sysroot):
        raise ProblemError(f"--sysroot: {printable(question.sysroot)} is not a directory")
    return Asked(question, Debugger(path, question.wait, name, wanted), bool(wanted), pid, core)


def _wanted(question: Question) -> str:
    """Who is to answer: "gdb", "lldb", "none", or "" for whoever can. What is typed goes before the rest."""
    wanted = question.debugger or ("gdb" if question.gdb else os.environ.get("ADDRSPACE_DEBUGGER", ""))
    if wanted not in ("", "gdb", "lldb", "none"):
        raise ProblemError(f"$ADDRSPACE_DEBUGGER: {printable(wanted)} is not gdb, lldb or none")
    if wanted in ("lldb", "none") and question.gdb:
        raise ProblemError(f"--gdb and --debugger {wanted} exclude each other")
    return wanted


def _debugger(wanted: str, path: Optional[str]) -> Optional[str]:
    """The path of the debugger that is wanted; None if that is none. ProblemError if it is not there."""
    if wanted == "lldb":
        lldb = find_lldb()
        if lldb is None:
            raise ProblemError("no lldb found; install it (pip install lldb-for-pwndbg)")
        return lldb
    return _gdb(path) if wanted == "gdb" else None


def _gdb(path: Optional[str]) -> str:
    gdb = find_gdb(path)
    if gdb is None:
        raise ProblemError("no gdb found; install it (apt-get install gdb, or: pip install gdb-for-pwndbg)")
    return gdb


def _check_report(question: Question) -> None:
    try:
        words = shlex.split(question.report or "")
    except ValueError as error:
        raise ProblemError(f"--report: {error}") from None
    if not words or words[0] not in REPORTS:
        raise ProblemError(f"--report: not one of {', '.join(REPORTS)}")
    name, _, line = (question.report or "").strip().partition(" ")
    with suppress(HelpRequested):  # which is an answer
        report(name).arguments(line)
    if question.format == "classic":
        raise ProblemError("--format classic is of the diagram, and does not go with --report")


def ask(asked: Asked, folder: Path) -> AnswerFiles:
    """Have the question answered; the answer's files are made in `folder`, which is private. ProblemError."""
    answer = AnswerFiles(folder)
    if asked.pid is not None:
        wait_stoppable(asked.pid, asked.debugger.name, asked.question.wait, tell)
        _run(asked, answer, None)
    elif format_of(asked.core) is None:
        _run(asked, answer, asked.core)
    else:
        warnings: List[str] = []
        with unpacked(asked.core, warnings.append, Progress(show_line), folder) as core:
            answer.rename(core, asked.core)
            _run(asked, answer, core)
        answer.add(warnings)
    return answer


def _run(asked: Asked, answer: AnswerFiles, core: Optional[str]) -> None:
    """Have it answered by whom it is for; where only debug information can tell, by a debugger, if there is
    one."""
    from addrspace_gdb.shell import vetting  # loads what most of the package stands on

    exe = os.path.abspath(asked.question.exe) if asked.question.exe else None
    if core is not None:
        exe = exe or vetting.recorded_program(core)
    if asked.debugger.path is not None:
        _by_debugger(asked, answer, core, exe)
        return
    try:
        from addrspace_gdb.shell.run_direct import NoLayoutsError, run_direct
    except ImportError as error:  # ctypes is an optional part of Python
        _instead(asked, answer, core, exe, f"this Python lacks {printable(str(error.name))}")
        return
    sysroot = os.path.abspath(asked.question.sysroot) if asked.question.sysroot else ""
    try:
        run_direct(asked.debugger, _request(asked, answer, core, exe, False), sysroot, answer)
    except NoLayoutsError as error:
        _instead(asked, answer, core, exe, str(error))


def _instead(asked: Asked, answer: AnswerFiles, core: Optional[str], exe: Optional[str], why: str) -> None:
    """Ask a debugger what cannot be told without: gdb, or lldb if there is no gdb. ProblemError if none may
    be asked, or is there."""
    from addrspace_gdb.commands.engine import none_begun

    none_begun()
    kind, path = "gdb", None if asked.only else find_gdb(None)
    if path is None and not asked.only:
        kind, path = "lldb", _usable_lldb()
    if path is None:
        needed = "gdb (--debugger gdb)" if asked.only else f"gdb, or lldb {OLDEST} or newer"
        raise ProblemError(f"{why}; it takes {needed}")
    answer.note(f"{why}: {kind} was asked")
    debugger = asked.debugger._replace(path=path, kind=kind)
    _by_debugger(asked._replace(debugger=debugger), answer, core, exe)


def _usable_lldb() -> Optional[str]:
    try:
        return find_lldb()
    except ProblemError:
        return None


def _by_debugger(asked: Asked, answer: AnswerFiles, core: Optional[str], exe: Optional[str]) -> None:
    if asked.debugger.kind == "lldb":
        run_lldb(asked.debugger, _request(asked, answer, core, exe, False), answer)
    else:
        _by_gdb(asked, answer, core, exe)


def _by_gdb(asked: Asked, answer: AnswerFiles, core: Optional[str], exe: Optional[str]) -> None:
    """Make ready what gdb opens, under fixed names in the private folder, and run it."""
    from addrspace_gdb.shell import vetting

    question, folder = asked.question, answer.folder
    sysroot = os.path.abspath(question.sysroot) if question.sysroot else None
    place = str(folder / "vetted")
    if core is not None:
        sysroot = vetting.vet_core(core, exe, sysroot, place)
        os.symlink(core, folder / requests.CORE)
    elif asked.pid is not None:
        sysroot = vetting.vet_process(asked.pid, exe, sysroot, place)
    if sysroot is not None:
        os.symlink(sysroot, folder / requests.SYSROOT)
    run_gdb(asked.debugger, _request(asked, answer, core, exe, sysroot is not None), answer)


_LONG = 45  # columns in the middle of a sentence


def _typed(asked: Asked) -> str:
    """The process or core as it may be typed again, with what else was given to read it."""
    question = asked.question
    words = [str(asked.pid) if asked.pid is not None else question.target]
    given = [("--exe", question.exe), ("--sysroot", question.sysroot), ("--gdb", question.gdb)]
    for option, value in (*given, ("--debugger", question.debugger if not question.gdb else None)):
        words += [option, value] if value else []
    typed = shlex.join(words)
    if typed.isprintable() and len(typed) <= _LONG:
        return typed
    return str(asked.pid) if asked.pid is not None else "CORE"


def _request(
    asked: Asked, answer: AnswerFiles, core: Optional[str], exe: Optional[str], sysroot: bool
) -> Request:
    question = asked.question
    return Request(
        pid=asked.pid,
        core=core,
        shown=asked.core or None,
        exe=exe,
        sysroot=sysroot,
        format=question.format,
        report=question.report,
        check=question.check,
        stacks=question.stacks,
        stats=question.stats,
        ascii=question.ascii,
        width=question.width,
        height=question.height,
        color=question.color,
        result=str(answer.result),
        problems=str(answer.problems),
        notes=str(answer.notes),
        typed=_typed(asked),
    )
