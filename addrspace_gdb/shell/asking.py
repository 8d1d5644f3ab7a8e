"""One question to gdb from the shell: what is asked, checked beforehand, and the answer in files."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import List, NamedTuple, Optional

from addrspace_gdb.commands import REPORTS
from addrspace_gdb.common import request as requests
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.common.progress import Progress
from addrspace_gdb.common.request import Request
from addrspace_gdb.common.streams import show_line, tell
from addrspace_gdb.process.elf import elf_type
from addrspace_gdb.shell.compressed import format_of, unpacked
from addrspace_gdb.shell.precheck import check_core, check_process
from addrspace_gdb.shell.run_gdb import Answer, Debugger, find_gdb, run_gdb
from addrspace_gdb.shell.stopping import PATIENCE, wait_stoppable


class Question(NamedTuple):
    """What is asked of a process or a core file."""

    target: str
    debugger: Optional[str] = (
        None  # "gdb" or "none"; None: as $ADDRSPACE_DEBUGGER says, else gdb if there is one
    )
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
    color: bool = False


class Asked(NamedTuple):
    """A question that makes sense, and the debugger to put it to."""

    question: Question
    debugger: Debugger
    pid: Optional[int]  # a process, or
    core: str  # the absolute path of a core file


def check(question: Question) -> Asked:
    """Everything that can be refused without stopping anything is refused here: ProblemError."""
    gdb = _debugger(question)
    pid, core, name = None, "", ""
    if is_pid(question.target):
        pid = int(question.target[:20])
        name = check_process(pid)
    else:
        core = os.path.abspath(question.target)
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
    return Asked(question, Debugger(gdb, question.wait, name), pid, core)


def _debugger(question: Question) -> Optional[str]:
    """The gdb to run; None if the shell is to do without. What is typed goes before the environment."""
    wanted = question.debugger or ("gdb" if question.gdb else os.environ.get("ADDRSPACE_DEBUGGER"))
    if wanted not in (None, "", "gdb", "none"):
        raise ProblemError(f"$ADDRSPACE_DEBUGGER: {printable(wanted)} is not gdb or none")
    if wanted == "none":
        if question.gdb:
            raise ProblemError("--gdb and --debugger none exclude each other")
        return None
    gdb = find_gdb(question.gdb)
    if gdb is None and wanted == "gdb":
        raise ProblemError("no gdb found; install it (apt-get install gdb, or: pip install gdb-for-pwndbg)")
    return gdb


def is_pid(text: str) -> bool:
    """Whether a process is meant, and not a file."""
    return text.isascii() and text.isdecimal()


def _check_report(question: Question) -> None:
    try:
        words = shlex.split(question.report or "")
    except ValueError as error:
        raise ProblemError(f"--report: {error}") from None
    if not words or words[0] not in REPORTS:
        raise ProblemError(f"--report: not one of {', '.join(REPORTS)}")
    if question.check or question.format == "classic":
        raise ProblemError("--check and --format classic are of the diagram, and do not go with --report")


def ask(asked: Asked, folder: Path) -> Answer:
    """Put the question to gdb; the answer's files are made in `folder`, which is private. ProblemError."""
    answer = Answer(folder)
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


def _run(asked: Asked, answer: Answer, core: Optional[str]) -> None:
    """Make ready what gdb opens, under fixed names in the private folder, and run it."""
    from addrspace_gdb.shell import vetting  # loads what most of the package stands on

    question, folder = asked.question, answer.folder
    exe = os.path.abspath(question.exe) if question.exe else None
    sysroot = os.path.abspath(question.sysroot) if question.sysroot else None
    place = str(folder / "vetted")
    if core is not None:
        exe = exe or vetting.recorded_program(core)
    if asked.debugger.path is None:
        pass  # the shell opens nothing but files
    elif core is not None:
        sysroot = vetting.vet_core(core, exe, sysroot, place)
        os.symlink(core, folder / requests.CORE)
    elif asked.pid is not None:
        sysroot = vetting.vet_process(asked.pid, exe, sysroot, place)
    if sysroot is not None and asked.debugger.path is not None:
        os.symlink(sysroot, folder / requests.SYSROOT)
    request = Request(
        pid=asked.pid,
        core=core,
        shown=asked.core or None,
        exe=exe,
        sysroot=sysroot is not None,
        format=question.format,
        report=question.report,
        check=question.check,
        stacks=question.stacks,
        stats=question.stats,
        ascii=question.ascii,
        width=question.width,
        color=question.color,
        result=str(answer.result),
        problems=str(answer.problems),
        notes=str(answer.notes),
    )
    if asked.debugger.path is not None:
        run_gdb(asked.debugger, request, answer)
        return
    from addrspace_gdb.shell.run_direct import run_direct

    run_direct(asked.debugger, request, sysroot or "", answer)
