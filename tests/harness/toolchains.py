"""The Go toolchains a test can build with."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

from addrspace_gdb.goruntime.versions import LATEST
from harness import CHECKOUT, cache_dir, full_matrix

# Those that stripped services of older distributions were built with; only the full matrix takes them.
OLD = LATEST[:2]
PINNED = LATEST[2:]
OLDEST, NEWEST = PINNED[0], PINNED[-1]
FETCH = CHECKOUT / "scripts" / "toolchains.py"


class Unavailable(Exception):
    """Something a test wants is not on this machine; the text says why."""


class Toolchain(NamedTuple):
    """A Go toolchain: its version ("1.27.3") and its `go` executable."""

    version: str
    go: Path

    def __str__(self) -> str:
        return "go" + self.version

    @property
    def release(self) -> Tuple[int, int]:
        """(1, 27) for 1.27.3."""
        major, minor = self.version.split(".")[:2]
        return int(major), int(re.sub(r"\D.*", "", minor))

    @property
    def goroot(self) -> Path:
        """GOROOT of the toolchain: the folder with src/runtime."""
        root = run_go(self.go, ["env", "GOROOT"])
        return Path(root.strip())


def go_environment() -> Dict[str, str]:
    """The environment for `go`: this toolchain only, nothing from the network, our own build cache."""
    environment = {
        k: v for k, v in os.environ.items() if k not in ("GOROOT", "GOOS", "GOARCH", "GOEXPERIMENT")
    }
    environment.update(
        GOTOOLCHAIN="local",
        GOFLAGS="-buildvcs=false",
        GOWORK="off",
        GOPROXY="off",
        GOSUMDB="off",
        GOTELEMETRY="off",
        GOCACHE=str(cache_dir() / "go-build"),
    )
    return environment


def run_go(go: Path, arguments: List[str]) -> str:
    """Standard output of `go ARGUMENTS`; CalledProcessError if it fails."""
    done = subprocess.run(
        [str(go), *arguments], env=go_environment(), stdout=subprocess.PIPE, text=True, check=True, timeout=60
    )
    return done.stdout


def cached(version: str) -> Optional[Toolchain]:
    """The unpacked toolchain of that version in the user's cache."""
    go = cache_dir() / ("go-other" if version in OLD else "go") / version / "go" / "bin" / "go"
    return Toolchain(version, go) if go.exists() else None


@functools.cache
def on_path() -> Optional[Toolchain]:
    """The `go` on PATH, None if there is none or it is older than 1.21."""
    found = shutil.which("go")
    if not found:
        return None
    try:
        version = run_go(Path(found), ["env", "GOVERSION"]).strip()
    except (subprocess.SubprocessError, OSError):
        return None
    match = re.match(r"go(\d+\.\d+(?:\.\d+|rc\d+|beta\d+)?)", version)
    toolchain = Toolchain(match.group(1), Path(found)) if match else None
    return toolchain if toolchain and toolchain.release >= (1, 21) else None


def toolchains() -> List[Toolchain]:
    """Every toolchain at hand: the pinned ones in the cache, then PATH's if it is another version."""
    found = [t for t in map(cached, PINNED) if t]
    path = on_path()
    if path and path.version not in [t.version for t in found]:
        found.append(path)
    return found


def selected_versions() -> Tuple[str, ...]:
    """The versions a run is parametrised over: the oldest and the newest, or all with ADDRSPACE_MATRIX=1."""
    return PINNED if full_matrix() else (OLDEST, NEWEST)


@functools.cache
def toolchain(version: str) -> Toolchain:
    """The toolchain of that version, fetched into the cache if need be. Unavailable if it cannot be had."""
    known = next((t for t in toolchains() if t.version == version), cached(version))
    if known:
        return known
    if not FETCH.exists():
        raise Unavailable(f"Go {version} is not in {cache_dir() / 'go'} and {FETCH.name} is missing")
    done = subprocess.run(
        [sys.executable, str(FETCH), "fetch", version, *(["--other"] if version in OLD else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    fetched = cached(version)
    if not fetched:
        last = (done.stdout.strip().splitlines() or ["no output"])[-1]
        raise Unavailable(f"Go {version} could not be fetched: {last}")
    return fetched


def toolchain_or_skip(version: str) -> Toolchain:
    """`toolchain`, or the test is skipped."""
    import pytest  # scripts/fuzz uses this file without it

    try:
        return toolchain(version)
    except Unavailable as problem:
        pytest.skip(str(problem))
