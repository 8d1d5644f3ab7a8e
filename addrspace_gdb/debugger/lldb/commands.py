"""Commands as lldb sees them. lldb hands over what follows a command's name as it was typed."""

from __future__ import annotations

import shlex
import sys
import traceback
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence

from addrspace_gdb.commands import ListedCommand, commands, goroutine_args, loaded
from addrspace_gdb.commands.command import Command, run
from addrspace_gdb.commands.options import HelpRequested, filled, split
from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.debugger.lldb.api import answer_of
from addrspace_gdb.debugger.lldb.completion import MOST, Completed, can_be, lldbs_offers, words_of
from addrspace_gdb.debugger.lldb.help_texts import APPLY_HELP, HELP
from addrspace_gdb.debugger.lldb.interrupts import interruptible
from addrspace_gdb.debugger.lldb.parameters import following, help_text
from addrspace_gdb.debugger.lldb.session import LldbSession, put, typed_commands
from addrspace_gdb.debugger.lldb.words import as_typed, in_lldb
from addrspace_gdb.debugger.shared.completing import goroutine_offers, may_be_symbol, offers, symbols
from addrspace_gdb.debugger.shared.telling import is_internal, named, told

if TYPE_CHECKING:
    from addrspace_gdb.debugger.lldb.goroutines import Goroutines

_PREFIX = "addrspace"
_SHOW = "addrspace set debug on"
_sessions: Dict[int, LldbSession] = {}
_goroutines: Dict[int, Goroutines] = {}  # by the session's id


def register(debugger: Any) -> None:
    """Make the commands known to one of lldb's debuggers. Doing it twice is harmless."""
    answer_of(f"script import {_MODULE}", debugger)  # where lldb looks for the classes
    for made in _OURS:
        how = "--parsed --class" if issubclass(made, Completed) and can_be() else "--class"
        answer_of(f"command script add --overwrite {how} {_MODULE}.{made.__name__} {made.name}", debugger)


def session_of(debugger: Any) -> LldbSession:
    """The one session of a debugger."""
    return _sessions.setdefault(int(debugger.GetID()), LldbSession(debugger))


def guarded(session: LldbSession, result: Any, run_it: Callable[[], Optional[str]]) -> None:
    """Run a command; what it returns is damaged, and whatever goes wrong is one line: both make it fail."""
    try:
        with interruptible(), no_cycle_collection():
            damaged = run_it()
        if damaged:
            result.SetError(in_lldb(named(damaged)))
    except HelpRequested as text:
        put(result, in_lldb(str(text)))
    except KeyboardInterrupt:
        result.SetError("addrspace: interrupted")
    except Exception as error:  # noqa: BLE001  whatever it is, it is said in one line
        _fail(session, result, error)


def _fail(session: LldbSession, result: Any, error: Exception) -> None:
    try:
        line = told(error, _SHOW)
    except KeyboardInterrupt:
        line = "addrspace: interrupted"
    if is_internal(error) and session.parameters["debug"] == "on":
        traceback.print_exc(file=sys.stderr)
    result.SetError(in_lldb(line).encode("utf-8", "backslashreplace").decode())


class _Command:
    """One command of ours: lldb makes the object, and calls it."""

    name = ""

    def __init__(self, debugger: Any, _internal: Any) -> None:
        self._session = session_of(debugger)

    def __call__(self, debugger: Any, typed: Any, _context: Any, result: Any) -> None:
        """Run it; `typed` is what follows its name, as one string or as words."""

        def answer() -> Optional[str]:
            self._session.use(debugger, result)
            return self.run(typed if isinstance(typed, str) else self.line_of(words_of(typed)))

        guarded(self._session, result, answer)

    def run(self, line: str) -> Optional[str]:
        """Answer what was typed after the name; what is damaged."""
        return run(_command(self.name), self._session, line)

    def line_of(self, words: Sequence[str]) -> str:
        """Words as `run` takes them."""
        return _command(self.name).joined(words)

    def offers(self, before: List[str]) -> List[str]:
        """What the last of the words may become."""
        return _offers(_command(self.name), self._session, before)

    def get_short_help(self) -> str:
        """The line in lldb's list of commands."""
        return self.get_long_help().partition("\n")[0]

    def get_long_help(self) -> str:
        """What `help COMMAND` says."""
        return in_lldb(_listed()[self.name].help)


class AddrspaceCommand(_Command, Completed):
    """`addrspace`, and all that begins with that word."""

    name = _PREFIX

    def run(self, line: str) -> Optional[str]:
        """`line` may begin with the rest of another command's name."""
        word, _, rest = line.strip().partition(" ")
        if f"{_PREFIX} {word}" in _listed():
            return run(_command(f"{_PREFIX} {word}"), self._session, rest)
        if word in ("set", "show"):
            self._parameters(word, rest)
            return None
        return super().run(line)

    def line_of(self, words: Sequence[str]) -> str:
        """Words as `run` takes them."""
        name = f"{_PREFIX} {words[0]}" if words else ""
        if name in _listed():
            return f"{words[0]} {_command(name).joined(words[1:])}"
        return shlex.join(words) if words[:1] in (["set"], ["show"]) else super().line_of(words)

    def offers(self, before: List[str]) -> List[str]:
        """The rest of other commands' names too, and parameters."""
        first, current = before[0], before[-1]
        if len(before) == 1:
            under = [name.partition(" ")[2] for name in _listed() if name.startswith(f"{_PREFIX} ")]
            names = [name for name in (*under, "set", "show") if name.startswith(current)]
            return list(dict.fromkeys(names + super().offers(before)))
        if first in ("set", "show"):
            return [word for word in following(before[:-1]) if word.startswith(current)]
        name = f"{_PREFIX} {first}"
        return (
            _offers(_command(name), self._session, before[1:])
            if name in _listed()
            else super().offers(before)
        )

    def _parameters(self, verb: str, rest: str) -> None:
        words = split(rest)
        if words[:1] in (["-h"], ["--help"]):
            raise HelpRequested(help_text(verb))
        if verb == "set":
            self._session.parameters.set(words)
        else:
            self._session.write([self._session.parameters.show(words)])

    def get_long_help(self) -> str:
        """The diagram's help, with what else begins with the word."""
        names = [name for name in _listed() if name.startswith(f"{_PREFIX} ")]
        first = {name: in_lldb(_listed()[name].help).partition("\n")[0] for name in names}
        listed = filled("\n".join(f"  {name:20} {text}" for name, text in first.items()))
        return f"{super().get_long_help()}\nEach has its own help (`addrspace rss --help`):\n\n{listed}\n"


class StacksCommand(_Command, Completed):
    """`goroutine-stacks`."""

    name = "goroutine-stacks"


class GoroutineCommand(_Command, Completed):
    """`goroutine`."""

    name = "goroutine"
    text = HELP
    own: Sequence[str] = ("all", "--off")  # words that may follow

    def run(self, line: str) -> Optional[str]:
        """Show or select one."""
        self._goroutines.select(line)
        return None

    def line_of(self, words: Sequence[str]) -> str:
        """As they were typed: a command of lldb's own may be among them."""
        return as_typed(words, typed_commands(self._session.debugger))

    def offers(self, before: List[str]) -> List[str]:
        """Goroutines and what chooses them, then lldb's commands."""
        known = [*self.own, *self._goroutines.goids()]
        lldbs = partial(lldbs_offers, self._session.debugger)
        return goroutine_offers(" ".join(before), known, lldbs)[0][:MOST]

    @property
    def _goroutines(self) -> Goroutines:
        from addrspace_gdb.debugger.lldb.goroutines import Goroutines

        return _goroutines.setdefault(id(self._session), Goroutines(self._session))

    def get_long_help(self) -> str:
        """What `help` says."""
        return self.text


class ApplyCommand(GoroutineCommand):
    """`goroutine-apply`."""

    name = "goroutine-apply"
    text = APPLY_HELP
    own = goroutine_args.words()

    def run(self, line: str) -> Optional[str]:
        """Run a command for each."""
        self._goroutines.apply(line)
        return None


def _command(name: str) -> Command:
    return loaded(_listed()[name].module)


def _offers(command: Command, session: LldbSession, before: List[str]) -> List[str]:
    found = offers(command, session, before)
    if not found and may_be_symbol(command, before):
        found = symbols(session, before[-1])
    return [offer.strip('"') for offer in found]  # lldb puts its own quotes around what has blanks


def _listed() -> Dict[str, ListedCommand]:
    if not _known:
        _known.update({command.name: command for command in commands()})
    return _known


_known: Dict[str, ListedCommand] = {}
_MODULE = __name__
_OURS = (AddrspaceCommand, StacksCommand, GoroutineCommand, ApplyCommand)
