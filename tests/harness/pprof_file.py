"""A reader of profile.proto that shares nothing with what writes it, and `go tool pprof`."""

from __future__ import annotations

import gzip
import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple, Union

from harness.toolchains import Toolchain, go_environment

Stack = Tuple[Any, ...]


class Sample(NamedTuple):
    """A sample with its stack spelled out: of each location address, mapping, and (function, file, start
    line, line) of each of its lines."""

    stack: Stack
    values: Tuple[int, ...]
    labels: Tuple[Tuple[str, str, int], ...]


class Pprof(NamedTuple):
    """A whole file."""

    types: List[Tuple[str, str]]
    default: str
    period_type: Tuple[str, str]
    period: int
    time: int
    comments: List[str]
    mappings: List[Tuple[Any, ...]]
    samples: List[Sample]

    def counted(self) -> Counter[Sample]:
        """Samples that are not all 0, in no order."""
        return Counter(sample for sample in self.samples if any(sample.values))


def _varint(data: bytes, at: int) -> Tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7


def _fields(data: bytes) -> Iterator[Tuple[int, Union[int, bytes]]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        value, at = _varint(data, at)
        if key & 7 == 0:
            yield key >> 3, value
        else:
            assert key & 7 == 2, key
            yield key >> 3, data[at : at + value]
            at += value


def _message(data: bytes) -> Dict[int, List[Any]]:
    found: Dict[int, List[Any]] = {}
    for number, value in _fields(data):
        found.setdefault(number, []).append(value)
    return found


def _numbers(values: List[Any]) -> List[int]:
    found: List[int] = []
    for value in values:
        if isinstance(value, int):
            found.append(value)
            continue
        at = 0
        while at < len(value):
            number, at = _varint(value, at)
            found.append(number)
    return [number - (1 << 64) if number >> 63 else number for number in found]


def _one(message: Dict[int, List[Any]], number: int) -> int:
    values = message.get(number, [0])
    assert len(values) == 1
    return int(values[0])


def read_pprof(path: Path) -> Pprof:
    """Read it all. AssertionError where an id stands for nothing."""
    whole = _message(gzip.decompress(path.read_bytes()))
    strings = [value.decode("utf-8", "surrogateescape") for value in whole[6]]

    def typed(data: bytes) -> Tuple[str, str]:
        message = _message(data)
        return strings[_one(message, 1)], strings[_one(message, 2)]

    functions = {}
    for message in map(_message, whole.get(5, [])):
        assert _one(message, 2) == _one(message, 3)
        functions[_one(message, 1)] = (strings[_one(message, 2)], strings[_one(message, 4)], _one(message, 5))
    mappings = {}
    for message in map(_message, whole.get(3, [])):
        names = strings[_one(message, 5)], strings[_one(message, 6)]
        places = tuple(_one(message, number) for number in (2, 3, 4))
        mappings[_one(message, 1)] = (*places, *names, *(_one(message, number) for number in range(7, 11)))
    locations = {}
    for message in map(_message, whole.get(4, [])):
        lines = []
        for line in map(_message, message.get(4, [])):
            lines.append((*functions[_one(line, 1)], _one(line, 2)))
        mapping = _one(message, 2)
        locations[_one(message, 1)] = (
            _one(message, 3),
            mappings[mapping][:5] if mapping else None,
            tuple(lines),
        )
    samples = []
    for message in map(_message, whole.get(2, [])):
        labels = [
            (strings[_one(label, 1)], strings[_one(label, 2)], _one(label, 3))
            for label in map(_message, message.get(3, []))
        ]
        samples.append(
            Sample(
                tuple(locations[number] for number in _numbers(message.get(1, []))),
                tuple(_numbers(message[2])),
                tuple(sorted(labels)),
            )
        )
    return Pprof(
        [typed(value) for value in whole[1]],
        strings[_one(whole, 14)],
        typed(whole[11][0]) if 11 in whole else ("", ""),
        _one(whole, 12),
        _one(whole, 9),
        [strings[number] for number in _numbers(whole.get(13, []))],
        [mappings[number] for number in sorted(mappings)],
        samples,
    )


def go_pprof(go: Toolchain, *arguments: object) -> Tuple[str, str]:
    """What `go tool pprof` says on stdout and on stderr."""
    environment = {**go_environment(), "PPROF_TMPDIR": os.environ.get("TMPDIR", "/tmp")}
    done = subprocess.run(
        [str(go.go), "tool", "pprof", *map(str, arguments)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr
