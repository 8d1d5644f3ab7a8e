"""Building and running the Go programs of tests/programs/tracebacks, for symtab and traceback tests."""

from __future__ import annotations

import os
import re
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

import pytest
from harness import full_matrix
from harness.toolchains import PINNED, cached

SOURCES = Path(__file__).parent / "programs" / "tracebacks"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "addrspace-gdb" / "go"
FLAVOURS: Dict[str, List[str]] = {
    "plain": [],
    "pie": ["-buildmode=pie"],
    "noopt": ["-gcflags=all=-N -l"],
}
PLUGIN = "plugin"  # a flavour of its own


def _number(version: str) -> Tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def versions() -> List[str]:
    """The Go versions to test with: the oldest and the newest here, or all for ADDRSPACE_MATRIX=1."""
    found = [known.version for known in map(cached, PINNED) if known]
    return found if full_matrix() else sorted({*found[:1], *found[-1:]}, key=_number)


def cases() -> List[object]:
    """(version, flavour) of every build to test; a skip where there is no toolchain."""
    pairs = [(version, flavour) for version in versions() for flavour in FLAVOURS]
    if not pairs:
        return [pytest.param(None, marks=pytest.mark.skip(reason="no Go toolchain in the cache"))]
    return [pytest.param(pair, id="-".join(pair)) for pair in pairs]


def minor(version: str) -> int:
    """N of 1.N.x."""
    return _number(version)[1]


def build(program: str, version: str, flavour: str, where: Path, cgo: bool = False) -> Path:
    """Compile tests/programs/tracebacks/`program`; the executable's path."""
    out = where / f"{program}-{version}-{flavour}"
    if out.exists():
        return out
    flags = ["-buildmode=plugin"] if flavour == PLUGIN else list(FLAVOURS[flavour])
    if minor(version) >= 23:
        flags.append("-ldflags=-checklinkname=0")  # the program calls runtime.systemstack
    environment = {
        **os.environ,
        "CGO_ENABLED": str(int(cgo)),
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-buildvcs=false",
    }
    environment.pop("GOROOT", None)
    command = [str(CACHE / version / "go" / "bin" / "go"), "build", *flags, "-o", str(out), "."]
    subprocess.run(command, cwd=SOURCES / program, env=environment, check=True, timeout=600)
    return out


class Running(NamedTuple):
    """A program that wrote its dump and stopped itself."""

    pid: int
    executable: Path
    dump: str
    pcs: Path


@contextmanager
def running(executable: Path, where: Path, level: Optional[str] = None, *arguments: str) -> Iterator[Running]:
    """Run until it has stopped itself with SIGSTOP; kill it at the end.

    `level` is GOTRACEBACK's; at "system" the program prints its dump on standard error.
    """
    dump, pcs = where / f"{executable.name}.dump", where / f"{executable.name}.pcs"
    environment = {**os.environ, "GOTRACEBACK": level or "single"}
    with dump.open("wb") as errors:
        process = subprocess.Popen(
            [str(executable), str(dump), str(pcs), *arguments], env=environment, stderr=errors
        )
    try:
        deadline = time.monotonic() + 90
        while not re.search(r"^State:\s+T", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE):
            assert process.poll() is None, "the program ended by itself"
            assert time.monotonic() < deadline, "the program did not stop itself"
            time.sleep(0.02)
        yield Running(process.pid, executable, dump.read_text(), pcs)
    finally:
        process.kill()
        process.wait()


class DumpFrame(NamedTuple):
    """One frame of a goroutine dump. `offset` from the entry is None for an inlined one."""

    name: str
    file: str
    line: int
    offset: Optional[int]
    fp: Optional[int]
    sp: Optional[int]
    pc: Optional[int]


class DumpGoroutine(NamedTuple):
    """One goroutine of a dump; `elided` frames are left out after the first `head` ones."""

    goid: int
    status: str
    frames: List[DumpFrame]
    head: int
    elided: int
    creator: Optional[Tuple[str, Optional[int], str, int]]


_HEADER = re.compile(r"goroutine (\d+) (?:gp=\S+ m=\S+ (?:mp=\S+ )?)?\[(.*?)\](?: \{.*\})?:")
_PLACE = re.compile(r"\t(.*):(\d+)(?: \+(0x[0-9a-f]+))?(?: fp=(\w+) sp=(\w+) pc=(\w+))?")
_CREATED = re.compile(r"created by (.*?)(?: in goroutine (\d+))?")


def parse_dump(text: str) -> Dict[int, DumpGoroutine]:
    """Go's dump, by goid."""
    found = {}
    for block in text.strip().split("\n\n") if text else ():
        lines = block.splitlines()
        header = _HEADER.fullmatch(lines[0])
        assert header, lines[0]
        goid = int(header[1])
        if lines[1].startswith("\tgoroutine running on other thread"):
            continue
        found[goid] = _parse_goroutine(goid, header[2], lines[1:])
    return found


def _parse_goroutine(goid: int, status: str, lines: List[str]) -> DumpGoroutine:
    frames: List[DumpFrame] = []
    head = elided = 0
    creator = None
    rest = iter(lines)
    for line in rest:
        cut = re.fullmatch(r"\.\.\.(\d+) frames elided\.\.\.", line)
        if cut:
            head, elided = len(frames), int(cut[1])
            continue
        place = _PLACE.fullmatch(next(rest))
        assert place, line
        created = _CREATED.fullmatch(line)
        if created:
            creator = (created[1], int(created[2]) if created[2] else None, place[1], int(place[2]))
            continue
        inlined = line.endswith("(...)") and not place[3]
        offset = None if inlined else int(place[3] or "0", 16)
        numbers = [int(text, 16) if text else None for text in place.groups()[3:]]
        frames.append(DumpFrame(line[: line.rindex("(")], place[1], int(place[2]), offset, *numbers))
    return DumpGoroutine(goid, status, frames, head or len(frames), elided, creator)
