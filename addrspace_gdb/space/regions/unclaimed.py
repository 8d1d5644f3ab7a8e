"""What a mapping is when nobody claims it: named by the kernel, its file, or only by its permissions."""

from __future__ import annotations

from typing import Callable, Sequence

from addrspace_gdb.common.escape import printable
from addrspace_gdb.process.libc import BRK
from addrspace_gdb.process.mappings import Mapping, file_path
from addrspace_gdb.space.regions.image_claims import PADDING, Loaded
from addrspace_gdb.space.regions.region import (
    CODE,
    FOREIGN,
    GLOBALS,
    MAIN_STACK_KIND,
    MAPPED_FILES,
    SHARED_LIBS,
    THREAD_STACKS,
    VDSO,
    Claim,
)
from addrspace_gdb.space.regions.sanitizers import sanitizer_of

ANONYMOUS = "anonymous memory"
_DATA = ("rw-p", "rw-?")  # a core does not say whether memory is shared
JIT = "JIT code"  # instructions that come from no file: made at run time, or trampolines such as libffi's
_VDSO_NAMES = ("[vdso]", "[vvar]", "[vvar_vclock]", "[vsyscall]")
_SHARED = (("/memfd:", "memfd"), ("/dev/shm/", "shared memory"), ("/SYSV", "System V shared memory"))


def rest_of(
    mappings: Sequence[Mapping], loaded: Loaded, arch: str, race: bool, allocator: str = ""
) -> Callable[[Mapping], Claim]:
    """The function that names what is left of a mapping. `allocator`: what data of nobody's is called, if C
    has an allocator that takes such memory and does not mark it."""

    sanitizer = sanitizer_of(mappings, arch, race)

    def named(mapping: Mapping) -> Claim:
        area, kind, label = _name(mapping, loaded, sanitizer)
        if allocator and kind == ANONYMOUS and mapping.permissions in _DATA:
            kind = allocator
        return Claim(mapping.start, mapping.end, area, kind, label)

    return named


def _name(mapping: Mapping, loaded: Loaded, sanitizer: Callable[[Mapping], str]) -> tuple[str, str, str]:
    if mapping.name in _VDSO_NAMES:
        return VDSO, mapping.name.strip("[]"), ""
    if mapping.name == "[stack]":
        return THREAD_STACKS, MAIN_STACK_KIND, ""
    if mapping.file is not None:
        return _file(mapping, loaded)
    if mapping.name == "[heap]":
        return FOREIGN, BRK, ""
    kind = sanitizer(mapping)
    if kind:
        return FOREIGN, kind, ""
    kind = "reserved address space" if mapping.permissions.startswith("---") else ANONYMOUS
    return FOREIGN, JIT if mapping.permissions[2] == "x" else kind, printable(mapping.name.strip("[]"))


def _file(mapping: Mapping, loaded: Loaded) -> tuple[str, str, str]:
    file = mapping.file or ""
    made = JIT if mapping.permissions[2] == "x" else None
    for prefix, kind in _SHARED:
        if file.startswith(prefix):
            return FOREIGN, made or kind, printable((file_path(mapping) or "")[len(prefix) :])
    if file.startswith("/dev/zero"):
        return FOREIGN, made or "shared anonymous memory", ""
    role = loaded.files.get(file) if _is_loaded_part(mapping, loaded) else None
    if role == "program":
        return (CODE if "x" in mapping.permissions else GLOBALS), PADDING, ""
    if role == "library":
        return SHARED_LIBS, PADDING, ""
    return MAPPED_FILES, "file", ""


def _is_loaded_part(mapping: Mapping, loaded: Loaded) -> bool:
    """Whether a mapping of a loaded file belongs to its image: programs map such files as data, too."""
    images = [i for i in loaded.program + loaded.libraries if i.image.path == mapping.file]
    return not images or any(mapping.start < i.end and i.start < mapping.end for i in images)
