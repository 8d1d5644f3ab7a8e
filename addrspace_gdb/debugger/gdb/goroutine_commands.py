"""`goroutine`, `goroutine-apply`, `$goroutine(goid)` and `$current_goid()`, as gdb sees them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, List, Optional, Tuple

import gdb

from addrspace_gdb.commands import goroutine_args
from addrspace_gdb.commands.goroutine_args import Apply, parse_apply, parse_select
from addrspace_gdb.commands.options import HelpRequested, filled
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.debugger.gdb.aliases import help_of
from addrspace_gdb.debugger.gdb.goroutine_selection import Selector
from addrspace_gdb.debugger.gdb.readonly import read_only, users_own
from addrspace_gdb.debugger.gdb.session import GdbSession, guarded
from addrspace_gdb.debugger.gdb.text import output_of, text_of
from addrspace_gdb.debugger.gdb.threads import selected_thread
from addrspace_gdb.debugger.gdb.values import evaluate
from addrspace_gdb.debugger.shared.applying import apply_each, header_of
from addrspace_gdb.debugger.shared.completing import goroutine_offers

if TYPE_CHECKING:
    from addrspace_gdb.space.goroutines.census import Census, GoroutinePlace

# The first line of the command's help in runtime-gdb.py (Go 1.21 to 1.27), and of ours.
_THEIRS = "Execute gdb command in the context of goroutine"
_OURS = "Select a goroutine, or show the selected one."
_BEFORE = "maintenance addrspace-goroutine-before"
_WHY = "Of addrspace-gdb: where Go's runtime-gdb.py was loaded last, `goroutine` is still addrspace-gdb's."
_HELP = (["-h"], ["--help"])
_kept: List[object] = []


def register(session: GdbSession) -> None:
    """Make the commands and functions known to gdb. Doing it twice is harmless."""
    if _kept:
        return
    selector = Selector(session)
    _kept.extend(
        [selector, _ApplyCommand(selector), _GoroutineFunction(selector), _CurrentFunction(selector)]
    )
    owner = _Owner(selector)
    _kept.append(owner)
    owner.check()
    _kept.append(_Before(owner))


class _Owner:
    """Sees to it that `goroutine` is this project's, and says so when it was another's before."""

    def __init__(self, selector: Selector) -> None:
        self._selector = selector
        self._ours: Optional[_SelectCommand] = None
        self._aside = self._told = False
        # Not "cont": a command in its handler ends gdb (18 at least) where a gdbserver --multi
        # is told to attach: the threads are not known yet.
        for event in ("new_objfile", "before_prompt", "stop"):
            getattr(gdb.events, event).connect(self.check)

    def check(self, event: object = None) -> None:
        """Define the command where there is none, and in place of runtime-gdb.py's."""
        if self._aside:
            return
        text = help_of("goroutine")
        if text is not None and text.startswith(_OURS):
            return
        if text is not None and _THEIRS not in text:
            self._aside = True
            _tell("`goroutine` is another's command here and stays so; `goroutine-apply GOID CMD` is ours")
            return
        self._ours = _SelectCommand(self._selector)
        if text is not None:
            self._replaced()

    def _replaced(self) -> None:
        if not self._told:
            _tell(
                "`goroutine` of Go's runtime-gdb.py is replaced; `goroutine GOID CMD` works as before, "
                "and `goroutine GOID` selects"
            )
        self._told = True

    def before(self) -> None:
        """`goroutine` is about to run. gdb -batch loads Go's script behind our back, after the last event
        that there is; a command that runs cannot be replaced, but what it does can."""
        theirs = getattr(sys.modules["__main__"], "GoroutineCmd", None)
        text = help_of("goroutine")
        if self._ours is not None and theirs is not None and text is not None and _THEIRS in text:
            ours = self._ours
            theirs.invoke = lambda _self, argument, from_tty: ours.invoke(argument, from_tty)
            self._replaced()


class _Before(gdb.Command):
    """Internal."""

    def __init__(self, owner: _Owner) -> None:
        super().__init__(_BEFORE, gdb.COMMAND_MAINTENANCE)
        self._owner = owner
        try:
            output_of("show user hook-goroutine")
        except gdb.error:
            output_of(f"define hook-goroutine\n{_BEFORE}\nend")
            output_of(f"document hook-goroutine\n{_WHY}\nend")

    def invoke(self, argument: str, from_tty: bool) -> None:
        """What the hook runs."""
        self._owner.before()


def _tell(line: str) -> None:
    gdb.write(f"addrspace: {line}\n", gdb.STDERR)


def _variable(word: str) -> int:
    """The number that a convenience variable holds."""
    try:
        return int(evaluate(word))
    except (gdb.error, TypeError, ValueError, OverflowError):
        raise ProblemError(f"{printable(word)} is not a number") from None


class _SelectCommand(gdb.Command):
    __doc__ = filled(f"""{_OURS}

usage: goroutine
       goroutine GOID
       goroutine --off
       goroutine GOID|all CMD

GOID is a number or a convenience variable. A parked goroutine's frames then take the place of the
selected thread's: `bt`, `up`, `down`, `frame N`, `info frame`, `info locals`, `print` work in a live process
and in a core, and no register is written. Its innermost frame has number 1, for frame 0 stays the
thread's own, which `bt` leaves out. Of the registers only pc, sp and the frame pointer are known.
A stripped program's functions get names in gdb, from Go's own tables (`set print demangle off` keeps gdb
from printing main.worker as main[worker]); their arguments and locals need DWARF.
A goroutine that runs on a thread, or is in a system call on one, is shown by selecting the thread.
One that called C is shown from where it did; `goroutine --off` returns to the C code on its thread.

It stays selected until the process moves; `thread N` and `goroutine --off` return to the thread.
(While the thread itself is in main.main, `backtrace past-main` is on.) `step`, `jump`, `call` and
`return` act on the thread, not on the goroutine.

The last form runs one command, as in Go's runtime-gdb.py; `goroutine-apply` can do more. Where that
script has defined this command, it is replaced, and a line says so: when the script was loaded first,
at once, else with the next object file, stop or prompt, or when it is run. Its `info goroutines` and
functions stay.""")

    def __init__(self, selector: Selector) -> None:
        super().__init__("goroutine", gdb.COMMAND_STACK)
        self._selector = selector

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Select, or show what is selected."""
        self.dont_repeat()
        guarded(self._run, argument, from_tty)

    def _run(self, argument: str, from_tty: bool) -> None:
        if argument.split()[:1] in _HELP:
            raise HelpRequested(output_of("help goroutine"))
        wanted = parse_select(argument, _variable)
        if wanted.apply is not None:
            _apply(self._selector, wanted.apply, from_tty)
        elif wanted.off:
            self._selector.off()
        elif wanted.goid is not None:
            place = self._selector.go(wanted.goid)
            gdb.write(f"[Switching to {_described(place)}]\n")
            _print_frame(from_tty)
        else:
            self._show()

    def _show(self) -> None:
        injected = self._selector.current
        if injected is not None:
            gdb.write(f"[Current {injected.label}]\n")
            return
        census = self._selector.census()
        goid = self._selector.goid()
        if goid is None:
            raise ProblemError("no thread is selected")
        if goid:
            gdb.write(f"[Current {_described(census.place(goid))}]\n")
        else:
            thread = selected_thread()
            gdb.write(f"[No goroutine on thread {thread.num if thread else '?'}]\n")

    def complete(self, text: str, word: Optional[str]) -> List[str]:
        """Options, then gdb's commands."""
        return _offer(text, word, ["all", "--off", *_goids(self._selector)])


def _goids(selector: Selector) -> List[str]:
    """The numbers of goroutines that there are; none where that cannot be known."""
    with read_only():
        try:
            return [str(goid) for goid in selector.census().goids]
        except (ProblemError, UnreadableError, gdb.error):
            return []


def _print_frame(from_tty: bool) -> None:
    """The selected frame; without DWARF as `bt` has it: gdb's own line has neither file nor line."""
    if gdb.selected_frame().function() is None:
        first = output_of("backtrace 1").partition("\n")[0]
        if first.startswith("#"):
            gdb.write(first + "\n")
            return
    gdb.execute("frame", from_tty)


def _described(place: GoroutinePlace) -> str:
    if place.thread is None:
        return place.label
    in_c = "; the C code that it called runs there: `goroutine --off`, `bt`" if place.in_c else ""
    return f"{place.label} on thread {place.thread.number}{in_c}"


def _offer(text: str, word: Optional[str], words: List[str]) -> List[str]:
    """Completions of the last word: ours, and once goroutines are given those of gdb for the command."""
    if word is None:
        return []  # newer gdbs first ask only which characters break words
    with read_only():
        found, current = goroutine_offers(text, words, _commands)
    return [offer[len(current) - len(word) :] for offer in found]


def _commands(command: str) -> List[str]:
    """What gdb offers for a command of its own."""
    return output_of(f"complete {command}").splitlines()


class _ApplyCommand(gdb.Command):
    __doc__ = filled(
        """Run a command of gdb in the frames of goroutines.

usage: goroutine-apply GOID|FIRST-LAST|all|FILTER... [-q] [-c | -s] CMD

GOID is a number or a convenience variable. A FILTER is one of
  waiting, running, syscall, runnable, preempted   the goroutine's status
  function:REGEX   a function on its stack, inlined ones too
  reason:REGEX     what it waits for, in Go's words: "chan receive", "select" ...
Numbers and ranges are alternatives, statuses too; everything that is given must hold. Quote a
REGEX with blanks.

  -q   no line that names the goroutine before the output
  -c   print errors and go on; numbers that no goroutine has are always skipped
  -s   skip errors, and goroutines for which CMD prints nothing

CMD is run with the goroutine's innermost frame selected, in rising order of goids. Without -c and
-s the first error ends it. Thread, goroutine and frame are put back at the end. It ends when CMD
lets the process run.

  goroutine-apply all bt 3
  goroutine-apply 1 17-20 -q info locals
  goroutine-apply waiting function:^main\\. -c frame function main.worker"""
    )

    def __init__(self, selector: Selector) -> None:
        super().__init__("goroutine-apply", gdb.COMMAND_STACK)
        self._selector = selector

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Run the command for each goroutine."""
        self.dont_repeat()
        guarded(_apply_line, self._selector, argument, from_tty)

    def complete(self, text: str, word: Optional[str]) -> List[str]:
        """Filters and flags, then gdb's commands."""
        return _offer(text, word, [*goroutine_args.words(), *_goids(self._selector)])


def _apply_line(selector: Selector, line: str, from_tty: bool) -> None:
    if line.split()[:1] in _HELP:
        raise HelpRequested(output_of("help goroutine-apply"))
    _apply(selector, parse_apply(line, _variable), from_tty)


def _apply(selector: Selector, wanted: Apply, from_tty: bool) -> None:
    census = selector.census()

    def one(goid: int) -> None:
        try:
            _one(selector, census, goid, wanted, from_tty)
        except gdb.error as error:
            raise gdb.GdbError(str(error).strip()) from None

    with selector.kept():
        apply_each(census, wanted, one, lambda: selector.moves, gdb.write, (gdb.GdbError,))


def _one(selector: Selector, census: Census, goid: int, wanted: Apply, from_tty: bool) -> None:
    """Run the command for one goroutine."""
    place = census.place(goid)
    header = "" if wanted.quiet else header_of(place, "LWP ")
    try:
        selector.enter(census, place)
    except ProblemError:
        gdb.write(header if not wanted.silent else "")
        raise
    # The command is the user's own: it may write and call, if his settings let gdb do so.
    with users_own():
        _run_for(wanted, header, from_tty)


def _run_for(wanted: Apply, header: str, from_tty: bool) -> None:
    """Run the user's command where gdb stands."""
    which = goroutine_args.selecting(wanted.command) if wanted.silent else None
    if which is not None:
        # The frame that `frame` prints when it selects another one is not in gdb.execute's string.
        gdb.execute(f"select-frame {which}", from_tty)
        gdb.write(header)
        gdb.execute("frame", from_tty)
    elif wanted.silent:
        text = text_of(lambda: gdb.execute(wanted.command, from_tty, to_string=True))
        gdb.write(header + text if text else "")
    else:
        gdb.write(header)
        gdb.execute(wanted.command, from_tty)


class _GoroutineFunction(gdb.Function):
    """$goroutine(GOID): the goroutine's g, a pointer to runtime.g, as in `p $goroutine(17).waitsince`."""

    def __init__(self, selector: Selector) -> None:
        super().__init__("goroutine")
        self._selector = selector

    def invoke(self, *arguments: gdb.Value) -> gdb.Value:
        """A gdb.Value, or one line that says why there is none."""
        return guarded(self._g, arguments)  # type: ignore[no-any-return]

    def _g(self, arguments: Tuple[gdb.Value, ...]) -> gdb.Value:
        try:
            (goid,) = arguments
            number = int(goid)
        except (gdb.error, TypeError, ValueError, OverflowError):
            raise ProblemError("$goroutine: give the number of a goroutine") from None
        address = self._selector.census().address(number)
        try:
            type_ = gdb.lookup_type("runtime.g")
        except gdb.error:  # without DWARF it is an address, and no more
            type_ = gdb.lookup_type("void")
        return gdb.Value(address).cast(type_.pointer())


class _CurrentFunction(gdb.Function):
    __doc__ = """$current_goid(): the goroutine selected, else the one that runs on the thread.
It is 0 if none runs on it, and void if that cannot be known."""

    def __init__(self, selector: Selector) -> None:
        super().__init__("current_goid")
        self._selector = selector

    def invoke(self, *arguments: gdb.Value) -> gdb.Value:
        """An integer, or void."""
        goid = guarded(self._selector.goid)
        return gdb.Value(goid) if goid is not None else gdb.parse_and_eval("$_addrspace_gdb_void")
