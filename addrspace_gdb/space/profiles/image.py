"""The mapped code, as runtime/pprof lists it (parseProcSelfMaps and elfBuildID in src/runtime/pprof)."""

from __future__ import annotations

from typing import Dict, Iterator, List, Sequence

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.process.elf import noted_build_id
from addrspace_gdb.process.mappings import Mapping, file_path
from addrspace_gdb.space.profiles.model import ProfileMapping
from addrspace_gdb.target.protocol import Target


def code_mappings(target: Target, mappings: Sequence[Mapping]) -> List[ProfileMapping]:
    """Mappings that hold code and have a name, each with the GNU build id of its file if that has one."""
    ids: Dict[str, str] = {}
    found = []
    for mapping in mappings:
        name = file_path(mapping) or mapping.name
        if not name or mapping.permissions[2] != "x":
            continue
        if mapping.file is not None and name not in ids:
            ids[name] = _build_id(target, mapping, name)
        one = ProfileMapping(mapping.start, mapping.end, mapping.offset, name, ids.get(name, ""), False)
        found.append(one)
    return found


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
