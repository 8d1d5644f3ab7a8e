"""What a message advises to do, in words that whoever reads it can type."""

from __future__ import annotations

from typing import NamedTuple


class Hints(NamedTuple):
    """The debugger's commands, or the shell's options; a file's name follows each of them, but `server`."""

    program: str  # takes the program
    symbols: str  # takes a program for its symbols alone, and leaves the one that is there
    core: str  # opens a core file
    server: str  # the debugger's own remote stub, which gives access to /proc
    beyond: str = "needs a debugger (--debugger gdb): without one"  # why an expression is not understood
    inferior: str = "inferior"  # what a program is called that the debugger has

    @property
    def load_symbols(self) -> str:
        """There are no symbols of the program."""
        return f"load them with `{self.program} FILE`"

    def right_program(self, file: str = "FILE") -> str:
        """The program is not the one that runs, or that made the core: `file` is."""
        return f"give the right one with `{self.program} {file}`"

    @property
    def unstripped(self) -> str:
        """The program has no symbols."""
        return f"give the unstripped file with `{self.symbols} FILE`"

    @property
    def open_again(self) -> str:
        """It is not known which core file is open."""
        return f"load it again with `{self.core} FILE`"
