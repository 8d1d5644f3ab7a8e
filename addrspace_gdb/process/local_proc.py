"""/proc/PID of a process on this machine."""

from __future__ import annotations

from typing import Optional


class LocalProc:
    """ProcFiles of a process on this machine."""

    local = True

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def path(self, name: str) -> str:
        """/proc/PID/`name`."""
        return f"/proc/{self._pid}/{name}"

    def read(self, name: str, offset: int = 0, size: Optional[int] = None) -> bytes:
        """Bytes of the file from `offset`, to its end without `size`. Raises OSError."""
        with open(self.path(name), "rb", buffering=0 if size is None else -1) as file:
            if offset:
                file.seek(offset)
            return file.read() if size is None else file.read(size)
