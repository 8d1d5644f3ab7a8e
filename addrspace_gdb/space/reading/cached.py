"""What is worked out of a reading when somebody asks for it, and kept with the reading.

It stands under the function that makes it, so that nobody else sets it.
"""

from __future__ import annotations

from functools import wraps
from typing import Any, Callable, Dict, Protocol, TypeVar


class Keeps(Protocol):
    """A reading that things can be kept with."""

    @property
    def kept(self) -> Dict[object, Any]:
        """What was worked out of it by now; for `cached` alone."""


Read = TypeVar("Read", bound=Keeps)
Made = TypeVar("Made")


def cached(reading: Keeps, key: object, make: Callable[[], Made]) -> Made:
    """What `make` gave when `key` was asked for the first time."""
    kept = reading.kept
    if key not in kept:
        kept[key] = make()
    found: Made = kept[key]
    return found


def once(make: Callable[[Read], Made]) -> Callable[[Read], Made]:
    """A decorator: `make` is called once for a reading."""

    @wraps(make)
    def asked(reading: Read) -> Made:
        return cached(reading, make, lambda: make(reading))

    return asked


def forget(reading: Keeps, asked: object) -> None:
    """What a function with `once` gave for this reading, which has changed; or what stands under this key."""
    reading.kept.pop(getattr(asked, "__wrapped__", asked), None)


def hand_on(reading: Keeps, asked: Callable[[Read], Made], to: Keeps) -> None:
    """What a function with `once` gave for a reading, if it did, is what it gives for another one too."""
    key = getattr(asked, "__wrapped__", asked)
    if key in reading.kept:
        to.kept[key] = reading.kept[key]
