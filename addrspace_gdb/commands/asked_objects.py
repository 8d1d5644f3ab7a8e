"""Objects of the heap that a command is asked about, by expressions."""

from __future__ import annotations

from typing import List, NamedTuple, Sequence

from addrspace_gdb.commands.session import Session
from addrspace_gdb.commands.whereis import addresses_of
from addrspace_gdb.common.problems import ProblemError


class Asked(NamedTuple):
    """An expression and the address that it comes to."""

    text: str
    address: int


def asked_of(session: Session, expressions: Sequence[str]) -> List[Asked]:
    """What the expressions come to; one may be several. ProblemError."""
    target = session.target()
    return [
        Asked(value.expression, value.address) for text in expressions for value in addresses_of(target, text)
    ]


def no_object(asked: Asked) -> ProblemError:
    """What is said of an address where the heap has no object."""
    where = f"{asked.address:#x}"
    what = where if asked.text.lower() == where else f"{asked.text} ({where})"
    return ProblemError(f"{what} is not an object of the heap (see `addrspace whereis {where}`)")
