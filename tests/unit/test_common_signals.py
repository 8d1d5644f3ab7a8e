"""Signal numbers of MIPS, by the kernel's two headers."""

from __future__ import annotations

import struct

import pytest

from addrspace_gdb.common.signals import usual_number
from addrspace_gdb.process.corenotes import siginfo

# By name: arch/mips/include/uapi/asm/signal.h, include/uapi/asm-generic/signal.h.
NUMBERS = {
    "HUP": (1, 1), "INT": (2, 2), "QUIT": (3, 3), "ILL": (4, 4), "TRAP": (5, 5),
    "ABRT": (6, 6), "FPE": (8, 8), "KILL": (9, 9), "BUS": (10, 7), "SEGV": (11, 11),
    "SYS": (12, 31), "PIPE": (13, 13), "ALRM": (14, 14), "TERM": (15, 15), "USR1": (16, 10),
    "USR2": (17, 12), "CHLD": (18, 17), "PWR": (19, 30), "WINCH": (20, 28), "URG": (21, 23),
    "IO": (22, 29), "STOP": (23, 19), "TSTP": (24, 20), "CONT": (25, 18), "TTIN": (26, 21),
    "TTOU": (27, 22), "VTALRM": (28, 26), "PROF": (29, 27), "XCPU": (30, 24), "XFSZ": (31, 25),
}  # fmt: skip


@pytest.mark.parametrize("name", NUMBERS)
def test_one_number_means_one_signal(name: str) -> None:
    of_mips, usual = NUMBERS[name]
    assert usual_number(of_mips, True) == usual
    assert usual_number(usual, False) == usual


def test_no_two_signals_are_one() -> None:
    assert len({usual_number(number, True) for number in range(1, 65)}) == 64
    assert usual_number(7, True) > 64  # SIGEMT, which nobody else has


@pytest.mark.parametrize("order", ["little", "big"])
def test_a_siginfo_has_its_code_where_the_machine_puts_it(order: str) -> None:
    prefix = "<" if order == "little" else ">"
    address = 0xC00005BE54
    of_mips = struct.pack(prefix + "4iQ", 10, 1, 99, 0, address)
    usual = struct.pack(prefix + "4iQ", 7, 99, 1, 0, address)
    expected = (7, 1, address, None)
    assert siginfo(of_mips, 8, order, mips=True) == siginfo(usual, 8, order, mips=False) == expected
