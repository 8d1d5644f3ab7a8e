"""The mappings of a process, as the kernel lists them in /proc/PID/maps or a core records them."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common.escape import printable, unescaped
from addrspace_gdb.common.problems import Problems

DELETED = " (deleted)"  # d_path's mark for a file that has no name any more (Linux, fs/d_path.c)
NO_ACCESS = ("---", "?--")  # PROT_NONE; a core from gdb does not tell it from read-only memory


class Mapping(NamedTuple):
    """One mapping (vm_area_struct) of the process."""

    start: int
    end: int
    permissions: str  # "rw-p"; the last character is "?" where a core does not say
    file: Optional[str]  # path of the mapped file, None for anonymous memory
    offset: int = 0  # of `start` in the file, bytes
    inode: int = 0
    device: str = ""  # "fe:00", as in maps
    name: str = ""  # the kernel's own name in brackets: "[stack]", "[vdso]", "[anon: Go: heap]"
    dumped: int = -1  # bytes of it that a core file holds, from its start; -1: not a core
    flags: str = ""  # VmFlags of smaps, "rd wr mr mw me lo"; empty where they were not read

    @property
    def size(self) -> int:
        """Bytes of address space."""
        return self.end - self.start

    @property
    def locked(self) -> bool:
        """Whether mlock or mlockall keeps it in memory (smaps: "lo")."""
        return "lo" in self.flags.split()

    @property
    def asked_huge(self) -> bool:
        """Whether the process has asked for huge pages there (smaps: "hg", MADV_HUGEPAGE)."""
        return "hg" in self.flags.split()


def is_anonymous(mapping: Mapping) -> bool:
    """Whether no file is behind it and the kernel gives it no purpose ([heap] and [anon: …] count)."""
    if mapping.file is not None:
        return False
    return not mapping.name or mapping.name == "[heap]" or mapping.name.startswith("[anon:")


def is_deleted(mapping: Mapping) -> bool:
    """Whether the mapped file has been unlinked or replaced; memfd and shared memory always look so."""
    return mapping.file is not None and mapping.file.endswith(DELETED)


def file_path(mapping: Mapping) -> Optional[str]:
    """The file's path without the mark of a deleted file; None for anonymous memory."""
    if mapping.file is None:
        return None
    return mapping.file[: -len(DELETED)] if is_deleted(mapping) else mapping.file


def add(mappings: Sequence[Mapping], more: Sequence[Mapping]) -> List[Mapping]:
    """Both lists as one; where they overlap, what `mappings` says counts."""
    found = list(mappings)
    for mapping in more:
        at = mapping.start
        for known in sorted(m for m in mappings if m.start < mapping.end and m.end > mapping.start):
            if known.start > at:
                found.append(mapping._replace(start=at, end=known.start))
            at = max(at, known.end)
        if at < mapping.end:
            found.append(mapping._replace(start=at))
    return sorted(found)


def parse_maps(data: bytes, problems: Optional[Problems] = None) -> List[Mapping]:
    """The mappings in /proc/PID/maps (proc_pid_maps(5)), in the kernel's order.

    Names in brackets become `name`, every other name `file` (so `/memfd:x (deleted)` and `/SYSV…` are
    files). Bytes that are not UTF-8 become surrogates. A line that is not a mapping is skipped and reported
    to `problems`.
    """
    found: List[Mapping] = []
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        # Not splitlines(): a path may hold U+0085, \r or \f.
        fields = line.split(None, 5)
        try:
            span, permissions, offset, device, inode = fields[:5]
            start, end = span.split("-")
            low, high = int(start, 16), int(end, 16)
            if not 0 <= low < high <= 1 << 64 or len(permissions) != 4:
                raise ValueError
            at, node = int(offset, 16), int(inode)
        except ValueError:
            if line and problems is not None:
                problems.add(f"maps: not a mapping: {printable(line[:80])}")
            continue
        text = fields[5] if len(fields) > 5 else ""
        if not text:
            found.append(Mapping(low, high, permissions, None, at, node, device))
            continue
        if "\\" in text:
            text = unescaped(text)
        if text[0] == "[":
            found.append(Mapping(low, high, permissions, None, at, node, device, text))
        else:
            found.append(Mapping(low, high, permissions, text, at, node, device))
    return found


def parse_smaps_totals(data: bytes, problems: Optional[Problems] = None) -> Dict[int, Tuple[int, int]]:
    """Mapping start to (Rss, Swap) in bytes, from /proc/PID/smaps, in the kernel's order.

    An entry that lacks a field or does not parse is skipped and reported to `problems`.
    """
    totals: Dict[int, Tuple[int, int]] = {}
    size_at = data.find(b"\nSize:")
    while size_at >= 0:
        following = data.find(b"\nSize:", size_at + 1)
        limit = following if following >= 0 else len(data)
        header = data[data.rfind(b"\n", 0, size_at) + 1 : size_at]
        try:
            start = int(header[: header.index(b"-")], 16)
            rss = _kilobytes(data, b"\nRss:", size_at, limit)
            totals[start] = (rss, _kilobytes(data, b"\nSwap:", size_at, limit))
        except ValueError:
            if problems is not None:
                problems.add(
                    f"smaps: not an entry: {printable(header[:80].decode('utf-8', 'surrogateescape'))}"
                )
        size_at = following
    return totals


def with_flags(mappings: Sequence[Mapping], smaps: bytes) -> List[Mapping]:
    """The mappings with the VmFlags that /proc/PID/smaps has for them (Linux 3.8)."""
    found: Dict[int, str] = {}
    size_at = smaps.find(b"\nSize:")
    while size_at >= 0:
        following = smaps.find(b"\nSize:", size_at + 1)
        flags_at = smaps.find(b"\nVmFlags:", size_at, following if following >= 0 else len(smaps))
        header = smaps[smaps.rfind(b"\n", 0, size_at) + 1 : size_at]
        start, dash, _ = header.partition(b"-")
        if flags_at >= 0 and dash:
            line = smaps[flags_at + 1 : smaps.find(b"\n", flags_at + 1)]
            found[_hex(start)] = line.partition(b":")[2].decode("ascii", "replace").strip()
        size_at = following
    return [m._replace(flags=found[m.start]) if m.start in found else m for m in mappings]


def _hex(text: bytes) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return -1


def _kilobytes(data: bytes, key: bytes, start: int, limit: int) -> int:
    """The value in bytes of the line `key` between two offsets; ValueError where there is none."""
    at = data.index(key, start, limit) + len(key)
    end = data.find(b"\n", at, limit)
    number, unit = data[at : end if end >= 0 else limit].split()
    if unit != b"kB" or not number.isdigit():
        raise ValueError(number)
    return int(number) * 1024
