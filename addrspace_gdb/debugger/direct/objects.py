"""The ELF files that a process has loaded: their symbols, wherever those are."""

from __future__ import annotations

import io
import os
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.process.elf import Image, image_of, read_image
from addrspace_gdb.process.elfsymbols import SymbolTables, symbol_tables, tables_of
from addrspace_gdb.process.loaded import LoadedImage, loaded_at
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.process.regular import open_regular
from addrspace_gdb.target.protocol import FrameVariable, Named, Symbol

if TYPE_CHECKING:  # few questions need it, and it takes a tenth of what all imports take
    from addrspace_gdb.process.dwarf.variables import FrameVariables

_DEBUG_FILES = "/usr/lib/debug"  # where distributions put symbols apart from programs


class Opened(NamedTuple):
    """A file that is mapped: what the mappings call it, and where it can be opened."""

    name: str
    path: str


class LoadedFile:
    """One of them. What it does not have of symbols its debug file may have."""

    def __init__(
        self, opened: Opened, loaded: LoadedImage, sysroot: str, tables: Optional[List[SymbolTables]] = None
    ) -> None:
        """`tables`: its symbols, if they were read."""
        self.loaded, self.path, self.name = loaded, opened.path, opened.name
        self._sysroot = sysroot
        self._tables = tables

    @property
    def image(self) -> Image:
        """Its headers."""
        return self.loaded.image

    def load(self) -> None:
        """Read its tables, unless they were."""
        self._all()

    def _all(self) -> List[SymbolTables]:
        """Its own tables, then those of its debug file where it has no full one."""
        if self._tables is None:
            own = symbol_tables(self.path)
            self._tables = [own] if own is not None else []
            if own is None or own.full is None:
                self._tables += self._apart()
        return self._tables

    def _apart(self) -> List[SymbolTables]:
        for path in debug_files(self.path, self.name, self.image.build_id, self._sysroot):
            found = symbol_tables(path)
            if found is not None and found.full is not None:
                return [found]
        return []

    def take_symbols(self, path: str) -> None:
        """Put the tables of another file, which was made with this one, before its own."""
        given = symbol_tables(path)
        if given is not None:
            self._tables = [given, *self._all()]

    def symbol(self, name: str) -> Optional[Symbol]:
        """The variable or function of that name."""
        for tables in self._all():
            for table in (tables.full, tables.dynamic):
                place = table.find(name) if table is not None else None
                if place is not None:
                    return Symbol(name, place.address + self.loaded.bias, place.size)
        return None

    def name_at(self, address: int) -> Optional[Named]:
        """The symbol that holds a run-time address."""
        at = address - self.loaded.bias
        section = next((s for s in self.image.sections if s.address <= at < s.address + s.size), None)
        if section is None:
            return None
        for tables in self._all():
            table = tables.full or tables.dynamic
            found = table.at(at) if table is not None else None
            if found is not None and found[1] <= at - section.address:
                return Named(found[0], found[1], section.name, self.name)
        return None

    @cached_property
    def _variables(self) -> Optional[FrameVariables]:
        """By its own debug information, else by that of its debug file."""
        from addrspace_gdb.process.dwarf.sections import DamagedError
        from addrspace_gdb.process.dwarf.variables import FrameVariables

        try:
            return FrameVariables(self._debug_path) if self._debug_path else None
        except DamagedError:
            return None

    @cached_property
    def _debug_path(self) -> Optional[str]:
        return self.path if self.image.has_dwarf else next(self._with_dwarf(), None)

    @cached_property
    def debug_file(self) -> Optional[str]:
        """What has its debug information, open: the process may end, and its files be gone."""
        if not self._debug_path:
            return None
        try:
            self._opened = open_regular(self._debug_path)
        except ProblemError:
            return None
        return f"/proc/{os.getpid()}/fd/{self._opened.fileno()}"

    def _with_dwarf(self) -> Iterator[str]:
        for path in debug_files(self.path, self.name, self.image.build_id, self._sysroot):
            try:
                if read_image(path).has_dwarf:
                    yield path
            except ProblemError:
                continue

    def frame_variables(self, pc: int) -> List[FrameVariable]:
        """Variables in the frame of the function at `pc`; none where the debug information is damaged."""
        from addrspace_gdb.process.dwarf.sections import DamagedError

        try:
            return self._variables.at(pc - self.loaded.bias) if self._variables is not None else []
        except DamagedError:
            return []


class Objects:
    """The loaded files of a target, the program first."""

    def __init__(self, files: Sequence[LoadedFile]) -> None:
        self.files = files

    def load(self) -> None:
        """Read every table now: a name that none has is looked up in all of them."""
        for file in self.files:
            file.load()

    def symbol(self, name: str) -> Optional[Symbol]:
        """A variable or function by its linker name."""
        return next(filter(None, (file.symbol(name) for file in self.files)), None)

    def name_at(self, address: int) -> Optional[Named]:
        """The symbol that holds an address; None for none."""
        file = self._at(address)
        return file.name_at(address) if file is not None else None

    def debug_file(self, address: int) -> Optional[str]:
        """What has the debug information of what lies at an address."""
        file = self._at(address)
        return file.debug_file if file is not None else None

    def frame_variables(self, pc: int) -> List[FrameVariable]:
        """Variables in the frame of the function at `pc`, by debug information."""
        file = self._at(pc)
        return file.frame_variables(pc) if file is not None else []

    def _at(self, address: int) -> Optional[LoadedFile]:
        return next((f for f in self.files if f.loaded.start <= address < f.loaded.end), None)


def load_objects(
    mappings: Sequence[Mapping], opened: Sequence[Opened], page_size: int, sysroot: str = ""
) -> Objects:
    """The objects that `opened` are, in that order; a file that is none, or is not loaded, is left out."""
    by_name: Dict[str, List[Mapping]] = {}
    for mapping in mappings:
        if mapping.file is not None:
            by_name.setdefault(mapping.file, []).append(mapping)
    files = []
    for one in opened:
        try:
            image = read_image(one.path, one.name)
        except ProblemError:
            continue
        loaded = loaded_at(image, by_name.get(one.name, []), one.name, page_size)
        if loaded is not None:
            files.append(LoadedFile(one, loaded, sysroot))
    return Objects(files)


def held_in_memory(start: int, data: bytes, name: str) -> Optional[LoadedFile]:
    """A file of which there is only the image that the kernel has mapped at `start`; None if it is none."""
    stream = io.BytesIO(data)
    try:
        image = image_of(stream, name)
        stream.seek(0)
        tables = tables_of(stream)
    except ProblemError:
        return None
    if tables is None or not image.segments:
        return None
    bias = start - min(segment.vaddr for segment in image.segments)
    loaded = LoadedImage(image, bias, start, start + len(data))
    return LoadedFile(Opened(name, ""), loaded, "", [tables])


def debug_files(path: str, name: str, build_id: Optional[str], sysroot: str = "") -> Iterator[str]:
    """Files that may have the symbols of the file at `path`, which is called `name`: by its build id, and by
    its .gnu_debuglink, whose checksum is right, beside it, in .debug, and in the folder of debug files."""
    folder = sysroot + _DEBUG_FILES
    if build_id and len(build_id) > 2:
        yield os.path.join(folder, ".build-id", build_id[:2], build_id[2:] + ".debug")
    link = debug_link(path)
    if link is None:
        return
    base, checksum = link
    place = os.path.dirname(name)
    beside = os.path.dirname(path) if not path.startswith("/proc/") else place
    for candidate in (beside, os.path.join(beside, ".debug"), folder + place):
        file = os.path.join(candidate, base)
        if _checksum(file) == checksum:
            yield file


def debug_link(path: str) -> Optional[Tuple[str, int]]:
    """The name of the debug file and its checksum, as the section .gnu_debuglink has them."""
    from elftools.elf.elffile import ELFFile

    try:
        with open_regular(path) as stream:
            elf = ELFFile(stream)
            section = elf.get_section_by_name(".gnu_debuglink")
            if section is None:
                return None
            data = section.data()
            name, _, _ = data.partition(b"\0")
            at = len(name) + 1 + -(len(name) + 1) % 4
            little = bool(elf.little_endian)
    except Exception:  # noqa: BLE001  elftools raises many kinds for a damaged file
        return None
    if not name or b"/" in name or len(data) < at + 4:
        return None
    return os.fsdecode(name), int.from_bytes(data[at : at + 4], "little" if little else "big")


@lru_cache(maxsize=16)
def _checksum(path: str) -> Optional[int]:
    from zlib import crc32

    try:
        with open_regular(path) as stream:
            total = 0
            for piece in iter(lambda: stream.read(1 << 20), b""):
                total = crc32(piece, total)
            return total
    except (OSError, ProblemError):
        return None
