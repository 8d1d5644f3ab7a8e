"""The pprof labels of a goroutine: g.labels (src/runtime/pprof/label.go)."""

from __future__ import annotations

from typing import Dict, Iterator, List, Optional, Tuple

from addrspace_gdb.common.escape import decoded
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.record import Record, Runtime

MAX_LABELS = 64
_MAX_TEXT = 256  # bytes of a key or value that are read
_WHOLE_TEXT = 1 << 16  # the same, where each is wanted whole
_MAX_BUCKETS = 64
_SLOTS = 8  # abi.MapBucketCount, older bucketCnt
_MIN_TOP_HASH = 5  # src/runtime/map.go: a lower tophash says that the slot is empty or was moved


def read_labels(runtime: Runtime, pointer: int, minor: Optional[int]) -> Dict[str, str]:
    """The labels that g.labels points to, by key; what cannot be read is left out.

    *labelMap is *map[string]string up to Go 1.23; since 1.24 it begins with a slice of {key, value}.
    """
    if not pointer:
        return {}
    try:
        read = _of_map if minor is not None and minor < 24 else _of_list
        return dict(sorted(read(runtime, pointer)))
    except (UnreadableError, ProblemError, KeyError):
        return {}


def read_pairs(runtime: Runtime, pointer: int, minor: Optional[int]) -> List[Tuple[str, str]]:
    """As `read_labels`, each whole, and in the order of the list (up to Go 1.23, of the keys)."""
    try:
        if minor is not None and minor < 24:
            return sorted(_of_map(runtime, pointer, _WHOLE_TEXT))
        return _of_list(runtime, pointer, _WHOLE_TEXT)
    except (UnreadableError, ProblemError, KeyError):
        return []


def _of_list(runtime: Runtime, pointer: int, most: int = _MAX_TEXT) -> List[Tuple[str, str]]:
    header = runtime.words(pointer, 2, "labels")
    if len(header) < 2 or not 0 < header[1] <= MAX_LABELS:
        return []
    words = runtime.words(header[0], 4 * header[1], "labels")
    return [
        (
            _string(runtime, words[at], words[at + 1], most),
            _string(runtime, words[at + 2], words[at + 3], most),
        )
        for at in range(0, len(words), 4)
    ]


def _of_map(runtime: Runtime, pointer: int, most: int = _MAX_TEXT) -> List[Tuple[str, str]]:
    """A map of hmap and bmap (src/runtime/map.go up to Go 1.23), half-moved ones included."""
    table: Record = runtime.record("runtime.hmap", runtime.word_at(pointer))
    count = table.number("count")
    shift = table.number("B")
    if not 0 < count <= MAX_LABELS or 1 << shift > _MAX_BUCKETS:
        return []
    found: List[Tuple[str, str]] = []
    for first, buckets in ((table.number("buckets"), 1 << shift), (table.number("oldbuckets"), 1 << shift)):
        size = _SLOTS + 4 * _SLOTS * runtime.word + runtime.word
        for index in range(buckets if first else 0):
            found += _bucket(runtime, first + index * size, size, most)
            if len(found) >= count:
                return found[:count]
    return found


def _bucket(runtime: Runtime, address: int, size: int, most: int) -> Iterator[Tuple[str, str]]:
    """Entries of a bucket and those that overflowed: tophash[8], keys[8], values[8], overflow."""
    word, steps = runtime.word, 0
    while address and steps < _MAX_BUCKETS:
        steps += 1
        raw = runtime.target.read(address, size)

        def at(offset: int, raw: bytes = raw) -> int:
            return int.from_bytes(raw[offset : offset + word], runtime.order)

        for slot in range(_SLOTS):
            if raw[slot] >= _MIN_TOP_HASH:
                key = _SLOTS + 2 * slot * word
                value = key + 2 * _SLOTS * word
                yield (
                    _string(runtime, at(key), at(key + word), most),
                    _string(runtime, at(value), at(value + word), most),
                )
        address = at(size - word)


def _string(runtime: Runtime, address: int, size: int, most: int) -> str:
    if size <= 0:
        return ""
    return decoded(runtime.target.read(address, min(size, most)), size, most)
