"""Types of Go's own packages that say less than they are of, by their names."""

from __future__ import annotations

from typing import Optional


def is_atomic_pointer(name: str, package: Optional[str]) -> bool:
    """Whether a struct is sync/atomic's Pointer[T]: an array of no *T, and an unsafe.Pointer."""
    return package == "sync/atomic" and name.startswith("atomic.Pointer[")


def channel_name(name: str) -> str:
    """The channel that a type of channels leads to, whichever directions that allows."""
    for directed in ("<-chan ", "chan<- "):
        if name.startswith(directed):
            return f"chan {name[len(directed) :]}"
    return name
