"""Reading a JSON object member by member, against reading it whole; and how much memory that takes."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest
from harness import CHECKOUT

from addrspace_gdb.space.moments import json_stream
from addrspace_gdb.space.moments.json_stream import Items, JsonStream, NotAnObjectError


def read(text: bytes) -> Dict[str, Any]:
    """The whole object, by the stream."""
    found: Dict[str, Any] = {}
    for key, value in JsonStream(io.BytesIO(text)).members():
        found[key] = list(value) if isinstance(value, Items) else value
    return found


def made(seed: random.Random, depth: int = 0) -> Any:
    """Any value."""
    if depth < 3 and seed.random() < 0.5:
        if seed.random() < 0.5:
            return [made(seed, depth + 1) for _ in range(seed.randrange(6))]
        return {f"k{number}": made(seed, depth + 1) for number in range(seed.randrange(6))}
    return seed.choice((None, True, -17, 1234567890123, 0.25, "", 'é😀\\"\n', "x" * 100, "0xc000000000"))


@pytest.mark.parametrize("chunk", [1, 2, 7, 64, 1 << 20])
def test_it_is_what_json_reads(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(json_stream, "_CHUNK", chunk)
    for number in range(60):
        seed = random.Random(number)
        document = {f"m{at}": made(seed) for at in range(seed.randrange(8))}
        indent, ascii_only = seed.choice((None, 0, 2)), seed.random() < 0.5
        text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
        assert read(seed.choice((b"", b" \n")) + text.encode() + b"\n") == document


@pytest.mark.parametrize("chunk", [3, 1 << 20])
def test_what_json_refuses_is_refused(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(json_stream, "_CHUNK", chunk)
    text = json.dumps({"a": [1, {"b": "é"}, "x"], "n": 125, "t": True, "e": []}, ensure_ascii=False).encode()
    refused = 0
    for number in range(2000):
        seed, damaged = random.Random(number), bytearray(text)
        for _ in range(seed.choice((1, 2))):
            at = seed.randrange(len(damaged))
            damaged[at : at + seed.randrange(3)] = seed.choice(
                (b"", b",", b"]", b"}", b'"', b"1", b"\xff", b"[")
            )
        try:
            whole: Any = json.loads(bytes(damaged).decode("utf-8"))
        except ValueError:
            refused += 1
            with pytest.raises((ValueError, NotAnObjectError)):
                read(bytes(damaged))
            continue
        if isinstance(whole, dict):
            assert list(read(bytes(damaged)).values())[-1:] == list(whole.values())[-1:]
    assert refused > 1000


@pytest.mark.parametrize("text", [b"[]", b"5", b'"x"', b"null", b" [1, 2] "])
def test_what_is_no_object(text: bytes) -> None:
    with pytest.raises(NotAnObjectError):
        read(text)


def test_one_large_value_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "MAX_VALUE", 1 << 12)
    monkeypatch.setattr(json_stream, "_CHUNK", 1 << 10)
    assert read(b'{"a": [' + b"1, " * 100_000 + b"1]}")["a"] == [1] * 100_001  # each of them is small
    for text in (b'{"a": "' + b"x" * 100_000 + b'"}', b'{"a": [[' + b"1," * 100_000 + b"1]]}"):
        with pytest.raises(ValueError, match="a value of more than"):
            read(text)


def test_a_list_that_nobody_reads_is_passed_over() -> None:
    text = b'{"a": [1, [2], {"b": 3}], "c": [4, 5], "d": 6}'
    found = []
    for key, value in JsonStream(io.BytesIO(text)).members():
        found.append((key, next(iter(value)) if key == "c" else None if key == "a" else value))
    assert found == [("a", None), ("c", 4), ("d", 6)]


MEASURED = """
import re, sys
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.space.moments.dump_file import read_dump
try:
    print(len(read_dump(sys.argv[1]).snapshot.regions))
except ProblemError as error:
    print(error)
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read()).group(1))
"""


def measured(path: Path) -> Any:
    """What a Python that reads the dump says, and its memory in MiB."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(path)],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    said, memory = done.stdout.splitlines()
    return said, int(memory) >> 10


def test_what_is_not_kept_takes_no_memory(tmp_path: Path) -> None:
    """200 MB of unmapped ranges, checks and the like."""
    target = {"kind": "core", "arch": "amd64", "pointer_size": 8, "page_size": 4096}
    path = tmp_path / "large.json"
    with open(path, "w") as file:
        file.write(
            json.dumps({"schema": "addrspace/1", "target": target, "regions": [], "mappings": []})[:-1]
        )
        file.write(', "unmapped": [')
        row = json.dumps(
            {"start": "0x1000", "end": "0x2000", "size": 4096, "area": "free", "label": "x" * 100}
        )
        for _ in range(1_000_000):
            file.write(row + ",\n")
        file.write(row + "]}")
    assert path.stat().st_size > 150 << 20
    said, memory = measured(path)
    assert said == "0" and memory < 100


def test_a_gigabyte_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    path.write_bytes(b'{"schema"')
    with open(path, "r+b") as file:
        file.truncate((1 << 30) + 1)
    said, memory = measured(path)
    assert "a dump of more than 1.0 GiB is not read" in said and memory < 100
