"""Signals by the numbers that most of Linux's architectures give them.

MIPS has its own from IRIX (arch/mips/include/uapi/asm/signal.h), and its siginfo has the code before the
errno (arch/mips/include/uapi/asm/siginfo.h). What is read of a process or core goes through here, so that one
number means one signal everywhere.
"""

from __future__ import annotations

from typing import Tuple

# By MIPS's number that of include/uapi/asm-generic/signal.h, where the two differ.
_OF_MIPS = {10: 7, 12: 31, 16: 10, 17: 12, 18: 17, 19: 30, 20: 28, 21: 23, 22: 29}
_OF_MIPS.update({23: 19, 24: 20, 25: 18, 26: 21, 27: 22, 28: 26, 29: 27, 30: 24, 31: 25})
_SIGEMT = 7  # which only MIPS has
_UNNAMED = 64  # beside the real-time signals


def usual_number(number: int, mips: bool) -> int:
    """The number that other architectures have for a signal; above 64 where they have none."""
    if not mips:
        return number
    return _UNNAMED + number if number == _SIGEMT else _OF_MIPS.get(number, number)


def number_and_code(words: Tuple[int, int, int], mips: bool) -> Tuple[int, int]:
    """si_signo, as `usual_number` gives it, and si_code of the first three words of a siginfo."""
    number, second, third = words
    return usual_number(number, mips), second if mips else third
