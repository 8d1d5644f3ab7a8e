"""Paths in commands of lldb."""

from __future__ import annotations

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError

_NEVER = "\n`"  # lldb takes these apart before it looks at quotes


def path_in_lldb(path: str) -> str:
    """A path as one word of a command of lldb. ProblemError if lldb cannot be given it."""
    if any(character in path for character in _NEVER) or ("'" in path and '"' in path):
        raise ProblemError(f"lldb cannot import a file in a folder of this name: {printable(path)}")
    if not set(path) & set(" \t'\"\\#"):
        return path
    return f'"{path}"' if "'" in path else f"'{path}'"
