"""Names that gdb knows: the symbol at an address, and where a function keeps its variables."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import Iterator, List, Optional, Sequence, Tuple

import gdb

from addrspace_gdb.common.escape import shortened
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.debugger.gdb.text import output_of, text_of
from addrspace_gdb.process.elf import read_image
from addrspace_gdb.target.protocol import FrameVariable, Named

_SYMBOL = re.compile(r"(.*?)(?: \+ (\d+))? in section (\S+)(?: of (.*))?")

# What `info scope *ADDRESS` prints (gdb 13 to 18), for symbols that lie at a fixed place of the frame:
#   Symbol marked is a complex DWARF expression:
#        0: DW_OP_call_frame_cfa
#   , length 32.
#   Symbol id is multi-location:
#     Range 0x49bbbf-0x49bcf4: a complex DWARF expression:
#        0: DW_OP_fbreg -464
#       [8-byte piece], and a variable in $rbx [8-byte piece], and an empty 8-byte piece
_SYMBOL_IS = re.compile(r"^Symbol (?=\S+ is )", re.MULTILINE)
_VARIABLE = re.compile(r"(\S+) is (.*), length (\d+)\.\n", re.DOTALL)
_RANGE = re.compile(r"Range (0x[0-9a-f]+)-(0x[0-9a-f]+): ")
_OPERATION = re.compile(r"^ *\d+: (DW_OP_\S+)(?: (-?\d+))?", re.MULTILINE)
_PIECE = re.compile(r"(.*?)(?:an empty |\[)(\d+)-byte piece\]?", re.DOTALL)


def names_at(addresses: Sequence[int]) -> List[Optional[Named]]:
    """The symbol that holds each address, by its linker name; None for none."""
    with _no_demangling():
        return [_name_at(address) for address in addresses]


def _name_at(address: int) -> Optional[Named]:
    try:
        text = output_of(f"info symbol {address:#x}")
    except gdb.error:
        return None
    found = _SYMBOL.fullmatch(text.split("\n", 1)[0])
    if found is None:
        return None
    name, offset, section, file = found.groups()
    return Named(shortened(name), int(offset or 0), shortened(section), file or _only_file())


def debug_file(address: int) -> Optional[str]:
    """The file with debug information of what lies at an address: its own, or one that gdb found apart."""
    named = names_at([address])[0]
    if named is None or named.file is None:
        return None
    for objfile in gdb.objfiles():
        owner = objfile.owner
        path = text_of(lambda of=objfile: str(of.filename))  # type: ignore[misc]
        of = text_of(lambda of=owner: str(of.filename)) if owner is not None else path  # type: ignore[misc]
        if named.file in (path, of) and _has_dwarf(path):
            return path
    return None


def _has_dwarf(path: str) -> bool:
    try:
        return read_image(path).has_dwarf
    except ProblemError:
        return False


def _only_file() -> Optional[str]:
    """The object file that there is: gdb does not name it if there is no other."""
    files = gdb.objfiles()
    return files[0].filename if len(files) == 1 else None


@contextmanager
def _no_demangling() -> Iterator[None]:
    """gdb takes names of Go for mangled ones: main.Table comes out as main[Table]."""
    if not gdb.parameter("print demangle"):
        yield
        return
    gdb.execute("set print demangle off")
    try:
        yield
    finally:
        gdb.execute("set print demangle on")


def frame_variables(pc: int) -> List[FrameVariable]:
    """Variables in the frame of the function at `pc`; those in registers there are left out."""
    try:
        text = output_of(f"info scope *{pc:#x}")
    except gdb.error:
        return []
    found: List[FrameVariable] = []
    for described in _SYMBOL_IS.split(text)[1:]:
        variable = _VARIABLE.fullmatch(described)
        if variable is not None:
            name, places, length = variable.groups()
            found += _pieces(shortened(name), _current(places, pc), int(length))
    return found


def _current(places: str, pc: int) -> str:
    """Of several locations the one that holds at `pc`."""
    ranges = list(_RANGE.finditer(places))
    if not ranges:
        return places
    for this, following in zip(ranges, [*ranges[1:], None]):
        if int(this.group(1), 16) <= pc < int(this.group(2), 16):
            return places[this.end() : following.start() if following else None]
    return ""


def _pieces(name: str, place: str, length: int) -> Iterator[FrameVariable]:
    """One variable, or the pieces of it that lie in the frame."""
    if "-bit piece" in place:
        return
    within, pieces = 0, _PIECE.findall(place)
    for where, size in pieces:
        offset = _offset(where)
        if offset is not None and int(size):
            yield FrameVariable(name, offset, int(size), within)
        within += int(size)
    offset = None if pieces else _offset(place)
    if offset is not None:
        yield FrameVariable(name, offset, length)


def _offset(place: str) -> Optional[int]:
    """The distance of the canonical frame address, None for what does not lie in the frame."""
    operations: List[Tuple[str, str]] = _OPERATION.findall(place)
    if len(operations) != 1:
        return None
    operation, number = operations[0]
    if operation == "DW_OP_call_frame_cfa":
        return 0
    return int(number) if operation == "DW_OP_fbreg" and number else None
