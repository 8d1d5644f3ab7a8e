"""Where the ELF files that a process maps were loaded, and the paths under which they can be opened."""

from __future__ import annotations

import os
from typing import NamedTuple, Optional, Sequence

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.process.elf import Image, read_image
from addrspace_gdb.process.elf_structs import PF_X
from addrspace_gdb.process.mappings import Mapping, file_path, is_deleted
from addrspace_gdb.target.protocol import ProcFiles

_MAX_CANDIDATES, _MAX_OWN = 32, 1024  # mappings of one file that load_bias weighs


class LoadedImage(NamedTuple):
    """An image and where it was loaded: run-time address = `bias` + address in the file."""

    image: Image
    bias: int
    start: int
    end: int  # end of the last segment in memory, .bss included


def load_bias(
    image: Image, mappings: Sequence[Mapping], file: Optional[str] = None, page_size: int = 4096
) -> Optional[int]:
    """What to add to the image's addresses; None where the image is not loaded.

    `file` is the name under which `mappings` list it (without it, the image's path). The lowest PT_LOAD
    gives the bias; a file that is mapped more than once (read as data too) is taken where most of its
    segments are found at the addresses that this bias gives them.
    """
    name = image.path if file is None else file
    own = [m for m in mappings if m.file is not None and name in (m.file, file_path(m))]
    if not own or not image.segments:
        return None
    lowest = min(image.segments, key=lambda segment: segment.vaddr)
    offset = lowest.offset - lowest.vaddr % page_size
    address = lowest.vaddr - lowest.vaddr % page_size
    best: Optional[int] = None
    best_score = -1
    first = [m for m in own if m.offset <= offset < m.offset + m.size]
    for mapping in first[:_MAX_CANDIDATES]:
        bias = mapping.start + (offset - mapping.offset) - address
        score = _segments_found(image, own[:_MAX_OWN], bias)
        if bias >= 0 and score > best_score:
            best, best_score = bias, score
    return best


def _segments_found(image: Image, own: Sequence[Mapping], bias: int) -> int:
    """How many segments lie where `bias` puts them: the file's contents there, executable if they are."""
    found = 0
    for segment in image.segments[:_MAX_CANDIDATES]:
        at = bias + segment.vaddr
        permission = "x" if segment.flags & PF_X else "-"
        found += any(
            m.start <= at < m.end
            and at - m.start + m.offset == segment.offset
            and m.permissions[2] in (permission, "?")
            for m in own
        )
    return found


def image_at(
    path: str,
    mappings: Sequence[Mapping],
    proc: Optional[ProcFiles] = None,
    page_size: int = 4096,
) -> Optional[LoadedImage]:
    """The ELF file that `mappings` list as `path`, and where it is loaded; None where it is not.

    Raises ProblemError where the file cannot be opened or is not ELF.
    """
    own = [m for m in mappings if m.file is not None and path in (m.file, file_path(m))]
    return loaded_at(read_image(open_path(proc, own[0]), shown=path), own, path, page_size) if own else None


def loaded_at(
    image: Image, own: Sequence[Mapping], path: str, page_size: int = 4096
) -> Optional[LoadedImage]:
    """Where `image` is loaded, which `own` list as `path`; None where it is not."""
    bias = load_bias(image, own, path, page_size)
    if bias is None:
        return None
    start = bias + min(segment.vaddr for segment in image.segments)
    end = bias + max(segment.vaddr + segment.memsz for segment in image.segments)
    return LoadedImage(image, bias, start - start % page_size, min(end + -end % page_size, 1 << 64))


def open_path(proc: Optional[ProcFiles], mapping: Mapping) -> str:
    """A path under which the mapped file can be opened, though it may be deleted or in another mount
    namespace: /proc/PID/root/PATH if that is the very file, else /proc/PID/map_files (needs
    CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN), else /proc/PID/exe, else the path itself.
    """
    path = file_path(mapping)
    if path is None:
        raise ProblemError(f"the mapping at {mapping.start:#x} has no file")
    if proc is None or not proc.local:
        return path
    rooted = proc.path("root") + path
    links = [proc.path(f"map_files/{mapping.start:x}-{mapping.end:x}")]
    if _points_to(proc.path("exe"), mapping.file or ""):
        links.append(proc.path("exe"))
    for candidate in [rooted, *links]:
        if _is_file(candidate, mapping.inode):
            return candidate
    if not is_deleted(mapping) and _is_file(rooted, 0):  # overlay and btrfs: maps shows another inode
        return rooted
    return path


def _points_to(link: str, target: str) -> bool:
    try:
        return os.readlink(link) == target
    except (OSError, ValueError):
        return False


def _is_file(path: str, inode: int) -> bool:
    """Whether `path` can be opened and is inode `inode` (0: whichever)."""
    try:
        return os.access(path, os.R_OK) and inode in (0, os.stat(path).st_ino)
    except (OSError, ValueError):
        return False
