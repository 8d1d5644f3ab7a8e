"""The geometry of the address space: where the user half ends, the hole, the kernel half, and the gaps.

Sources: Documentation/arch/x86/x86_64/mm.rst and 5level-paging.rst, Documentation/arch/arm64/memory.rst,
Documentation/arch/riscv/vm-layout.rst, arch/x86/include/asm/page_32_types.h, TASK_SIZE in
arch/*/include/asm/processor.h and task_size_64.h (Linux 6.18).
"""

from __future__ import annotations

import os
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.target.protocol import ProcFiles

_TOP = 1 << 64
_DEFAULT_MIN_ADDR = 64 << 10  # CONFIG_DEFAULT_MMAP_MIN_ADDR of distribution kernels


class Geometry(NamedTuple):
    """How the hardware and the kernel divide the addresses."""

    user_end: int  # one past the last address that a program can have
    kernel_start: Optional[int]  # first address of the kernel half; None: not within a pointer's reach
    non_canonical: Optional[Tuple[int, int]]  # addresses that the hardware refuses
    levels: Optional[int]  # of page tables; None: not known
    mmap_min_addr: Optional[int]  # vm.mmap_min_addr; None: not known
    notes: List[str]  # what was inferred


def geometry(
    arch: str, pointer_size: int, mappings: Sequence[Mapping], proc: Optional[ProcFiles]
) -> Geometry:
    """The geometry for Go's `arch`, as far as the mappings and, for a local process, /proc tell.

    An architecture that is not known here gets the bounds of its mappings, with a note.
    """
    local = proc is not None and proc.local
    minimum = _mmap_min_addr() if local else None
    notes = (
        [] if minimum is not None else ["vm.mmap_min_addr is not known: 64 KiB, the usual value, is shown"]
    )
    top = max((m.end for m in mappings if m.end <= 1 << 63), default=0)
    find = _ARCHITECTURES.get(arch)
    if find is None:
        notes.append(f"the address space of {arch} is not known: its user half ends with its last mapping")
        end = top if pointer_size == 8 else 1 << 32
        return Geometry(end or 1 << 8 * pointer_size - 1, None, None, None, minimum, notes)
    user_end, kernel_start, levels, note = find(top, local)
    if note:
        notes.append(note)
    after = kernel_start if kernel_start is not None else 1 << 8 * pointer_size
    hole = (user_end, after) if after > user_end else None
    return Geometry(user_end, kernel_start, hole, levels, minimum, notes)


_Halves = Tuple[int, Optional[int], Optional[int], str]  # user end, kernel start, levels, note


def _amd64(top: int, local: bool) -> _Halves:
    """The kernel clears la57 in cpuinfo unless it runs with 5 levels, so the flag decides."""
    five = top > 1 << 47 or (local and _cpu_flag(b"la57"))
    bits = 56 if five else 47
    note = "" if five or local else "4-level paging is assumed: no mapping lies above 2^47"
    return 1 << bits, _TOP - (1 << bits), 5 if five else 4, note


def _arm64(top: int, local: bool) -> _Halves:
    """The VA size is a kernel option (39, 42, 47, 48, 52 bits); the main stack lies just below it."""
    bits = next((b for b in (39, 42, 47, 48) if 0 < top <= 1 << b), 48 if top == 0 else 52)
    note = f"a VA size of {bits} bits is inferred from the highest mapping"
    return 1 << bits, _TOP - (1 << bits), None, note


def _riscv64(top: int, local: bool) -> _Halves:
    """Half of sv39, sv48 or sv57; the kernel gives out no more than 47 bits unasked."""
    bits = next((b for b in (38, 47, 56) if top <= 1 << b), 56)
    levels = {38: 3, 47: 4, 56: 5}[bits]
    return 1 << bits, _TOP - (1 << bits), levels, f"sv{bits + 1} is inferred from the highest mapping"


def _s390x(top: int, local: bool) -> _Halves:
    """The kernel has an address space of its own; page tables get another level as mappings need it."""
    bits, levels = next(((b, n) for b, n in ((42, 3), (53, 4)) if top <= 1 << b), (64, 5))
    return 1 << bits, None, levels, f"{levels} levels of page tables are inferred from the highest mapping"


def _ppc64(top: int, local: bool) -> _Halves:
    """128 TiB for the program unless it asks for more; the kernel's regions begin with 0xc."""
    bits = 47 if top <= 1 << 47 else 52
    return 1 << bits, 0xC << 60, None, f"{bits} bits for the program are inferred from the highest mapping"


def _mips64(top: int, local: bool) -> _Halves:
    """xuseg has 40 bits (48 with CONFIG_MIPS_VA_BITS_48); the highest bit is the kernel's."""
    bits = 40 if top <= 1 << 40 else 48
    return 1 << bits, 1 << 63, None, f"{bits} bits for the program are inferred from the highest mapping"


def _loong64(top: int, local: bool) -> _Halves:
    """48-bit virtual addresses, half of them the program's; the highest bit is the kernel's."""
    return 1 << 47, 1 << 63, None, "48-bit virtual addresses are assumed"


def _arm(top: int, local: bool) -> _Halves:
    """3 GiB less the 16 MiB of the kernel's modules under a 32-bit kernel (VMSPLIT_3G), else 4 GiB."""
    if top > 0xBF000000 or (local and os.uname().machine == "aarch64"):
        return 1 << 32, None, None, "the kernel lies above 4 GiB: it is a 64-bit one"
    return 0xBF000000, 0xBF000000, None, "a 3 GiB user part is inferred: no mapping lies above it"


def _386(top: int, local: bool) -> _Halves:
    """3 GiB for the program under a 32-bit kernel (VMSPLIT_3G), 4 GiB less two pages under a 64-bit one."""
    wide = top > 0xC0000000 or (local and os.uname().machine in ("x86_64", "aarch64"))
    if wide:
        return 1 << 32, None, None, "the kernel lies above 4 GiB: it is a 64-bit one"
    return 0xC0000000, 0xC0000000, None, "a 3 GiB user part is inferred: no mapping lies above it"


_ARCHITECTURES: Dict[str, Callable[[int, bool], _Halves]] = {
    "amd64": _amd64,
    "arm64": _arm64,
    "386": _386,
    "arm": _arm,
    "loong64": _loong64,
    "mips64": _mips64,
    "mips64le": _mips64,
    "ppc64": _ppc64,
    "ppc64le": _ppc64,
    "riscv64": _riscv64,
    "s390x": _s390x,
}


def _mmap_min_addr() -> Optional[int]:
    try:
        with open("/proc/sys/vm/mmap_min_addr", "rb") as file:
            return int(file.read(64))
    except (OSError, ValueError):
        return None


def _cpu_flag(flag: bytes) -> bool:
    """Whether the first CPU in /proc/cpuinfo has `flag`."""
    try:
        with open("/proc/cpuinfo", "rb") as file:
            lines = file.read(1 << 14).splitlines()
    except OSError:
        return False
    return any(line.startswith(b"flags") and flag in line.split() for line in lines)


def null_end(mappings: Sequence[Mapping], geometry: Geometry) -> int:
    """End of the NULL area, which begins at 0: vm.mmap_min_addr (64 KiB where that is not known), or
    less where the first mapping begins below it (the limit does not bind CAP_SYS_RAWIO)."""
    limit = geometry.mmap_min_addr if geometry.mmap_min_addr is not None else _DEFAULT_MIN_ADDR
    return min([limit, geometry.user_end, *(m.start for m in mappings)])


def gaps(mappings: Sequence[Mapping], geometry: Geometry) -> List[Tuple[int, int]]:
    """The free ranges of the user half, above the NULL area, between and around the mappings."""
    free: List[Tuple[int, int]] = []
    at = null_end(mappings, geometry)
    for mapping in sorted(mappings):
        if mapping.start >= geometry.user_end:
            break
        if mapping.start > at:
            free.append((at, mapping.start))
        at = max(at, mapping.end)
    if at < geometry.user_end:
        free.append((at, geometry.user_end))
    return free
