"""The nineteen ways to damage a core or its program. Each function changes the files of a case in place.

It takes the random source of the case and says in words what it did. Nothing else may decide what it does.
"""

from __future__ import annotations

import os
import random
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Tuple

from fuzzing import rewrite
from fuzzing.elf import NT_FILE, Elf, extents

PAGE = 4096
HURTING: Tuple[int, ...] = (
    0,
    1,
    7,
    255,
    4096,
    1 << 20,
    (1 << 31) - 1,
    1 << 32,
    1 << 47,
    (1 << 47) - 8,
    1 << 60,
    1 << 63,
)
HURTING += ((1 << 64) - 1, (1 << 64) - 8, 0x00DEAD0000000000, 0xFFFF800000000000, 0xC000000000)


@dataclass
class Files:
    """The files of a case. `other`: programs that did not make the core."""

    folder: Path
    core: Path
    program: Path
    others: List[Path]


_DESCRIPTOR = re.compile(
    rb"[\x00-\x3f](?:\x01\x01|\x02\x02|\x04\x04|\x08\x08)[\x01-\x1a\x20-\x3a]", re.DOTALL
)
Damage = Callable[[random.Random, Files], str]


def _places(rng: random.Random, path: Path, count: int, within: List[Tuple[int, int]]) -> List[int]:
    """Offsets at random, in the parts of the file that hold something."""
    parts = [part for part in within or extents(path) if part[1] - part[0] >= 8] or [(0, 8)]
    weights = [end - start for start, end in parts]
    found = []
    for start, end in rng.choices(parts, weights, k=count):
        found.append(rng.randrange(start, end - 7) & ~7)
    return found


def _word(rng: random.Random, here: int) -> int:
    """A value that hurts, any, or an address: the heap's, or one's own (a cycle)."""
    return rng.choice((rng.choice(HURTING), rng.getrandbits(64), rng.getrandbits(47), here))


def _set_words(rng: random.Random, path: Path, within: List[Tuple[int, int]]) -> str:
    places = _places(rng, path, rng.choice((1, 3, 30, 1000)), within)
    with open(path, "r+b") as file:
        values = [file.read(8) for at in places[:50] if file.seek(at) >= 0]
        for at in places:
            # A word of the same memory is a pointer more often than not.
            new = rng.choice(values) if rng.random() < 0.4 else struct.pack("<Q", _word(rng, at))
            file.seek(at)
            old = file.read(8)
            if old.isascii() and old.decode("ascii").isprintable():  # a text: most often to be seen as such
                new = rng.choice(
                    (rng.randbytes(8), b"\xff\x1b\n\x80\xe2\x80\xae\xc3", old[:7] + b"\xe9", new)
                )
            file.seek(at)
            file.write(new)
    return f"{len(places)} words of {path.name}, the first at {places[0]:#x}"


def _either(rng: random.Random, files: Files) -> Path:
    """Mostly the core."""
    return rng.choice((files.core, files.core, files.core, files.program))


def words(rng: random.Random, files: Files) -> str:
    """Aligned words become pointers elsewhere, absurd lengths, noise."""
    return _set_words(rng, _either(rng, files), [])


def pages(rng: random.Random, files: Files) -> str:
    """Whole pages become zeroes, ones, noise, or copies of another."""
    path = _either(rng, files)
    places = [at & ~(PAGE - 1) for at in _places(rng, path, rng.choice((1, 4, 40)), [])]
    with open(path, "r+b") as file:
        for at in places:
            file.seek(rng.choice(places))
            other = file.read(PAGE)
            new = rng.choice((bytes(PAGE), b"\xff" * PAGE, rng.randbytes(PAGE), other))
            file.seek(at)
            file.write(new)
    return f"{len(places)} pages of {path.name}, the first at {places[0]:#x}"


def bits(rng: random.Random, files: Files) -> str:
    """Single bits, as memory that fails flips them."""
    path = _either(rng, files)
    places = _places(rng, path, rng.choice((1, 10, 200, 5000)), [])
    with open(path, "r+b") as file:
        for at in places:
            at += rng.randrange(8)
            file.seek(at)
            old = file.read(1) or b"\0"
            file.seek(at)
            file.write(bytes([old[0] ^ 1 << rng.randrange(8)]))
    return f"{len(places)} bits of {path.name}, the first at {places[0]:#x}"


def _memory(files: Files, wanted: Callable[[int], bool]) -> List[Tuple[int, int]]:
    """Where the file holds memory at the addresses wanted."""
    elf, held = Elf(files.core), extents(files.core)
    found = []
    for one in (elf.phdrs[index] for index in elf.loads):
        if wanted(one.vaddr) and one.filesz:
            low, high = one.offset, one.offset + one.filesz
            found += [(max(low, a), min(high, b)) for a, b in held if a < high and low < b]
    return found


def heap(rng: random.Random, files: Files) -> str:
    """Words of the Go heap, where goroutines, stacks, types and labels lie too."""
    return "heap: " + _set_words(rng, files.core, _memory(files, lambda at: 1 << 32 <= at < 0x7000 << 32))


def data(rng: random.Random, files: Files) -> str:
    """Words of the program's variables, the roots of everything."""
    return "data: " + _set_words(rng, files.core, _memory(files, lambda at: at < 1 << 32))


def elf_header(rng: random.Random, files: Files) -> str:
    """Fields of the file's header: class, byte order, type, machine, places and counts of the tables."""
    path, changes = _either(rng, files), []
    fields: Tuple[Tuple[int, int], ...] = (
        (4, 1),
        (5, 1),
        (6, 1),
        (7, 1),
        (16, 2),
        (18, 2),
        (20, 4),
        (24, 8),
        (32, 8),
        (40, 8),
        (48, 4),
    )
    fields += ((52, 2), (54, 2), (56, 2), (58, 2), (60, 2), (62, 2))
    with open(path, "r+b") as file:
        for _ in range(rng.choice((1, 1, 2, 5))):
            at, size = rng.choice(fields)
            value = _word(rng, at) if rng.random() < 0.5 else rng.randrange(12)
            file.seek(at)
            file.write(struct.pack("<Q", value)[:size])
            changes.append(f"+{at}={value:#x}")
    return f"ELF header of {path.name}: {' '.join(changes)}"


def program_headers(rng: random.Random, files: Files) -> str:
    """Fields of program headers."""
    path, changes = _either(rng, files), []
    elf = Elf(path)
    with open(path, "r+b") as file:
        for _ in range(rng.choice((1, 1, 3, 10))):
            at, size = rng.choice(((0, 4), (4, 4), (8, 8), (16, 8), (32, 8), (40, 8), (48, 8)))
            at += elf.place(rng.randrange(max(1, elf.phnum)))
            value = rng.randrange(8) if size == 4 else _word(rng, at)
            file.seek(at)
            file.write(struct.pack("<Q", value)[:size])
            changes.append(f"{at:#x}={value:#x}")
    return f"program headers of {path.name}: {' '.join(changes)}"


def notes(rng: random.Random, files: Files) -> str:
    """Bytes and words of the core's notes: threads, command line, auxiliary vector, signal."""
    place = Elf(files.core).notes() or (0, 64)
    count = rng.choice((1, 5, 50, 500))
    with open(files.core, "r+b") as file:
        for _ in range(count):
            at = place[0] + rng.randrange(max(8, place[1]) - 7)
            file.seek(at)
            value = struct.pack("<Q", _word(rng, at))
            file.write(rng.choice((value, value[:4], rng.randbytes(1))))
    return f"{count} places of the notes"


_NAMES: Tuple[bytes, ...] = (
    b"/dev/zero",
    b"/dev/tty",
    b"/",
    b"/proc/self/mem",
    b"/proc/self/exe",
    b"relative/x",
    b"\xff\xfe\x80",
)
_NAMES += (b"/tmp/\xc3", "/tmp/\u202e\u2028x".encode(), b"/a\nb", b"/\x1b[2J", b"/dev/null", b"A" * 4000)


def nt_file(rng: random.Random, files: Files) -> str:
    """The list of mapped files: counts, ranges, offsets, names that are none."""
    with open(files.core, "r+b") as file:
        place = Elf(files.core).note(file, NT_FILE)
        if place is None:
            return "no NT_FILE"
        at, size = place
        file.seek(at)
        count = min(struct.unpack("<Q", file.read(8))[0], (size - 16) // 24)
        if rng.random() < 0.5:
            start = at + 16 + 24 * count
            names = b"\0".join(rng.choice(_NAMES) for _ in range(max(1, count)))
            file.seek(start)
            file.write((names + b"\0" * size)[: at + size - start])
            return "NT_FILE: other names"
        for _ in range(rng.choice((1, 3, 20))):
            where = at + 8 * rng.randrange(2 + 3 * count)
            file.seek(where)
            file.write(struct.pack("<Q", _word(rng, where)))
    return "NT_FILE: other numbers"


def _descriptors(rng: random.Random, files: Files) -> str:
    """Types that are absurdly large, consist of themselves, are of another kind, or say where nothing is.

    A descriptor (internal/abi/type.go) is found by its bytes tflag, align, fieldAlign and kind.
    """
    data = files.program.read_bytes()
    found = [at.start() - 20 for at in _DESCRIPTOR.finditer(data) if at.start() % 8 == 4]
    if not found:
        return "no type descriptors"
    places = rng.sample(found, min(len(found), rng.choice((1, 20, 400))))
    with open(files.program, "r+b") as file:
        for at in places:
            # Size, bytes with pointers, the kind, the mask, and what the kind adds: an element, fields, keys.
            field = rng.choice((0, 0, 8, 23, 32, 48, 48, 56, 64))
            other = rng.choice((data[48 + at : 56 + at], data[rng.choice(found) + 48 :][:8]))
            value = rng.choice((struct.pack("<Q", _word(rng, at)), other))
            file.seek(at + field)
            file.write(value if field != 23 else bytes([rng.randrange(32)]))
    return f"{len(places)} type descriptors, the first at {places[0]:#x}"


def sections(rng: random.Random, files: Files) -> str:
    """The program's section headers, its types, or what is in a section: names, symbols, functions, DWARF."""
    elf = Elf(files.program)
    if rng.random() < 0.3:
        return _descriptors(rng, files)
    if not elf.shdrs or rng.random() < 0.5:
        with open(files.program, "r+b") as file:
            for _ in range(rng.choice((1, 3, 12))):
                at = elf.shoff + 64 * rng.randrange(max(1, elf.shnum)) + rng.choice((0, 4, 8, 16, 24, 32, 40))
                file.seek(at)
                value = struct.pack("<Q", _word(rng, at))
                file.write(value[: rng.choice((4, 8))])
        return "section headers"
    number = rng.randrange(len(elf.shdrs))
    start, size = elf.shdrs[number][4:6]
    size = min(size, elf.size - start)
    if size < 8:
        return "an empty section"
    return f"section {number}: " + _set_words(rng, files.program, [(start, start + size)])


def truncated(rng: random.Random, files: Files) -> str:
    """The file ends early: anywhere, at a page, or in its headers and notes."""
    path = _either(rng, files)
    size = path.stat().st_size
    edge = (Elf(path).notes() or (0, 4096))[1] + 4096
    new = rng.choice(
        (rng.randrange(size), rng.randrange(size) & ~4095, rng.randrange(min(size, edge)), 0, size - 1)
    )
    os.truncate(path, new)
    return f"{path.name} cut to {new} of {size} bytes"


def another_build(rng: random.Random, files: Files) -> str:
    """A program that did not make the core, damaged as well now and then."""
    other = rng.choice(files.others)
    files.program.unlink()
    rewrite.copy(other, files.program)
    text = f"the program is {other.parent.name}"
    return f"{text}; {sections(rng, files)}" if rng.random() < 0.3 else text


def garbage(rng: random.Random, files: Files) -> str:
    """What is no core at all, with and without the beginning of one."""
    path = _either(rng, files)
    with open(path, "rb") as file:
        head = file.read(rng.choice((0, 4, 16, 64, 400)))
    size = rng.choice((0, 1, 100, 5000, 300_000))
    body = rng.choice((rng.randbytes(size), bytes(size), b"\xff" * size, b"{}" * (size // 2)))
    path.write_bytes(head + body)
    return f"{path.name} is {len(head)} bytes of a beginning and {size} of garbage"


def combined(rng: random.Random, files: Files) -> str:
    """Several at once."""
    names = rng.sample(_SINGLE, rng.choice((2, 3, 4)))
    said = []
    for name in names:
        try:
            said.append(KINDS[name](rng, files))
        except (struct.error, IndexError, ValueError, OSError, AssertionError) as error:
            said.append(
                f"{name}: no more possible ({type(error).__name__})"
            )  # nothing is left of the headers
    return "; ".join(said)


KINDS: Dict[str, Damage] = {
    "words": words,
    "pages": pages,
    "bits": bits,
    "heap": heap,
    "data": data,
    "elf-header": elf_header,
    "program-headers": program_headers,
    "notes": notes,
    "nt-file": nt_file,
    "sections": sections,
    "truncated": truncated,
    "overlapping": rewrite.overlapping,
    "shuffled": rewrite.shuffled,
    "sparse": rewrite.sparse,
    "memsz": rewrite.memsz,
    "compressed": rewrite.compressed,
    "another-build": another_build,
    "combined": combined,
    "garbage": garbage,
}
_SINGLE = [name for name in KINDS if name not in ("compressed", "combined", "garbage", "another-build")]
