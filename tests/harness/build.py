"""Test programs, built once for each toolchain and variant and kept in the user's cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from harness import PROGRAMS, cache_dir
from harness.toolchains import Toolchain, Unavailable, go_environment

VARIANTS = (
    "plain",
    "pie",
    "cgo",
    "race",
    "noopt",
    "stripped",
    "twin",
    "c-shared",
    "c-archive",
    "plugin",
    "386",
    "arenas",
    "greentea",
    "nogreenteagc",
    "norandomizedheapbase64",
    "experiments",
    "asan",
    "msan",
    "static",
    "gold",
    "lld",
    "musl",
    "musl-static",
)

# Arguments of `go build` and the value of CGO_ENABLED where the program itself has no C.
_FLAGS: Dict[str, Tuple[Tuple[str, ...], str]] = {
    "plain": ((), "0"),
    "pie": (("-buildmode=pie",), "0"),
    "cgo": ((), "1"),
    "race": (("-race",), "1"),
    "noopt": (("-gcflags=all=-N -l",), "0"),
    "stripped": (("-ldflags=-s -w",), "0"),
    # As "stripped" to the byte in memory, but with symbols: the flags stand in the program, and do nothing.
    "twin": (("-ldflags=-h -d",), "0"),
    "c-shared": (("-buildmode=c-shared",), "1"),
    "c-archive": (("-buildmode=c-archive",), "1"),
    "plugin": ((), "1"),
    "386": ((), "0"),
    "arenas": ((), "0"),
    "greentea": ((), "0"),
    "nogreenteagc": ((), "0"),
    "norandomizedheapbase64": ((), "0"),
    "experiments": ((), "0"),
    "asan": (("-asan",), "1"),
    "msan": (("-msan",), "1"),
    "static": (("-ldflags=-linkmode=external -extldflags=-static",), "1"),
    "gold": (("-ldflags=-linkmode=external -extldflags=-fuse-ld=gold",), "1"),
    "lld": (("-ldflags=-linkmode=external -extldflags=-fuse-ld=lld",), "1"),
    "musl": (("-ldflags=-linkmode=external",), "1"),
    "musl-static": (("-ldflags=-linkmode=external -extldflags=-static",), "1"),
}
# The C compiler that a variant needs, and what it needs besides.
_COMPILERS = {"msan": "clang", "lld": "clang", "musl": "musl-gcc", "musl-static": "musl-gcc"}
_LINKERS = {"lld": "ld.lld", "gold": "ld.gold"}
# GOEXPERIMENT; of the last one, for the releases that have something behind it.
_EXPERIMENTS = {
    "arenas": "arenas",
    "greentea": "greenteagc",
    "nogreenteagc": "nogreenteagc",
    "norandomizedheapbase64": "norandomizedheapbase64",
}
_SINCE = {
    "arenas": (1, 20),
    "greentea": (1, 25),
    "nogreenteagc": (1, 25),
    "norandomizedheapbase64": (1, 26),
}
_OF_RELEASE = {(1, 24): "synctest", (1, 26): "goroutineleakprofile"}
_OWN_VARIANT = {"cshared": ("c-shared", "c-archive"), "pluginhost": ("plugin",)}
_NEEDS_C = ("cgo", "deaths", "counted", "leaks", "mallocs", "cshared", "pluginhost", "c_only")


class Binary(NamedTuple):
    """A built program: the executable, and the library or plugin it takes as its second argument."""

    program: str
    variant: str
    path: Path
    library: Optional[Path]

    @property
    def breakpoint(self) -> str:
        """The function where the program stops, as gdb names it."""
        return "breakpoint" if self.program in ("cshared", "c_only") else "main.breakpoint"

    def arguments(self, oracle: Path, *more: str) -> List[str]:
        """The program's arguments: the oracle's file, its library if it has one, and what else it takes."""
        return [str(oracle), *([str(self.library)] if self.library else []), *more]


BARE = "bare"  # the folder that holds a program without symbols, in that of the program with them


Builder = Callable[..., Binary]  # the fixture `build_program`: `build`, with what cannot be built as a skip


def strip(binary: Binary) -> Binary:
    """The same program without symbols or debug information, as distributions strip theirs. Unavailable if
    it has none of Go's own."""
    if binary.program in (*_OWN_VARIANT, "c_only"):
        raise Unavailable(f"{binary.program} itself is C's, or its libraries would have to be stripped")
    if not shutil.which("strip"):
        raise Unavailable("no strip on PATH")
    bare = binary.path.parent / BARE / binary.path.name
    if not bare.exists():
        bare.parent.mkdir(exist_ok=True)
        scratch = bare.with_name(f"{bare.name}.{os.getpid()}")
        subprocess.run(["strip", "-o", str(scratch), str(binary.path)], check=True)
        scratch.rename(bare)
    return binary._replace(path=bare)


def with_symbols(program: Path) -> Optional[Path]:
    """The file with the symbols of a program that `strip` made; None for another program."""
    return program.parent.parent / program.name if program.parent.name == BARE else None


def build(program: str, toolchain: Optional[Toolchain], variant: str = "plain") -> Binary:
    """The program of tests/programs built that way. Unavailable if the combination is impossible.

    `toolchain` is None for the C program. "stripped@arm64" is a variant for another GOARCH, without C.
    RuntimeError, with the compiler's output, if it does not build.
    """
    plain, _, arch = variant.partition("@")
    _refuse_impossible(program, toolchain, plain, arch)
    version = toolchain.version if toolchain else "c"
    folder = cache_dir() / "test-binaries" / f"{program}-{version}-{variant}-{_digest(program, plain)}"
    if not folder.exists():
        _build_into(folder, program, toolchain, variant)
    built = Binary(program, variant, folder / program, _library(folder))
    for path in filter(None, (built.path, built.library)):
        os.utime(path)  # never older than the sources of a fresh checkout: gdb would warn about that
    return built


def _refuse_impossible(program: str, toolchain: Optional[Toolchain], variant: str, arch: str = "") -> None:
    if variant not in VARIANTS:
        raise ValueError(f"no such variant: {variant}")
    if toolchain is None and program != "c_only":
        raise ValueError(f"{program} needs a Go toolchain")
    own = _OWN_VARIANT.get(program)
    if own and variant not in own:
        raise Unavailable(f"{program} is built as {' or '.join(own)} only")
    if not own and any(variant in others for others in _OWN_VARIANT.values()):
        raise Unavailable(f"{program} is not a {variant} program")
    if program in _NEEDS_C and (arch or variant == "386"):
        raise Unavailable(f"{program} has C code, which needs a C library for {arch or 386}")
    if toolchain is not None and toolchain.release < _SINCE.get(variant, (1, 0)):
        raise Unavailable(f"Go {toolchain.version} has no GOEXPERIMENT={_EXPERIMENTS[variant]}")
    needs_compiler = program in _NEEDS_C or _FLAGS[variant][1] == "1"
    for tool in filter(None, (_compiler(variant), _LINKERS.get(variant))) if needs_compiler else ():
        if not shutil.which(tool):
            raise Unavailable(f"no {tool} on PATH")


def _compiler(variant: str) -> str:
    return _COMPILERS.get(variant, "cc")


def _digest(program: str, variant: str) -> str:
    digest = hashlib.sha256()
    sources = [PROGRAMS / program] + ([] if program == "c_only" else [PROGRAMS / "kit"])
    for path in sorted(p for source in sources for p in source.rglob("*") if p.is_file()):
        digest.update(f"{path}\0".encode() + path.read_bytes())
    digest.update(repr((_FLAGS[variant], _c_compiler_version(_compiler(variant)))).encode())
    return digest.hexdigest()[:16]


def _c_compiler_version(name: str) -> str:
    compiler = shutil.which(name)
    return str(os.stat(compiler).st_mtime) if compiler else ""


def _library(folder: Path) -> Optional[Path]:
    library = folder / "library.so"
    return library if library.exists() else None


def _build_into(folder: Path, program: str, toolchain: Optional[Toolchain], variant: str) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(str(folder) + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return
        scratch = Path(tempfile.mkdtemp(prefix=folder.name + ".", dir=str(folder.parent)))
        try:
            for command, where, environment in _commands(scratch, program, toolchain, variant):
                _compile(command, where, environment)
            scratch.chmod(0o755)
            scratch.rename(folder)
        finally:
            shutil.rmtree(str(scratch), ignore_errors=True)


Command = Tuple[List[str], Path, Dict[str, str]]


def _commands(scratch: Path, program: str, toolchain: Optional[Toolchain], variant: str) -> Iterator[Command]:
    source = PROGRAMS / program
    variant, _, arch = variant.partition("@")
    flags, cgo = _FLAGS[variant]
    environment = go_environment()
    if arch:
        environment["GOARCH"] = arch
    environment["CGO_ENABLED"] = "1" if program in _NEEDS_C else cgo
    if variant in _COMPILERS:
        environment["CC"] = _COMPILERS[variant]
    if variant == "386":
        environment["GOARCH"] = "386"
    if variant == "experiments" and toolchain is not None:
        environment["GOEXPERIMENT"] = _OF_RELEASE.get(toolchain.release, "")
    if variant in _EXPERIMENTS:
        environment["GOEXPERIMENT"] = _EXPERIMENTS[variant]
    compiler = ["cc", "-g", "-O1", "-pthread", "-o", str(scratch / program)]
    if toolchain is None:
        yield [*compiler, "main.c"], source, environment
        return
    go_build = [str(toolchain.go), "build", *flags]
    library = str(scratch / "library.so")
    if variant == "c-shared":
        yield [*go_build, "-o", library, "."], source, environment
        yield [*compiler, "host/main.c", "-ldl"], source, environment
        return
    if variant == "c-archive":
        archive = str(scratch / "library.a")
        yield [*go_build, "-o", archive, "."], source, environment
        yield [*compiler, "-DARCHIVE", "host/main.c", archive, "-ldl"], source, environment
        return
    if variant == "plugin":
        yield [*go_build, "-buildmode=plugin", "-o", library, "."], source / "plugin", environment
    yield [*go_build, "-o", str(scratch / program), "."], source, environment


def _compile(command: List[str], where: Path, environment: Dict[str, str]) -> None:
    done = subprocess.run(
        command,
        cwd=str(where),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}")
