"""The general registers of every machine, against what the notes of a core are known to have."""

from __future__ import annotations

import struct

import pytest

from addrspace_gdb.debugger.gdb.registers import REGISTERS
from addrspace_gdb.process.corenotes import _PRSTATUS
from addrspace_gdb.process.registers import _ARCHITECTURES, architecture, register_set


@pytest.mark.parametrize("arch", sorted(REGISTERS))
def test_a_set_has_the_names_that_gdb_has(arch: str) -> None:
    names, known = register_set(arch), REGISTERS[arch]
    assert names is not None
    assert (names.pc, names.sp, names.link) == (known.pc, known.sp, known.link)
    assert {known.pc, known.sp, known.fp} - {"r22"} <= set(names.names) | {"r11"}
    used = [name for name in names.names if name]
    assert len(used) == len(set(used))


@pytest.mark.parametrize("key", sorted(_ARCHITECTURES))
def test_pc_and_sp_lie_where_prstatus_has_them(key: tuple[str, int, str]) -> None:
    """corenotes.py has these offsets from the kernel's headers, by machine."""
    machine, pointer, order = key
    arch = architecture(*key)
    assert arch is not None
    names = register_set(arch)
    assert names is not None and names.size == pointer
    known = _PRSTATUS.get(machine)
    if known is None:  # mips, whose cores corenotes.py takes no registers of
        assert machine == "EM_MIPS"
        return
    begins = 112 if pointer == 8 else 72
    count = len(names.names)
    data = struct.pack(
        f"{'<' if order == 'little' else '>'}{count}{'Q' if pointer == 8 else 'I'}", *range(count)
    )
    found = names.decode(data, order)
    assert found[names.pc] == (known.pc - begins) // pointer
    assert found[names.sp] == (known.sp - begins) // pointer
    if known.tls is not None and names.tls is not None:
        assert found[names.tls] == (known.tls - begins) // pointer
    assert len(names.decode(data[: 3 * pointer + 1], order)) == 3 - names.names[:3].count("")


def test_what_go_has_not_has_no_set() -> None:
    assert architecture("EM_SPARC", 8, "big") is None
    assert register_set("sparc64") is None
