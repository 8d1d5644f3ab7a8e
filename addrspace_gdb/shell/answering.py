"""An answer from the shell's side: how it is to look, where it goes, and what is told of it."""

from __future__ import annotations

import os
import shutil
from typing import Any, Iterable, List, Optional

from addrspace_gdb.common.files import OutputFile
from addrspace_gdb.common.folders import PrivateFolder
from addrspace_gdb.common.streams import chunks, speaks_unicode, stdout_is_terminal, to_stdout
from addrspace_gdb.shell.asking import Question, ask, check


def question_of(options: Any) -> Question:
    """What was typed, and how the answer is to look where it goes."""
    given = {name: getattr(options, name) for name in Question._fields if hasattr(options, name)}
    given["ascii"] = options.ascii or (not options.output and not speaks_unicode())
    screen = shutil.get_terminal_size((100, 24))
    given["width"] = options.width or min(100, max(40, screen.columns))
    given["height"] = screen.lines if stdout_is_terminal() and not options.output else None
    return Question(**{**given, "color": colored(options)})


def answered(question: Question, path: Optional[str]) -> int:
    """Ask, and write the answer to the file `path` or to standard output; returns 0 or 1.

    Everything that can be refused is refused before anything is stopped: ProblemError.
    """
    asked = check(question)
    inputs: List[str] = [one for one in (asked.core, question.exe) if one]
    output = OutputFile(path, inputs) if path else None
    with PrivateFolder() as folder:
        answer = ask(asked, folder)
        if answer.has_result:
            with open(answer.result, "rb") as result:
                put(chunks(result), output)
        answer.tell()
        return 1 if answer.failed else 0


def put(pieces: Iterable[bytes], output: Optional[OutputFile]) -> None:
    """Write the answer where it belongs."""
    if output is not None:
        output.write(pieces)
    else:
        to_stdout(pieces)


def colored(options: Any) -> bool:
    """Whether the answer has colours: as --color says, else at a terminal that shows them."""
    if options.color != "auto":
        return bool(options.color == "on")
    tty = stdout_is_terminal() and not options.output
    return tty and not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in (None, "", "dumb")
