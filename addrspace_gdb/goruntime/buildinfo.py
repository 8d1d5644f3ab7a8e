"""The Go version of a program: runtime.buildVersion, or what the linker left in .go.buildinfo.

The build information (cmd/link/internal/ld/data.go, debug/buildinfo) stands at the beginning of the writable
data, so that a core has it too when the program's file is gone.
"""

from __future__ import annotations

import re
import struct
from typing import Callable, FrozenSet, NamedTuple, Optional, Tuple

from addrspace_gdb.common.escape import decoded
from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.target.protocol import Target

MAGIC = b"\xff Go buildinf:"
_INLINE = 2  # flag since Go 1.18: two strings with varint lengths follow at offset 32
_ALIGN, _HEADER, _MAX_VERSION, _MAX_TEXT = 16, 32, 256, 1 << 20
_LONGEST_VARINT = 10

Reader = Callable[[int, int], bytes]


class Version(NamedTuple):
    """What the text of a Go version says: "go1.26.6 X:nogreenteagc" is 26 with one experiment."""

    minor: Optional[int]
    patch: int
    experiments: FrozenSet[str]


def parse_version(text: str) -> Version:
    """The version in `text`, as runtime.Version gives it; the experiments stand behind "X:"."""
    found = re.search(r"go1\.(\d{1,3})(?:\.(\d{1,3}))?", text)
    experiments = re.search(r"X:([\w,]+)", text)
    names = experiments.group(1).split(",") if experiments else []
    if found is None:
        return Version(None, 0, frozenset(names))
    return Version(int(found.group(1)), int(found.group(2) or 0), frozenset(names))


class BuildInfo(NamedTuple):
    """What .go.buildinfo says."""

    version: str  # "go1.26.6", with " X:..." behind it for experiments that are not the default
    text: str  # module and build settings, as `go version -m` prints them


def find_build_info(data: bytes, read: Reader, start: int) -> Optional[BuildInfo]:
    """The build information in `data`, which lies at `start` of the target; None if there is none."""
    at = data.find(MAGIC)
    while at >= 0:
        if (start + at) % _ALIGN == 0:
            try:
                found = _decode(start + at, read)
            except UnreadableError:
                found = None
            if found is not None:
                return found
        at = data.find(MAGIC, at + 1)
    return None


def _decode(address: int, read: Reader) -> Optional[BuildInfo]:
    flags = read(address + len(MAGIC) + 1, 1)[0]
    if not flags & _INLINE:
        return None  # before Go 1.18
    version, following = _text(address + _HEADER, read, _MAX_VERSION)
    if not version.startswith(("go1.", "devel")):
        return None
    try:
        text = _text(following, read, _MAX_TEXT)[0]
    except UnreadableError:
        text = ""
    return BuildInfo(version, text[16:-16] if len(text) >= 33 else "")  # between two marks of 16 bytes


def _text(address: int, read: Reader, most: int) -> Tuple[str, int]:
    size = shift = 0
    for at in range(_LONGEST_VARINT):
        byte = read(address + at, 1)[0]
        size |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    else:
        return "", address
    if size > most:
        return "", address
    start = address + at + 1
    return read(start, size).decode("utf-8", "surrogateescape"), start + size


def version_of(target: Target) -> Optional[str]:
    """The program's Go version, such as "go1.26.6"; None if it cannot be read."""
    symbol = target.symbol("runtime.buildVersion")
    if symbol is None:
        return target.facts.build_version
    return read_string(target, symbol.address)


def read_string(target: Target, address: int) -> Optional[str]:
    """The Go string whose header is at `address`; None if it is empty, too long or unreadable."""
    word = target.pointer_size
    order = "<" if target.byte_order == "little" else ">"
    try:
        data, size = struct.unpack(order + ("QQ" if word == 8 else "II"), target.read(address, 2 * word))
        return decoded(target.read(data, size)) if 0 < size <= _MAX_VERSION else None
    except UnreadableError:
        return None
