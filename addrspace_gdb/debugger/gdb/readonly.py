"""While anything of ours runs, gdb itself is told to refuse what would change the inferior.

`read_only` is around every way into our code: commands, functions, completion, hooks, and the whole visit of
`addrspace-gdb dump`, from before it attaches until it has let go. `users_own` is around the one thing in it
that is the user's: the command of `goroutine GOID CMD` and `goroutine-apply`.

While there is a process gdb 13 refuses `may-write-registers` (18 takes it), and 13 and 18 refuse
`may-insert-breakpoints`. The latter is left alone: with `may-write-memory` off no breakpoint gets into
memory. Where the former cannot be had, what an expression assigns to is looked at before it is evaluated.
Before an attach all can be had.
"""

from __future__ import annotations

import os
import re
from typing import List, Optional, Tuple, Type

import gdb

from addrspace_gdb.debugger.gdb.text import output_of

_PERMISSIONS = ("may-write-memory", "may-write-registers", "may-call-functions")

# What gdb 12 to 18 says of an expression that was stopped (gdb/target.c, gdb/infcall.c), and in our words.
_REFUSED = (
    ("Writing to memory is not allowed", "it would write memory"),
    ("Writing to registers is not allowed", "it would write a register"),
    ("may-call-functions is off", "it would call a function of the program"),
    ("You can't do that without a process to debug", "it would write a register"),  # of a core
)
RUNS = "it would run a program"
ONLY_READS = "and addrspace only reads"

_QUOTED = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")
# A left side that is one name with a $, and an operator that assigns: =, :=, += ..., ++ and --.
_ASSIGNMENT = re.compile(
    r"(?P<before>\$\w+)?\s*(?P<operator>\+\+|--|<<=|>>=|[-+*/%&|^@:]=|(?<![=!<>])=)(?!=)\s*(?P<after>\$\w+)?"
)
_STEPS = ("++", "--")
# gdb's names of registers that an architecture's list lacks (gdb/std-regs.c).
_STANDARD = ("pc", "sp", "fp", "ps")
_SHELL = re.compile(r"\$_shell\b")
_NOTHING = "/bin/true"  # what `$_shell` is given to run


class _Permissions:
    """What gdb is told, and what the user had; both survive an interrupt at any point."""

    def __init__(self) -> None:
        self.locked = False
        self._taken: List[str] = []  # those that were on, and that we turned off
        gdb.events.before_prompt.connect(self._prompt)

    def switch(self, locked: bool) -> None:
        """Take the permissions, or give back those that were taken. An interrupt comes after it is done."""
        interrupt: Optional[KeyboardInterrupt] = None
        while True:
            try:
                self._take() if locked else self._give_back()
                self.locked = locked
                break
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt

    def _take(self) -> None:
        for name in _PERMISSIONS:
            if name in self._taken or not gdb.parameter(name):
                continue
            self._taken.append(name)
            if not _set(name, "off"):
                self._taken.remove(name)

    def _give_back(self) -> None:
        for name in list(self._taken):
            if _set(name, "on"):
                self._taken.remove(name)

    def _prompt(self, event: object = None) -> None:
        """Nothing of ours runs at a prompt: what an interrupt kept us from giving back is given back."""
        if self.locked or self._taken:
            self.switch(False)


def _set(name: str, value: str) -> bool:
    """Whether gdb took it; some of them it does not while there is a process."""
    try:
        output_of(f"set {name} {value}")
    except gdb.error:
        return False
    return True


_permissions = _Permissions()


class _Phase:
    """A block in which the permissions are taken, or the user's; after it they are as before it."""

    def __init__(self, locked: bool) -> None:
        self._locked, self._before = locked, False

    def __enter__(self) -> None:
        self._before = _permissions.locked
        try:
            _permissions.switch(self._locked)
        except KeyboardInterrupt:
            _permissions.switch(self._before)
            raise

    def __exit__(self, kind: Optional[Type[BaseException]], error: object, trace: object) -> None:
        _permissions.switch(self._before)


def read_only() -> _Phase:
    """A block in which gdb writes no memory and no register of the inferior and calls no function of it."""
    return _Phase(True)


def users_own() -> _Phase:
    """A block inside `read_only` in which the user's own settings hold: for a command that is the user's."""
    return _Phase(False)


def refusal(error: Exception) -> Optional[str]:
    """What an expression would have done that gdb refused; None for any other error."""
    text = str(error)
    return next((ours for theirs, ours in _REFUSED if theirs in text), None)


def would_do(expression: str) -> Optional[str]:
    """What `expression` would do that gdb cannot be told to refuse; None if that is nothing.

    To be asked inside `read_only`. Convenience variables may be assigned to: they are gdb's own.
    """
    bare = _QUOTED.sub(" 0 ", expression)
    if _SHELL.search(bare):
        return RUNS
    if gdb.parameter("may-write-registers") and any(_writes(found) for found in _ASSIGNMENT.finditer(bare)):
        return "it would write memory or a register"
    return None


def _writes(found: re.Match[str]) -> bool:
    before, after = found.group("before"), found.group("after")
    name = before or (after if found.group("operator") in _STEPS else None)
    return name is None or name[1:] in _registers()


def _registers() -> List[str]:
    known = gdb.selected_inferior().architecture().registers()
    return [*(str(register.name) for register in known), *_STANDARD]


class NoPrograms:
    """A block in which `$_shell` runs nothing, whatever name it goes by.

    gdb (14 and newer; no other function of 13 to 18 runs a program) hands its argument to $SHELL. The name
    may be hidden: in the value history, or in a macro of C, which the program's debug information may define.
    """

    def __enter__(self) -> NoPrograms:
        self._shell = os.environ.get("SHELL")
        self._children = _children()
        os.environ["SHELL"] = _NOTHING
        return self

    @property
    def tried(self) -> bool:
        """Whether something in the block would have run a program."""
        return _children() != self._children

    def __exit__(self, kind: Optional[Type[BaseException]], error: object, trace: object) -> None:
        if self._shell is None:
            os.environ.pop("SHELL", None)
        else:
            os.environ["SHELL"] = self._shell


def _children() -> Tuple[float, ...]:
    """What the kernel has counted of the children that gdb has waited for; it grows with each."""
    try:
        import resource
    except ImportError:
        return ()
    return tuple(resource.getrusage(resource.RUSAGE_CHILDREN))
