"""Where the samples of ``addrspace-gdb watch`` go: lines of text or JSON to standard output, JSON lines into
a file, or a file for Prometheus that each sample replaces."""

from __future__ import annotations

import argparse
import shutil
from itertools import chain
from typing import Iterable, NamedTuple, Optional

from addrspace_gdb.commands.command import Look
from addrspace_gdb.common.files import OutputFile
from addrspace_gdb.common.line_file import LineFile
from addrspace_gdb.common.streams import speaks_unicode, stdout_is_terminal, to_stdout
from addrspace_gdb.shell.answering import colored
from addrspace_gdb.shell.watching import ReaderGone
from addrspace_gdb.space.moments.watched import Moment
from addrspace_gdb.views import watched
from addrspace_gdb.views.documents.watched import watched_line
from addrspace_gdb.views.kit.render import DEFAULT_STYLE, render
from addrspace_gdb.views.kit.tokens import Pair
from addrspace_gdb.views.openmetrics import exposition
from addrspace_gdb.views.watch_verdict import sentence

_WIDEST = 220


class WatchAnswers:
    """Where lines go as they come."""

    def __init__(self, options: argparse.Namespace, output: Optional[OutputFile]) -> None:
        self._metrics = output if options.format == "openmetrics" else None
        self._lines = LineFile(options.output) if output is not None and self._metrics is None else None
        self._json = options.format == "json" and output is None
        self._text = options.format == "text"
        self._every, self._until = options.every, options.until
        self._look = _look(options)

    def begin(self, moment: Moment) -> None:
        """Before the first sample is told."""
        if self._text:
            width, unicode = self._look.screen, self._look.unicode
            first = watched.head(moment, self._every, self._until, width, unicode)
            self._print(chain(first, watched.Columns(width).heading(unicode)))

    def sample(self, moment: Moment) -> None:
        """A sample was taken. ProblemError."""
        self._machine(moment, None)
        if self._text:
            self._print(watched.Columns(self._look.screen).sample(moment.watched, self._look.unicode))

    def end(self, moment: Moment) -> None:
        """There will be no further one. ProblemError."""
        self._machine(moment, sentence(moment))
        if not self._json and (self._text or self._metrics is not None):
            self._print(watched.ending(moment, self._look.screen, self._look.unicode))

    def _machine(self, moment: Moment, verdict: Optional[str]) -> None:
        """What programs read."""
        if self._metrics is not None:
            self._metrics.write([exposition(moment).encode()])
        elif self._lines is not None or self._json:
            line = watched_line(moment, verdict).encode()
            if self._lines is not None:
                self._lines.write(line)
            else:
                self._out(line)

    def _print(self, text: Iterable[Pair]) -> None:
        shown = render(text, self._look.color, DEFAULT_STYLE)
        self._out(shown.encode("utf-8" if self._look.unicode else "ascii", "backslashreplace"))

    def _out(self, data: bytes) -> None:
        if not to_stdout([data]):
            raise ReaderGone


def _look(options: argparse.Namespace) -> Look:
    terminal = shutil.get_terminal_size((100, 24)).columns if stdout_is_terminal() else 100
    width = options.width or min(_WIDEST, max(40, terminal))
    return Look(width, speaks_unicode() and not options.ascii, colored(_Colored(options.color)))


class _Colored(NamedTuple):
    """What `colored` asks: text goes to standard output, also where JSON goes to a file."""

    color: str
    output: Optional[str] = None
