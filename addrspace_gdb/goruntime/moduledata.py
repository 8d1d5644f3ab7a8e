"""moduledata: what the linker tells the runtime about each image (src/runtime/symtab.go).

The executable has one; every plugin and every `-linkshared` library adds another to the list that starts
at runtime.firstmoduledata.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Tuple

from addrspace_gdb.common.escape import decoded
from addrspace_gdb.common.problems import Problems, UnreadableError
from addrspace_gdb.target.layout import Type
from addrspace_gdb.target.protocol import Target

MAX_MODULES = 4096
_MAX_TEXT_SECTIONS = 4096
_MAX_STRING = 4096  # bytes

_SCALARS = (
    ("pcHeader", "findfunctab", "minpc", "maxpc", "text", "etext", "noptrdata", "enoptrdata", "data", "edata")
    + ("bss", "ebss", "noptrbss", "enoptrbss", "covctrs", "ecovctrs", "end", "gcdata", "gcbss")
    + ("types", "etypes", "rodata", "gofunc", "hasmain", "bad", "next")
    + ("epclntab",)  # since Go 1.26
    + ("typedesclen", "itaboffset", "itabsize")  # since Go 1.27, which dropped typelinks and itablinks
)
_SLICES = ("funcnametab", "cutab", "filetab", "pctab", "pclntable", "ftab", "textsectmap") + (
    "typelinks",  # until Go 1.26
    "itablinks",  # until Go 1.26
)
_STRINGS = ("modulename", "pluginpath")


class TableSlice(NamedTuple):
    """A Go slice as it lies in memory: address of the first element, and the number of elements."""

    address: int
    length: int


class TextSection(NamedTuple):
    """One entry of textsectmap: offsets [start, end) from moduledata.text lie at `address`."""

    start: int
    end: int
    address: int


class Module:
    """One moduledata, decoded. Addresses are run-time addresses; a field this Go version lacks is None."""

    def __init__(
        self,
        address: int,
        scalars: Dict[str, int],
        slices: Dict[str, TableSlice],
        text_sections: Tuple[TextSection, ...],
        names: Tuple[str, str],
        masks: Tuple[Optional[TableSlice], Optional[TableSlice]],
        size: int,
    ) -> None:
        self.address = address
        self.scalars = scalars  # by the field's own name: text, etext, noptrdata ...
        self.slices = slices
        self.text_sections = text_sections  # more than one only for very large programs on some arches
        self.modulename, self.pluginpath = names
        # Length in bits: one bit a word of [data, edata) and of [bss, ebss); None before modulesinit.
        self.gcdatamask, self.gcbssmask = masks
        self.size = size  # bytes of the moduledata itself

    def get(self, name: str) -> Optional[int]:
        """The scalar field `name`, None where this Go version has no such field."""
        return self.scalars.get(name)

    def __getitem__(self, name: str) -> int:
        """The scalar field `name`. Raises KeyError where this Go version has no such field."""
        return self.scalars[name]

    def slice(self, name: str) -> TableSlice:
        """The slice field `name`; an empty one where this Go version has no such field."""
        return self.slices.get(name, TableSlice(0, 0))

    @property
    def data(self) -> Tuple[int, int]:
        """Where its variables lie, [start, end). The C linker may put `data` first."""
        return min(self["noptrdata"], self["data"]), self["end"]

    @property
    def bad(self) -> bool:
        """The plugin failed to load and the runtime ignores the module."""
        return bool(self.scalars.get("bad"))

    @property
    def has_main(self) -> bool:
        """The module holds func main.main."""
        return bool(self.scalars.get("hasmain"))


def modules(target: Target, problems: Problems) -> List[Module]:
    """Every module in list order, the runtime's own first; empty with a problem if there is none.

    A damaged link ends the walk: what was found until then is returned.
    """
    symbol, layout = target.symbol("runtime.firstmoduledata"), target.type("runtime.moduledata")
    if symbol is None or layout is None:
        missing = "runtime.firstmoduledata" if symbol is None else "type runtime.moduledata"
        problems.add(f"no {missing}: the module list cannot be read")
        return []
    found: List[Module] = []
    seen = set()
    address = symbol.address
    while address:
        if address in seen or len(found) >= MAX_MODULES:
            problems.add(f"the module list does not end: {address:#x} follows {found[-1].address:#x}")
            break
        seen.add(address)
        try:
            module = _decode(target, layout, address)
        except (UnreadableError, KeyError) as error:
            problems.add(f"moduledata at {address:#x}: {_reason(error)}")
            break
        if not module["text"] <= module["etext"] or not module["minpc"] < module["maxpc"]:
            problems.add(f"moduledata at {address:#x} is damaged: its text ends before it starts")
            break
        found.append(module)
        address = module["next"]
    return found


_ORDERED = (("noptrdata", "enoptrdata"), ("data", "edata"), ("bss", "ebss"), ("noptrbss", "enoptrbss"))


def is_module(target: Target, layout: Type, address: int) -> bool:
    """Whether a moduledata can lie at `address`: its sections end behind their start, before `end`."""
    try:
        module = _decode(target, layout, address)
    except (UnreadableError, KeyError):
        return False
    inside = all(0 < module[start] <= module[end] <= module["end"] for start, end in _ORDERED)
    return inside and 0 < module["text"] <= module["minpc"] < module["maxpc"]


def _reason(error: Exception) -> str:
    return f"field {error.args[0]} is missing" if isinstance(error, KeyError) else str(error)


def _decode(target: Target, layout: Type, address: int) -> Module:
    raw = target.read(address, layout.size)
    scalars = {name: _scalar(target, raw, layout, name) for name in _SCALARS if layout.has(name)}
    slices = {
        name: TableSlice(
            _scalar(target, raw, layout, f"{name}.array"), _scalar(target, raw, layout, f"{name}.len")
        )
        for name in _SLICES
        if layout.has(name)
    }
    return Module(
        address=address,
        scalars=scalars,
        slices=slices,
        text_sections=_text_sections(target, slices.get("textsectmap", TableSlice(0, 0))),
        names=(_string(target, raw, layout, _STRINGS[0]), _string(target, raw, layout, _STRINGS[1])),
        masks=(_bitvector(target, raw, layout, "gcdatamask"), _bitvector(target, raw, layout, "gcbssmask")),
        size=layout.size,
    )


def _scalar(target: Target, raw: bytes, layout: Type, path: str) -> int:
    place = layout.scalar(path)
    order = "big" if target.byte_order == "big" else "little"
    return int.from_bytes(raw[place.offset : place.offset + place.size], order)  # type: ignore[arg-type]


def _string(target: Target, raw: bytes, layout: Type, name: str) -> str:
    """A Go string field; empty if it cannot be read (a name is never worth failing for)."""
    size = _scalar(target, raw, layout, f"{name}.len")
    if not 0 < size <= _MAX_STRING:
        return ""
    try:
        return decoded(target.read(_scalar(target, raw, layout, f"{name}.str"), size))
    except UnreadableError:
        return ""


def _bitvector(target: Target, raw: bytes, layout: Type, name: str) -> Optional[TableSlice]:
    data = _scalar(target, raw, layout, f"{name}.bytedata")
    return TableSlice(data, _scalar(target, raw, layout, f"{name}.n")) if data else None


def _text_sections(target: Target, where: TableSlice) -> Tuple[TextSection, ...]:
    """textsectmap: {vaddr, end, baseaddr} of uintptr (src/runtime/symtab.go, textsect)."""
    if where.length <= 1 or where.length > _MAX_TEXT_SECTIONS:
        return ()
    word = target.pointer_size
    raw = target.read(where.address, where.length * 3 * word)
    order = "big" if target.byte_order == "big" else "little"
    words = [
        int.from_bytes(raw[at : at + word], order)  # type: ignore[arg-type]
        for at in range(0, len(raw), word)
    ]
    return tuple(TextSection(*words[at : at + 3]) for at in range(0, len(words), 3))
