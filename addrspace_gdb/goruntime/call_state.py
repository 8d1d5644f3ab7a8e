"""What is known while the instructions in front of a call are carried out (call_arguments.py)."""

from __future__ import annotations

from typing import Callable, Dict, NamedTuple, Optional

Word = Callable[[int], Optional[int]]  # the four bytes at an address among the code


class State(NamedTuple):
    """Addresses that registers and words of the stack hold, by their numbers and distances from sp."""

    registers: Dict[int, int]
    stack: Dict[int, int]
    word: Word

    def forget(self) -> None:
        """Behind a call."""
        self.registers.clear()
        self.stack.clear()

    def put(self, register: int, value: Optional[int]) -> None:
        """What a register holds now; None: that is not known."""
        put(self.registers, register, value)

    def lose(self, *registers: int) -> None:
        """What these hold is not known any more."""
        for register in registers:
            self.registers.pop(register, None)


def put(where: Dict[int, int], number: int, value: Optional[int]) -> None:
    """Note what is there, or that it is not known."""
    if value is None:
        where.pop(number, None)
    else:
        where[number] = value


def signed(number: int, bits: int) -> int:
    """The last bits of a number as a signed one."""
    number &= (1 << bits) - 1
    return number - ((number & 1 << bits - 1) << 1)
