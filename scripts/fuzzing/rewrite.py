"""Damage to the table of a core's memory as a whole, and to compressed cores."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, List

from fuzzing.elf import Elf, Phdr

if TYPE_CHECKING:
    from fuzzing.damage import Files

TOOLS = ("zstd", "lz4", "xz", "gzip")


def copy(source: Path, target: Path) -> None:
    """A copy that keeps the holes."""
    subprocess.run(["cp", "--sparse=always", str(source), str(target)], check=True)
    target.chmod(0o700)


def _write(path: Path, elf: Elf, phdrs: List[Phdr]) -> None:
    with open(path, "r+b") as file:
        for index, one in enumerate(phdrs):
            file.seek(elf.place(index))
            file.write(one.packed())


def overlapping(rng: random.Random, files: Files) -> str:
    """Segments that lie over one another, in memory or in the file."""
    elf = Elf(files.core)
    count = rng.choice((1, 2, 8))
    for _ in range(count if elf.loads else 0):
        mine, its = rng.choice(elf.loads), rng.choice(elf.loads)
        one, other = elf.phdrs[mine], elf.phdrs[its]
        shift = rng.choice((0, 0x1000, 0x800, other.memsz // 2))
        if rng.random() < 0.7:
            elf.phdrs[mine] = one._replace(vaddr=min(other.vaddr + shift, (1 << 64) - 1))
        else:
            elf.phdrs[mine] = one._replace(offset=min(other.offset + shift, (1 << 64) - 1))
    _write(files.core, elf, elf.phdrs)
    return f"{count} overlapping segments"


def shuffled(rng: random.Random, files: Files) -> str:
    """Segments in another order; now and then their contents go to one another's places."""
    elf = Elf(files.core)
    rng.shuffle(elf.phdrs)
    text = "program headers shuffled"
    if rng.random() < 0.4 and elf.loads:
        places = [elf.phdrs[index].vaddr for index in elf.loads]
        rng.shuffle(places)
        for index, place in zip(elf.loads, places):
            elf.phdrs[index] = elf.phdrs[index]._replace(vaddr=place)
        text += ", and addresses too"
    _write(files.core, elf, elf.phdrs)
    return text


def sparse(rng: random.Random, files: Files) -> str:
    """Segments that are missing, or are there without their contents."""
    elf = Elf(files.core)
    rate, said = rng.choice((0.05, 0.3, 0.8)), []
    for index in elf.loads:
        if rng.random() < rate:
            how = rng.choice((("type", 0), ("filesz", 0), ("memsz", 0), ("flags", 0)))
            elf.phdrs[index] = elf.phdrs[index]._replace(**dict([how]))
            said.append(f"{index}:{how[0]}")
    _write(files.core, elf, elf.phdrs)
    return "without " + " ".join(said)


def memsz(rng: random.Random, files: Files) -> str:
    """Segments that claim to be far larger than what the file has of them."""
    elf = Elf(files.core)
    sizes = (1 << 30, 1 << 40, 1 << 46, 1 << 47, 1 << 62, 1 << 63, (1 << 64) - 4096)
    chosen = rng.sample(elf.loads, min(len(elf.loads), rng.choice((1, 1, 3, 10))))
    for index in chosen:
        new = rng.choice((*sizes, elf.phdrs[index].memsz + rng.choice((1, 4096, 1 << 24))))
        both = rng.random() < 0.3
        change = {"memsz": new, "filesz": new} if both else {"memsz": new}
        elf.phdrs[index] = elf.phdrs[index]._replace(**change)
    _write(files.core, elf, elf.phdrs)
    return f"memsz of segments {chosen}"


def compressed(rng: random.Random, files: Files) -> str:
    """The core compressed, the stream damaged: bytes, its end, or what was compressed."""
    from fuzzing.damage import KINDS

    text = ""
    if rng.random() < 0.4:
        name = rng.choice(("words", "notes", "program-headers", "truncated", "memsz", "elf-header"))
        text = KINDS[name](rng, files) + "; "
    tool = rng.choice([tool for tool in TOOLS if shutil.which(tool)])
    packed = files.core.with_name("packed")
    with open(packed, "wb") as target:  # not in here: what this process takes would count for its children
        more = ["-n"] if tool == "gzip" else []  # or it notes the time
        subprocess.run([tool, "-q", "-1", "-c", *more, str(files.core)], stdout=target, check=True)
    made = bytearray(packed.read_bytes())
    packed.unlink()
    how = rng.choice(("whole", "cut", "bytes", "doubled", "tail"))
    if how == "cut":
        del made[rng.randrange(4, max(5, len(made))) :]
    elif how == "bytes":
        for _ in range(rng.choice((1, 5, 100))):
            made[rng.randrange(4, len(made))] = rng.randrange(256)
    elif how == "doubled":
        made += bytes(made)
    elif how == "tail":
        made += rng.randbytes(rng.choice((1, 1000)))
    files.core.write_bytes(made)
    return f"{text}{tool}: {how}"
