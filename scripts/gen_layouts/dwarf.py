"""Reads one program: its types as texts, and the constants that the tables keep.

The text of a struct is `SIZE field@offset:TYPE ...`. TYPE is u8 i64 f64 ..., bool, `*` (a pointer), `*T`
(one to a type of the table or to an array), `func`, `[N]T`, `string`, `[]` (a slice), a struct's name, or
?SIZE for anything else.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

from elftools.dwarf.die import DIE
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from gen_layouts.wanted import REASONS, SIZES, TYPES, VARIABLES

_ENCODINGS = {2: "bool", 4: "f", 5: "i", 6: "i", 7: "u", 8: "u"}  # DW_ATE_*


class Tables(NamedTuple):
    """What one program says."""

    types: Dict[str, str]
    variables: Dict[str, str]
    sizes: List[int]
    reasons: List[str]


def read_program(path: Path) -> Tables:
    """Everything that is wanted of the program at `path`."""
    elf = ELFFile(io.BytesIO(path.read_bytes()))
    found = _Types(elf)
    variables = {name: found.text_of(die, name) for name, die in found.variables.items()}
    texts = {name: found.text_of(found.named[name], name) for name in TYPES if name in found.named}
    types = found.written()
    types.update((name, found.short(text)) for name, text in texts.items() if text.startswith("["))
    data = _Data(elf)
    return Tables(types, {n: found.short(v) for n, v in variables.items()}, data.sizes(), data.reasons())


class _Types:
    """Type DIEs, turned into texts when they are asked for."""

    def __init__(self, elf: ELFFile) -> None:
        self.named: Dict[str, DIE] = {}
        self.variables: Dict[str, Optional[DIE]] = {}
        self._word = elf.elfclass // 8
        self._texts: Dict[str, List[Tuple[str, int, str]]] = {}
        self._sizes: Dict[str, int] = {}
        self._names: Dict[int, str] = {}
        wanted = set(VARIABLES)
        for unit in elf.get_dwarf_info().iter_CUs():
            for die in unit.get_top_DIE().iter_children():
                name = _name(die)
                if die.tag == "DW_TAG_variable" and name in wanted:
                    self.variables[name] = _type(die)
                elif die.tag in ("DW_TAG_structure_type", "DW_TAG_typedef") and name in TYPES:
                    self.named.setdefault(name, die)

    def text_of(self, die: Optional[DIE], owner: str = "") -> str:
        """The TYPE of a type; structs are taken into the table. Anonymous ones are named after `owner`."""
        while die is not None and die.tag == "DW_TAG_typedef":
            die = _type(die)
        if die is None:
            return "?0"
        size = die.attributes["DW_AT_byte_size"].value if "DW_AT_byte_size" in die.attributes else 0
        if die.tag == "DW_TAG_base_type":
            kind = _ENCODINGS.get(die.attributes["DW_AT_encoding"].value)
            return "bool" if kind == "bool" else f"{kind}{8 * size}" if kind else f"?{size}"
        if die.tag == "DW_TAG_structure_type":
            return self._struct(die, size, owner)
        if die.tag == "DW_TAG_array_type":
            return f"[{_count(die)}]{self.text_of(_type(die), owner + '#')}"
        if die.tag == "DW_TAG_pointer_type":
            return self._pointer(die, owner)
        return "func" if die.tag == "DW_TAG_subroutine_type" else f"?{size}"

    def _pointer(self, die: DIE, owner: str) -> str:
        target = _type(die)
        while target is not None and target.tag == "DW_TAG_typedef":
            target = _type(target)
        if target is not None and target.tag == "DW_TAG_array_type":
            return "*" + self.text_of(target, owner + "*")
        if target is not None and target.tag == "DW_TAG_structure_type" and not _is_anonymous(target):
            return f"*\0{_name(target)}\0"  # whether the table has it is known at the end
        return "*"

    def _struct(self, die: DIE, size: int, owner: str) -> str:
        if _name(die) == "string" or _name(die).startswith("[]"):
            return "string" if _name(die) == "string" else "[]"
        name = self._names.get(die.offset)
        if name is not None:
            return name
        name = self._names[die.offset] = owner + "{}" if _is_anonymous(die) else _name(die).replace(" ", "")
        self._sizes[name] = size
        fields = self._texts[name] = []
        for child in die.iter_children():
            field = _name(child)
            if child.tag == "DW_TAG_member" and field and field != "_":
                offset = child.attributes["DW_AT_data_member_location"].value
                fields.append((field, offset, self.text_of(_type(child), f"{name}.{field}")))
        return name

    def short(self, text: str) -> str:
        """A TYPE in which pointers to types outside the table are plain pointers."""
        return re.sub("\0(.*?)\0", lambda m: m[1] if m[1] in self._texts else "", text)

    def written(self) -> Dict[str, str]:
        """The table: every struct's text by name."""
        return {
            name: " ".join([str(self._sizes[name]), *(f"{f}@{at}:{self.short(t)}" for f, at, t in fields)])
            for name, fields in sorted(self._texts.items())
        }


def _name(die: DIE) -> str:
    found = die.attributes.get("DW_AT_name")
    return found.value.decode() if found is not None else ""


def _is_anonymous(die: DIE) -> bool:
    return _name(die).startswith("struct {")


def _type(die: DIE) -> Optional[DIE]:
    return die.get_DIE_from_attribute("DW_AT_type") if "DW_AT_type" in die.attributes else None


def _count(die: DIE) -> int:
    for child in die.iter_children():
        if "DW_AT_count" in child.attributes:
            return int(child.attributes["DW_AT_count"].value)
        if "DW_AT_upper_bound" in child.attributes:
            return int(child.attributes["DW_AT_upper_bound"].value) + 1
    return 0


class _Data:
    """Initialised variables of a program."""

    def __init__(self, elf: ELFFile) -> None:
        self._word, self._order = elf.elfclass // 8, "little" if elf.little_endian else "big"
        self._segments: List[Tuple[int, bytes]] = [
            (s["p_vaddr"], s.data())
            for s in elf.iter_segments()
            if s["p_type"] == "PT_LOAD" and s["p_filesz"]
        ]
        table = elf.get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        wanted = {*SIZES, REASONS}
        self._symbols = {
            s.name: (s["st_value"], s["st_size"]) for s in table.iter_symbols() if s.name in wanted
        }

    def _read(self, address: int, size: int) -> bytes:
        for start, data in self._segments:
            if start <= address and address + size <= start + len(data):
                return data[address - start : address - start + size]
        raise ValueError(f"{address:#x} is in no segment of the file")

    def _numbers(self, address: int, size: int, width: int) -> List[int]:
        raw = self._read(address, size)
        order = self._order
        return [int.from_bytes(raw[i : i + width], order) for i in range(0, size, width)]  # type: ignore[arg-type]

    def sizes(self) -> List[int]:
        """Object size of each size class."""
        return next((self._numbers(*self._symbols[n], 2) for n in SIZES if n in self._symbols), [])

    def reasons(self) -> List[str]:
        """waitReasonStrings."""
        if REASONS not in self._symbols:
            return []
        words = self._numbers(*self._symbols[REASONS], self._word)
        return [
            self._read(words[at], words[at + 1]).decode() if words[at + 1] else ""
            for at in range(0, len(words), 2)
        ]
