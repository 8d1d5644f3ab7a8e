"""/proc/PID of a remote process, read through the stub's own file access (`vFile` packets).

gdbserver serves them; other stubs may not, and then there is nothing to read.
Packets: gdb manual, "Host I/O Packets". Files are opened read-only and closed again.
"""

from __future__ import annotations

from typing import Optional

import gdb

_CHUNK = 0x3000  # stubs cut answers to their packet size; 12 KiB fits gdbserver's 16 KiB
_ENTRY = 8  # bytes of a pagemap entry
_FARTHEST = 1 << 31  # gdbserver 13.1 parses a file offset as an int; 18.1 does not
_MAX_FILE = 1 << 28  # a /proc file that does not end is not one


class RemoteProc:
    """ProcFiles over a gdb.RemoteTargetConnection."""

    local = False

    def __init__(self, connection: gdb.RemoteTargetConnection, pid: int) -> None:
        self._connection = connection
        self._pid = pid

    def path(self, name: str) -> str:
        """The path on the machine where the process runs."""
        return f"/proc/{self._pid}/{name}"

    def read(self, name: str, offset: int = 0, size: Optional[int] = None) -> bytes:
        """Bytes of /proc/PID/`name` from `offset`, to the end of the file without `size`. Raises OSError."""
        handle = self._call(f"vFile:open:{self.path(name).encode().hex()},0,0")[0]
        try:
            return self._read_all(handle, offset, _MAX_FILE if size is None else size)
        finally:
            self._call(f"vFile:close:{handle:x}")

    def _read_all(self, handle: int, offset: int, size: int) -> bytes:
        parts = []
        while size > 0:
            try:
                count, data = self._call(f"vFile:pread:{handle:x},{min(size, _CHUNK):x},{offset:x}")
            except OSError as error:
                if offset < _FARTHEST:
                    raise
                raise OSError(f"this gdbserver reads only the first 2 GiB of a file ({error})") from None
            if count == 0:
                break
            # A stub sends fewer bytes when some need escaping; pagemap must be read in whole entries.
            kept = count - count % _ENTRY if count > _ENTRY else count
            parts.append(data[:kept])
            offset += kept
            size -= kept
        return b"".join(parts)

    def _call(self, packet: str) -> tuple[int, bytes]:
        answer = self._connection.send_packet(packet.encode())
        if not answer or not answer.startswith(b"F"):
            raise OSError("the remote stub does not read files (no vFile support)")
        head, _, data = answer[1:].partition(b";")
        number, _, error = head.partition(b",")
        if number.startswith(b"-"):
            raise OSError(
                f"the remote stub could not do {packet.split(':')[1]}: errno {error.decode() or '?'}"
            )
        return int(number, 16), _unescape(data)


def _unescape(data: bytes) -> bytes:
    """Undo the remote protocol's escape: `}` then the byte xor 0x20 (an escaped `}` is `}]`)."""
    head, *rest = data.split(b"}")
    return head + b"".join(bytes((part[0] ^ 0x20,)) + part[1:] for part in rest if part)
