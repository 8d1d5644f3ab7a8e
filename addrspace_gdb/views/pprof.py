"""Profiles as `go tool pprof` reads them: profile.proto (github.com/google/pprof/proto), compressed.

Protocol buffers are written by hand: a field is its number and how it is written, then a number in base 128,
or a length and bytes. The same profile gives the same bytes.
"""

from __future__ import annotations

import zlib
from typing import Dict, Iterable, Iterator, List, Tuple

from addrspace_gdb.common.escape import printable
from addrspace_gdb.space.profiles.model import Function, Label, Location, Profile, ProfileMapping, ValueType

# Numbers of fields.
_SAMPLE_TYPE, _SAMPLE, _MAPPING, _LOCATION, _FUNCTION, _STRING = range(1, 7)
_TIME, _PERIOD_TYPE, _PERIOD, _COMMENT, _DEFAULT = 9, 11, 12, 13, 14
_VARINT, _BYTES = 0, 2  # how a field is written
_MASK = (1 << 64) - 1
_PIECE = 1 << 16  # bytes that are compressed together
_MOST_KEPT = 1 << 18  # rows, and sets of labels
_LEVEL = 1  # of compression: Go's own choice
_GZIP = 16 + 15  # wbits: with gzip's head, without a time in it


def varint(number: int) -> bytes:
    """A number in base 128, the lowest digit first; a negative one as its two's complement of 64 bits."""
    if 0 <= number < 0x80:
        return _SMALL[number]
    number &= _MASK
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


_SMALL = [bytes([number]) for number in range(0x80)]


class _Packed(Dict[Tuple[int, ...], bytes]):
    """Rows of numbers that were written before, as they are written behind `head` and the length. Without a
    head they are a part of something, and a 0 among them is nothing."""

    def __init__(self, head: bytes = b"") -> None:
        super().__init__()
        self._head = head

    def __missing__(self, row: Tuple[int, ...]) -> bytes:
        if len(self) > _MOST_KEPT:
            self.clear()
        head = self._head
        content = b"".join(varint(number) for number in row if number or head)
        found = self[row] = head + varint(len(content)) + content if head else content
        return found


def _field(number: int, value: int) -> bytes:
    """A field that is a number; nothing for 0, which it is without."""
    return varint(number << 3 | _VARINT) + varint(value) if value else b""


def _message(number: int, content: bytes) -> bytes:
    return varint(number << 3 | _BYTES) + varint(len(content)) + content


class _Strings:
    """The string table, by what has been asked for. Text is escaped as everywhere: a profile's is UTF-8, and
    who reads one prints it on a terminal."""

    def __init__(self) -> None:
        self.numbers: Dict[str, int] = {"": 0}

    def __call__(self, text: str) -> int:
        return self.numbers.setdefault(text, len(self.numbers))

    def written(self) -> Iterator[bytes]:
        for text in self.numbers:
            yield _message(_STRING, printable(text).encode())


def profile_pieces(profile: Profile) -> Iterator[bytes]:
    """The file, in pieces."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    waiting: List[bytes] = []
    size = 0
    for message in _messages(profile):
        waiting.append(message)
        size += len(message)
        if size >= _PIECE:
            yield packer.compress(b"".join(waiting))
            waiting, size = [], 0
    yield packer.compress(b"".join(waiting)) + packer.flush()


def _messages(profile: Profile) -> Iterator[bytes]:
    strings = _Strings()
    if profile.period_type is not None:
        yield _message(_PERIOD_TYPE, _type(strings, profile.period_type))
        yield _field(_PERIOD, profile.period)
    for type_ in profile.types:
        yield _message(_SAMPLE_TYPE, _type(strings, type_))
    yield _field(_DEFAULT, strings(profile.default))
    yield from _samples(profile, strings)
    for number, location in enumerate(profile.made.locations, 1):
        yield _message(_LOCATION, _location(number, location))
    for number, function in enumerate(profile.made.functions, 1):
        yield _message(_FUNCTION, _function(strings, number, function))
    yield _field(_TIME, profile.time)
    for number, mapping in enumerate(profile.made.mappings, 1):
        yield _message(_MAPPING, _mapping(strings, number, mapping))
    for note in profile.notes:
        yield _field(_COMMENT, strings(note))
    yield from strings.written()


def _samples(profile: Profile, strings: _Strings) -> Iterator[bytes]:
    head, stack, row = (varint(number << 3 | _BYTES) for number in (_SAMPLE, 1, 2))
    values, pieces, join = _Packed(row), _Packed(), b"".join
    sizes = [varint(number) for number in range(1 << 12)]
    labels: Dict[int, Tuple[bytes, object]] = {}  # by the id of what is kept with it
    for sample_values, sample_pieces, sample_labels in profile.samples():
        where = join(map(pieces.__getitem__, sample_pieces))
        known = labels.get(id(sample_labels))
        if known is None:
            about = join(_message(3, _label(strings, label)) for label in sample_labels)
            known = labels[id(sample_labels)] = (about, sample_labels)
            if len(labels) > _MOST_KEPT:
                labels.clear()
        size = len(where)
        long = sizes[size] if size < 1 << 12 else varint(size)
        content = join((values[sample_values], stack, long, where, known[0]))
        size = len(content)
        yield head + (sizes[size] if size < 1 << 12 else varint(size)) + content


def _type(strings: _Strings, type_: ValueType) -> bytes:
    return _field(1, strings(type_.type)) + _field(2, strings(type_.unit))


def _label(strings: _Strings, label: Label) -> bytes:
    return _field(1, strings(label.key)) + _field(2, strings(label.text)) + _field(3, label.number)


def _location(number: int, location: Location) -> bytes:
    lines = b"".join(_message(4, _field(1, function) + _field(2, line)) for function, line in location.lines)
    return _field(1, number) + _field(2, location.mapping) + _field(3, location.address) + lines


def _function(strings: _Strings, number: int, function: Function) -> bytes:
    name = strings(function.name)
    named = _field(1, number) + _field(2, name) + _field(3, name)
    return named + _field(4, strings(function.file)) + _field(5, function.start_line)


def _mapping(strings: _Strings, number: int, mapping: ProfileMapping) -> bytes:
    places = _field(1, number) + _field(2, mapping.start) + _field(3, mapping.end) + _field(4, mapping.offset)
    names = _field(5, strings(mapping.file)) + _field(6, strings(mapping.build_id))
    return places + names + _field(7, int(mapping.has_functions))


def as_text(pieces: Iterable[bytes]) -> Iterator[str]:
    """Bytes as text that comes to the same bytes where it is written."""
    for piece in pieces:
        yield piece.decode("utf-8", "surrogateescape")
