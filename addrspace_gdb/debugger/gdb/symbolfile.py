"""Tells gdb the names of a stripped program's functions, as Go's own tables have them.

`frame`, `up`, `break NAME`, `disassemble` and `info symbol` then know them, until gdb forgets the program.
Argument and local values still need DWARF. gdb takes a last part of letters only for a suffix of Ada's and
prints main.worker as main[worker], as of any Go program without DWARF, unless `print demangle` is off.
"""

from __future__ import annotations

import atexit
import re
import tempfile
from typing import Dict, Iterator, List, NamedTuple, Optional

import gdb

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.folders import PrivateFolder
from addrspace_gdb.common.problems import Problems
from addrspace_gdb.debugger.gdb.text import output_of, text_of
from addrspace_gdb.goruntime import symtab
from addrspace_gdb.goruntime.pclntab import Func
from addrspace_gdb.process.regular import open_regular
from addrspace_gdb.process.symbolfile import Function, symbol_file
from addrspace_gdb.target.protocol import Target

_TEXT = ".text"  # Go's linker puts the code there, and so do others
# A line of `info files` (gdb 12 to 18): "0x401000 - 0x48f9ae is .text in /usr/lib/libgo.so".
_PLACE = re.compile(r"^\s*(0x[0-9a-f]+) - (0x[0-9a-f]+) is (\S+)(?: in (.+))?$", re.MULTILINE)


class _Code(NamedTuple):
    """The section .text of an object file, where gdb has it."""

    start: int
    end: int
    objfile: gdb.Objfile


class FunctionNames:
    """Gives each object file its names once."""

    def __init__(self) -> None:
        self._seen: Dict[str, gdb.Objfile] = {}
        self._folder: Optional[PrivateFolder] = None  # until gdb ends

    def give(self, target: Target) -> None:
        """Names for the code of the selected inferior's Go program and libraries, where gdb knows none.

        Nothing is done where the program's file is not at hand or has no section headers.
        """
        new = [code for code in _code() if not self._was_seen(code.objfile)]
        if not new:
            return
        functions = sorted(symtab.load(target, Problems()).functions(), key=lambda func: func.entry)
        for code in new:
            self._seen[_name(code.objfile)] = code.objfile
            own = [func for func in functions if code.start <= func.entry < code.end]
            if own and _is_unknown(own[0].entry):
                self._give(code, own)

    def _was_seen(self, objfile: gdb.Objfile) -> bool:
        return self._seen.get(_name(objfile)) is objfile

    def _give(self, code: _Code, functions: List[Func]) -> None:
        try:
            with open_regular(_name(code.objfile)) as program:
                data = symbol_file(program, _named(functions), code.start)
            if self._folder is None:
                self._folder = PrivateFolder()
                atexit.register(self._folder.remove)
            handle, path = tempfile.mkstemp(".debug", dir=self._folder.path)
            with open(handle, "wb") as file:
                file.write(data)
        except Exception:  # noqa: BLE001  elftools raises many kinds for a damaged file; names are no more than a help
            return
        code.objfile.add_separate_debug_file(path)


def _name(objfile: gdb.Objfile) -> str:
    return text_of(lambda: str(objfile.filename))


def _is_unknown(address: int) -> bool:
    return "No symbol matches" in output_of(f"info symbol {address:#x}")


def _named(functions: List[Func]) -> Iterator[Function]:
    for func in functions:
        yield printable(func.name), func.entry, func.end - func.entry


def _code() -> Iterator[_Code]:
    space = gdb.current_progspace()
    program = text_of(lambda: space.filename or "") if space is not None else ""
    objfiles = {_name(objfile): objfile for objfile in gdb.objfiles()}
    for start, end, section, file in _PLACE.findall(output_of("info files")):
        objfile = objfiles.get(file or program)
        if section == _TEXT and objfile is not None:
            yield _Code(int(start, 16), int(end, 16), objfile)
