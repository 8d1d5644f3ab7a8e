"""A command: what reads its arguments, what asks, the forms of the answer, and whether all is well.

`ask` is all that runs while a process stands still. What it returns has everything that was read: the forms
and the verdict touch the process no more, which may run again by then.
"""

from __future__ import annotations

import argparse
import shlex
from itertools import chain
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

from addrspace_gdb.commands.options import HelpRequested, Parser
from addrspace_gdb.commands.session import Session, Settings
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.files import OutputFile
from addrspace_gdb.common.problems import CUT, ProblemError, UnreadableError
from addrspace_gdb.process.mapping_list import missing_of

NO_FILE_FOR_A_PAGE = "html: name a file for the page: --output FILE"


class Look(NamedTuple):
    """How an answer is to look."""

    screen: int  # columns of the terminal
    unicode: bool = True
    color: bool = False
    style: str = ""
    file: bool = False  # it goes to a file, where nothing is cut unless a width was asked for
    fixed: bool = False  # a width was asked for
    height: Optional[int] = None  # lines of the terminal; None: as many as it takes

    @property
    def width(self) -> Optional[int]:
        """Columns to cut at; None: nothing is cut."""
        return None if self.file and not self.fixed else self.screen


# What a command takes of the heap's graph, whose worker is started before anything stands still.
PLAIN_GRAPH, TYPED_GRAPH = "plain", "with types"

Form = Callable[[Any, Look], Iterable[str]]  # an answer as text, in pieces
Token = Tuple[Any, str]
Draw = Callable[[Any, Look], Iterable[Token]]


class Command(NamedTuple):
    """A command, under its name in the debugger."""

    name: str
    parser: Callable[[], Parser]
    ask: Callable[[Session, argparse.Namespace], Any]  # None: it has acted, and there is nothing to show
    forms: Mapping[str, Form]  # by what --format says
    verdict: Callable[[Any], Optional[str]]  # one line that says what is damaged, None if nothing is
    names: Optional[Callable[[Session], List[str]]] = None  # what completion offers of this session
    parse: Optional[Callable[[str], argparse.Namespace]] = None  # of lines that the parser alone cannot read
    graph: Optional[Callable[[argparse.Namespace], Optional[str]]] = None  # what it takes of the heap's graph
    words: Sequence[str] = ()  # what completion offers besides options and fixed choices
    values: Mapping[str, Sequence[str]] = {}  # what completion offers after an option, besides fixed choices
    lists: Mapping[str, Callable[[Session], List[str]]] = {}  # the same, of this session
    expressions: bool = False  # it takes expressions, whose symbols the debugger completes
    joined: Callable[[Sequence[str]], str] = shlex.join  # words of a shell as the line that `arguments` takes

    @property
    def help(self) -> str:
        """What `help COMMAND` says."""
        return self.parser().help_text()

    def form(self, name: str) -> Form:
        """The form that --format NAME asks for: `svg` is the text's tokens, drawn."""
        text = self.forms.get("text")
        if name == "svg" and name not in self.forms and isinstance(text, Drawn):
            return Pictured(self.name, text.draw)
        return self.forms[name]

    def arguments(self, line: str) -> argparse.Namespace:
        """What was typed after the command. ProblemError if it is wrong, HelpRequested if that is wanted."""
        if line.split()[:1] in (["-h"], ["--help"]):  # no expression begins like that
            raise HelpRequested(self.help)
        return self.parse(line) if self.parse is not None else self.parser().parse_line(line)


class Task:
    """A command with its arguments: first asked, while the process stands still, then shown."""

    def __init__(self, command: Command, session: Session, arguments: argparse.Namespace) -> None:
        """ProblemError if the output file cannot be written."""
        self._command, self._session, self._arguments = command, session, arguments
        self._output: Optional[str] = arguments.output
        self._answer: Any = None
        self._first = ""  # said before the answer
        self._pieces: Optional[List[str]] = None  # of the text, once it was drawn
        if self._output is not None:
            OutputFile(self._output)
        elif arguments.format == "html" and session.settings.terminal:
            raise ProblemError(NO_FILE_FOR_A_PAGE)

    def ask(self) -> None:
        """Everything that needs the process. ProblemError and UnreadableError if there is no answer."""
        try:
            self._answer = self._command.ask(self._session, self._arguments)
        except (ProblemError, UnreadableError) as error:
            cut = self._cut()
            if not cut:
                raise
            reason = str(error).partition(f": {CUT}")[0]
            raise ProblemError(f"{cut}; {reason}") from None
        if self._answer is not None and self._arguments.format == "text":
            self._first = self._cut()

    def _cut(self) -> str:
        """What is said before all else of a core that lacks a part of itself: empty for one that does not."""
        try:
            missing = missing_of(self._session.target())
        except (ProblemError, UnreadableError):
            return ""
        return f"{CUT}: {missing:,} bytes of it are missing" if missing else ""

    def draw(self) -> None:
        """Make all of the text now: what `show` would do while it delivers it."""
        if self._answer is not None:
            self._pieces = list(self._pieces_of())

    def _pieces_of(self) -> Iterable[str]:
        look = asked_look(look_of(self._session.settings, self._output is not None), self._arguments)
        pieces = self._command.form(self._arguments.format)(self._answer, look)
        first = f"{self._first}; what follows is what the rest tells\n"
        return chain([first], pieces) if self._first else pieces

    def show(self) -> Optional[str]:
        """Draw and deliver the answer; what is damaged."""
        if self._answer is None:
            return None
        pieces = self._pieces_of() if self._pieces is None else self._pieces
        if self._output is None:
            self._session.write(pieces)
        else:
            OutputFile(self._output).write(piece.encode("utf-8", "surrogateescape") for piece in pieces)
            if self._session.settings.height is not None:  # somebody looks
                self._session.write([f"written to {printable(self._output)}\n"])
        return self._command.verdict(self._answer)


def run(command: Command, session: Session, line: str) -> Optional[str]:
    """Answer what was typed after the command; what is damaged."""
    task = Task(command, session, command.arguments(line))
    task.ask()
    return task.show()


def look_of(settings: Settings, file: bool) -> Look:
    """How an answer looks by the settings, on the terminal or in a file."""
    height = None if file else settings.height
    color = settings.color and not file
    return Look(settings.width, settings.unicode, color, settings.style, file, height=height)


def asked_look(look: Look, arguments: argparse.Namespace) -> Look:
    """The same with what was asked for in the command itself."""
    if arguments.width is not None:
        look = look._replace(screen=arguments.width, fixed=True)
    if arguments.color != "auto":
        look = look._replace(color=arguments.color == "on")
    return look._replace(unicode=look.unicode and not arguments.ascii)


class Drawn:
    """The form of a view, which gives tokens: text, coloured where that is wanted."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw

    def __call__(self, answer: Any, look: Look) -> Iterator[str]:
        """The text, in pieces."""
        from addrspace_gdb.views.kit.render import render

        if look.color:
            yield render(self.draw(answer, look), True, look.style)
        else:
            yield from (text for _, text in self.draw(answer, look))


class Pictured:
    """The same as an SVG: as it looks on a screen, also in a file."""

    def __init__(self, title: str, draw: Draw) -> None:
        self._title, self._draw = title, draw

    def __call__(self, answer: Any, look: Look) -> Iterator[str]:
        """The picture, in pieces."""
        from addrspace_gdb.views.kit.render import DEFAULT_STYLE
        from addrspace_gdb.views.kit.svg import svg

        tokens = self._draw(answer, look._replace(file=False, height=None))
        return svg(tokens, self._title, look.style or DEFAULT_STYLE)


def drawn(draw: Draw) -> Form:
    """The form of a view."""
    return Drawn(draw)


def document(make: Callable[[Any], Dict[str, Any]]) -> Form:
    """The form of a JSON document."""

    def form(answer: Any, _look: Look) -> Iterable[str]:
        from addrspace_gdb.views.documents.form import pieces

        return pieces(make(answer))

    return form


def first_of(wrong: Iterable[str]) -> Optional[str]:
    """The verdict on everything that is wrong: one line, which counts what it does not say."""
    lines: Sequence[str] = list(wrong)
    if len(lines) < 2:
        return next(iter(lines), None)
    return f"{lines[0]} (and {len(lines) - 1} more)"
