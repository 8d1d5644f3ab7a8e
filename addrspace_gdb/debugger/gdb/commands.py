"""Commands and parameters, as gdb sees them."""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple, Union

import gdb

from addrspace_gdb.commands import ListedCommand, commands, loaded
from addrspace_gdb.commands.command import run
from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.debugger.gdb import functions, goroutine_commands
from addrspace_gdb.debugger.gdb.aliases import Aliases
from addrspace_gdb.debugger.gdb.completion import complete
from addrspace_gdb.debugger.gdb.session import GdbSession, guarded

_registered: List[object] = []
# Written down, for Pygments is loaded when something is coloured, and not with gdb.
STYLES = (
    *("quiet", "abap", "algol", "algol_nu", "arduino", "autumn", "borland", "bw", "coffee", "colorful"),
    *("default", "dracula", "emacs", "friendly", "friendly_grayscale", "fruity", "github-dark"),
    *("gruvbox-dark", "gruvbox-light", "igor", "inkpot", "lightbulb", "lilypond", "lovelace", "manni"),
    *("material", "monokai", "murphy", "native", "night-owl", "nord", "nord-darker", "one-dark"),
    *("paraiso-dark", "paraiso-light", "pastie", "perldoc", "rainbow_dash", "rrt", "sas", "solarized-dark"),
    *("solarized-light", "staroffice", "stata-dark", "stata-light", "tango", "trac", "vim", "vs"),
    *("xcode", "zenburn"),
)


def register() -> None:
    """Make the commands and parameters known to gdb. Doing it twice is harmless."""
    if _registered:
        return
    _registered.extend(_parameters())
    kept, known = GdbSession(), commands()
    made: Dict[str, gdb.Command]
    prefixes = {command.name for command in known if any(_under(command, c) for c in known)}
    _registered.append(kept)
    made = {command.name: _GdbCommand(command, kept, command.name in prefixes) for command in known}
    _registered.extend([made, Aliases(made)])
    goroutine_commands.register(kept)
    functions.register(kept)


def session() -> GdbSession:
    """The session of the commands that gdb knows. ProblemError before they are registered."""
    found = [one for one in _registered if isinstance(one, GdbSession)]
    if not found:
        raise ProblemError("addrspace-gdb is not loaded in this gdb")
    return found[0]


def _under(prefix: ListedCommand, command: ListedCommand) -> bool:
    return command.name.startswith(prefix.name + " ")


class _GdbCommand(gdb.Command):
    """One command of ours."""

    def __init__(self, command: ListedCommand, session: GdbSession, prefix: bool) -> None:
        self.__doc__ = command.help
        self._module = command.module
        self._session = session
        super().__init__(command.name, gdb.COMMAND_STATUS, prefix=prefix)

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Run it; what is damaged makes the command fail after everything was shown."""
        with no_cycle_collection():
            damaged = guarded(self._run, argument)
        if damaged:
            raise gdb.GdbError(f"addrspace: {damaged}")

    def _run(self, argument: str) -> Optional[str]:
        return run(loaded(self._module), self._session, argument)

    def complete(self, text: str, word: Optional[str]) -> Union[List[str], int]:
        """See `complete`."""
        return complete(loaded(self._module), self._session, text, word)


def _parameters() -> Tuple[gdb.Parameter, ...]:
    gdb_prefixes = (_Prefix("set addrspace", "set"), _Prefix("show addrspace", "show"))
    _registered.extend(gdb_prefixes)
    return (
        _Choice("unicode", ("auto", "on", "off"), "Draw with Unicode characters; off draws in ASCII."),
        _Choice("color", ("auto", "on", "off"), "Colour the output; auto follows `set style enabled`."),
        _Style(),
        _Number("width", "Columns of the output; 0 follows `set width`."),
        _Switch(
            "aliases", "Whether vmmap, goroutines and `info goroutines` are commands of addrspace-gdb.", True
        ),
        _Switch("debug", "Show Python's traceback of internal errors."),
    )


class _Prefix(gdb.Command):
    def __init__(self, name: str, verb: str) -> None:
        self.__doc__ = f"{'Change' if verb == 'set' else 'Show'} how addrspace output looks."
        super().__init__(name, gdb.COMMAND_NONE, prefix=True)
        self._verb = verb

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Without a parameter: list them."""
        for parameter in _registered:
            if isinstance(parameter, _Base):
                gdb.write(parameter.get_show_string(_as_shown(parameter.value)) + "\n")


class _Base(gdb.Parameter):
    def __init__(self, name: str, kind: int, text: str, choices: Optional[Tuple[str, ...]] = None) -> None:
        self.set_doc = self.show_doc = text
        self.__doc__ = text
        self._name = name
        if choices is None:
            super().__init__(f"addrspace {name}", gdb.COMMAND_STATUS, kind)
        else:
            super().__init__(f"addrspace {name}", gdb.COMMAND_STATUS, kind, choices)

    def get_set_string(self) -> str:
        """Setting says nothing."""
        return ""

    def get_show_string(self, value: str) -> str:
        """One line."""
        return f"addrspace {self._name}: {value}"


def _as_shown(value: object) -> str:
    """A parameter's value as `show` has it."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


class _Choice(_Base):
    def __init__(self, name: str, choices: Tuple[str, ...], text: str) -> None:
        super().__init__(name, gdb.PARAM_ENUM, text, choices)
        self.value = choices[0]


class _Style(_Choice):
    """The styles that come with Pygments; which of them its version has is seen when one is chosen."""

    def __init__(self) -> None:
        super().__init__("style", STYLES, "Pygments style of coloured output.")
        self._last = self.value

    def get_set_string(self) -> str:
        """Refuses an unknown one, and keeps what was set before."""
        from addrspace_gdb.views.kit.render import find_style

        try:
            find_style(str(self.value))
        except ProblemError as error:
            self.value = self._last
            raise gdb.GdbError(f"addrspace: {error}") from None
        self._last = self.value
        return ""


class _Number(_Base):
    def __init__(self, name: str, text: str) -> None:
        super().__init__(name, gdb.PARAM_ZUINTEGER, text)
        self.value = 0


class _Switch(_Base):
    def __init__(self, name: str, text: str, value: bool = False) -> None:
        super().__init__(name, gdb.PARAM_BOOLEAN, text)
        self.value = value
