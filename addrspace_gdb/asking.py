"""One question to gdb from the shell: what is asked, checked beforehand, and the answer in files.

The environment variable ``ADDRSPACE_GDB_REQUEST`` holds a JSON object with what is asked for and the paths to
answer to, so nothing is ever quoted into a gdb command.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from .commands import REPORTS
from .launch import Answer, run_gdb, show_line
from .precheck import check_core, check_process, elf_type
from .problems import ProblemError
from .process.escape import printable
from .progress import Progress
from .unpack import format_of, unpacked


class Question(NamedTuple):
    """What is asked of a process or a core file; see `make_request`."""

    target: str
    exe: Optional[str] = None
    sysroot: Optional[str] = None
    format: str = "text"
    report: Optional[str] = None
    output: Optional[str] = None
    check: bool = False
    stacks: bool = False
    stats: bool = False
    ascii: bool = False
    width: int = 100
    color: bool = False


def make_request(question: Question) -> Dict[str, Any]:
    """What is asked of the gdb side, checked as far as can be without stopping anything. ProblemError.

    Keys: ``pid`` (int) or ``core`` (path), the other None; ``shown`` (the core's path as it is told);
    ``exe`` and ``sysroot`` (path or None); ``format`` ("text", "classic", "json"); ``report`` (a command and
    its options, or None); ``output`` (path or None, for information: the shell side writes it);
    ``check``, ``stacks``, ``stats``, ``ascii``, ``color`` (bool); ``width`` (columns). `ask` adds three
    files to answer to: ``result`` (the output, UTF-8), ``problems`` (one a line; shown on stderr),
    ``notes`` (lines for stderr that are not problems, such as statistics).
    """
    request = question._asdict()
    target, pid, core = request.pop("target"), None, None
    if is_pid(target):
        pid = int(target[:20])
        check_process(pid)
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
    for key in ("exe", "sysroot"):
        request[key] = os.path.abspath(request[key]) if request[key] else None
    return {**request, "pid": pid, "core": core, "shown": core}


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


def ask(gdb: str, request: Dict[str, Any], folder: Path) -> Tuple[Answer, int]:
    """Put `request` to the debugger `gdb`; the answer's files are made in `folder`. Returns them and 0, or
    what gdb ended with."""
    answer = Answer(folder)
    request = {
        **request,
        "result": str(answer.result),
        "problems": str(answer.problems),
        "notes": str(answer.notes),
    }
    if request["core"] is None or format_of(request["core"]) is None:
        return answer, run_gdb(gdb, request, answer)
    warnings: List[str] = []
    with unpacked(request["core"], warnings.append, Progress(show_line)) as core:
        status = run_gdb(gdb, {**request, "core": core}, answer)
    answer.edit(core, request["shown"], warnings)
    return answer, status or len(warnings)
