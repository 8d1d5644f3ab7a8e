"""The mapped code, as runtime/pprof lists it (parseProcSelfMaps and elfBuildID in src/runtime/pprof)."""

from __future__ import annotations

from typing import Dict, Iterator, List, Sequence

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.process.elf import noted_build_id, read_image
from addrspace_gdb.process.mappings import Mapping, file_path
from addrspace_gdb.space.profiles.model import ProfileMapping
from addrspace_gdb.target.protocol import Target

_PF_X = 1
_PAGE = 4096  # segments of other page sizes begin at multiples of it too


def code_mappings(
    target: Target, mappings: Sequence[Mapping], texts: Sequence[int] = ()
) -> List[ProfileMapping]:
    """Mappings that hold code and have a name, each with the GNU build id of its file if that has one.

    `texts`: where Go's code begins, for cores that do not say what holds code.
    """
    ids: Dict[str, str] = {}
    found = []
    for mapping in mappings:
        name = file_path(mapping) or mapping.name
        if not name or not _holds_code(target, mapping, name, texts):
            continue
        if mapping.file is not None and name not in ids:
            ids[name] = _build_id(target, mapping, name)
        one = ProfileMapping(mapping.start, mapping.end, mapping.offset, name, ids.get(name, ""), False)
        found.append(one)
    return found


def _holds_code(target: Target, mapping: Mapping, name: str, texts: Sequence[int]) -> bool:
    if mapping.permissions[2] != "?":
        return mapping.permissions[2] == "x"
    if any(mapping.start <= text < mapping.end for text in texts):
        return True
    for path in _paths(target, mapping, name) if mapping.file is not None else ():
        try:
            segments = read_image(path).segments
        except (OSError, ProblemError):
            continue
        return any(s.flags & _PF_X and s.offset - s.offset % _PAGE == mapping.offset for s in segments)
    return False


def _build_id(target: Target, mapping: Mapping, name: str) -> str:
    for path in _paths(target, mapping, name):
        try:
            return noted_build_id(path)
        except (OSError, ProblemError):
            continue
    return ""


def _paths(target: Target, mapping: Mapping, name: str) -> Iterator[str]:
    """Where the file may be had on this machine; its own name last, which may be another file's by now."""
    proc = target.proc_files()
    if proc is not None and proc.local:
        yield proc.path(f"map_files/{mapping.start:x}-{mapping.end:x}")
    executable = target.executable
    if executable is not None and name.rpartition("/")[2] == executable.rpartition("/")[2]:
        yield executable
    if target.kind != "remote":
        yield name
