"""Variables of the runtime of a program that has its symbols, without the debugger's time to look for them.

The address is from the program's own symbol table, the type from the debugger by the name that the
release's table (layouts) has for it; both must agree about the size.
"""

from __future__ import annotations

import os
from typing import Optional

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.buildinfo import read_string
from addrspace_gdb.goruntime.layouts import Layouts, layouts_of
from addrspace_gdb.process.elfsymbols import ElfSymbols, elf_symbols
from addrspace_gdb.target.layout import Type
from addrspace_gdb.target.protocol import Symbol, Target

_VERSION = "runtime.buildVersion"


class OwnSymbols:
    """Looks variables up in the program's own symbol table."""

    def __init__(self, target: Target, symbols: ElfSymbols, layouts: Layouts) -> None:
        self._target, self._symbols, self._layouts = target, symbols, layouts

    def symbol(self, name: str) -> Optional[Symbol]:
        """A variable of the runtime; None where the debugger must be asked."""
        type_ = self._layouts.variable(name)
        place = self._symbols.find(name) if type_ is not None else None
        if type_ is None or place is None or type_.size != place.size:
            return None
        if self._is_named(type_):
            type_ = self._target.type(type_.name)
            if type_ is None or type_.size != place.size:
                return None
        return Symbol(name, place.address, place.size, type_)

    def _is_named(self, type_: Type) -> bool:
        """Whether the debugger knows the type by name: slices, strings and structs without a name are not."""
        return self._layouts.type(type_.name) is not None and not type_.name.endswith("}")


def own_symbols(target: Target) -> Optional[OwnSymbols]:
    """Those of `target`; None if its file is not what it runs, has no symbols, or no Go that is known."""
    symbols = elf_symbols(target.executable) if target.executable is not None else None
    if symbols is None:
        return None
    version = symbols.find(_VERSION)
    if version is None:
        return None
    if not _is_running(target, symbols):
        return None
    layouts, guessed = layouts_of(read_string(target, version.address) or "", target.arch)
    return OwnSymbols(target, symbols, layouts) if layouts is not None and not guessed else None


def _is_running(target: Target, symbols: ElfSymbols) -> bool:
    """Whether the file is the one of the process or core. Memory of a process is not read for it: what is
    read gets resident."""
    proc = target.proc_files()
    try:
        if proc is not None and proc.local and target.executable is not None:
            return os.path.samefile(target.executable, proc.path("exe"))
        return target.read(symbols.start, len(symbols.beginning)) == symbols.beginning
    except (OSError, UnreadableError):
        return False
