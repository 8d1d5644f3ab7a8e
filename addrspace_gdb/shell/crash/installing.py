"""Has the kernel call us: kernel.core_pattern and kernel.core_pipe_limit (core(5)), and puts both back."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.shell.crash.folders import Crashes
from addrspace_gdb.shell.crash.place import DEFAULT
from addrspace_gdb.shell.crash.told import specifiers

_LONGEST = 127  # bytes: CORENAME_MAX_SIZE in include/linux/binfmts.h, with its NUL
_STATE, _WRAPPER = "before.json", "handler"
_AT_ONCE = 8  # crashes that the kernel lets handlers wait for; 0: it does not wait for any
_OWN = "Pis"  # what every line of ours has
_PACKAGES = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__)))))


class Values(NamedTuple):
    """Of the two settings."""

    core_pattern: str
    core_pipe_limit: int


class Kernel:
    """Where the settings are."""

    def __init__(self, folder: str = "/proc/sys/kernel") -> None:
        self._folder = Path(folder)

    def values(self) -> Values:
        """What is set. ProblemError."""
        try:
            pattern = (self._folder / "core_pattern").read_text("utf-8", "surrogateescape").rstrip("\n")
            return Values(pattern, int((self._folder / "core_pipe_limit").read_text()))
        except (OSError, ValueError) as error:
            raise ProblemError(f"kernel.core_pattern cannot be read: {error}") from None

    def set(self, values: Values) -> None:
        """First how many are waited for, then who is called. ProblemError."""
        try:
            (self._folder / "core_pipe_limit").write_text(f"{values.core_pipe_limit}\n")
            (self._folder / "core_pattern").write_text(values.core_pattern + "\n", "utf-8", "surrogateescape")
        except OSError as error:
            raise ProblemError(f"kernel.core_pattern cannot be set: {error.strerror}; run as root") from None


class Wanted(NamedTuple):
    """What is to be installed."""

    folder: str
    options: List[str]  # of the handler
    forward: bool


class Installation(NamedTuple):
    """What an installation writes."""

    values: Values
    before: Values
    wrapper: Optional[str]  # the text of the program that is called in place of Python; None: it takes none
    warnings: List[str]


def plan(wanted: Wanted, kernel: Kernel) -> Installation:
    """What would be set. ProblemError if it cannot be."""
    now, kept = kernel.values(), state(wanted.folder)
    before = now
    if kept is not None and now.core_pattern == kept["ours"]:
        before = Values(kept["core_pattern"], kept["core_pipe_limit"])
    if wanted.forward and not before.core_pattern.startswith("|"):
        shown = printable(before.core_pattern)
        raise ProblemError(f"--forward: kernel.core_pattern is {shown}, no handler to hand cores on to")
    passed = [f"{x}%{x}" for x in specifiers(before.core_pattern) if x not in _OWN] if wanted.forward else []
    words = ["%P", "%i", "%s", *passed]
    direct = [sys.executable, "-I", "-m", "addrspace_gdb", "crash", *wanted.options, *words]
    line = "|" + " ".join(direct)
    wrapper = None
    if not _fits(direct, line) or not _is_found():
        wrapper = _wrapper(wanted.options)
        path = os.path.join(wanted.folder, _WRAPPER)
        line = "|" + " ".join([path, *words])
        if not _fits([path], line):
            raise ProblemError(
                f"the folder {printable(wanted.folder)} is not one that fits into a core_pattern"
            )
    limit = now.core_pipe_limit or _AT_ONCE
    return Installation(Values(line, limit), before, wrapper, _warnings())


def _fits(words: List[str], line: str) -> bool:
    """Whether the kernel takes it as these words, and all of it."""
    plain = all(word.isascii() and word.isprintable() and " " not in word for word in words)
    return plain and "%" not in words[0] and len(line) <= _LONGEST


def _is_found() -> bool:
    """Whether Python finds this package by itself."""
    test = "import addrspace_gdb, os, sys; sys.stdout.write(os.path.realpath(addrspace_gdb.__file__))"
    command = [sys.executable, "-I", "-c", test]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd="/", check=False
    )
    return done.stdout == os.path.join(_PACKAGES, "addrspace_gdb", "__init__.py")


def _wrapper(options: List[str]) -> str:
    if " " in sys.executable or len(sys.executable) > 200:
        raise ProblemError(f"{printable(sys.executable)} is not a path that a program can begin with")
    return (
        f"#!{sys.executable} -I\nimport sys\n\nsys.path.insert(0, {_PACKAGES!r})\n"
        f"sys.argv[1:1] = {['crash', *options]!r}\n"
        "from addrspace_gdb.__main__ import main\n\nsys.exit(main())\n"
    )


def _warnings() -> List[str]:
    """Who else could change what the kernel will run as root."""
    found = []
    for path in (sys.executable, os.path.join(_PACKAGES, "addrspace_gdb")):
        try:
            owner = os.stat(path).st_uid
        except OSError:
            continue
        if owner != 0:
            found.append(f"{path} belongs to user id {owner}, and the kernel will run it as root")
    return found


def lines(found: Installation, wanted: Wanted) -> List[str]:
    """The same as whoever does it by hand would."""
    by_hand = [f"kernel.core_pipe_limit = {found.values.core_pipe_limit}"]
    by_hand.append(f"kernel.core_pattern = {found.values.core_pattern}")
    if found.wrapper is not None:
        path = shlex.quote(os.path.join(wanted.folder, _WRAPPER))
        by_hand.insert(
            0, f"# {path}, mode 0700, is a program that --yes writes, to call this from a line so short"
        )
    return by_hand


def install(found: Installation, wanted: Wanted, kernel: Kernel) -> None:
    """Keep what was set, and set ours. ProblemError."""
    Crashes(wanted.folder, make=True)
    if found.wrapper is not None:
        _put(os.path.join(wanted.folder, _WRAPPER), found.wrapper, 0o700)
    text = json.dumps({**found.before._asdict(), "ours": found.values.core_pattern}) + "\n"
    _put(os.path.join(wanted.folder, _STATE), text, 0o600)
    kernel.set(found.values)


def _put(path: str, text: str, mode: int) -> None:
    """A file in a folder that is ours alone; the one that was there is replaced. OSError."""
    beside = f"{path}.{os.getpid()}"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    os.replace(beside, path)


def uninstall(folder: str, kernel: Kernel, really: bool) -> Values:
    """What was set before, which `really` is set again. ProblemError if ours is not what is set."""
    kept = state(folder)
    if kept is None:
        raise ProblemError(f"nothing was installed with the folder {printable(folder)}")
    if kernel.values().core_pattern != kept["ours"]:
        raise ProblemError("kernel.core_pattern is not ours any more; it is left alone")
    before = Values(kept["core_pattern"], kept["core_pipe_limit"])
    if really:
        kernel.set(before)
        for name in (_STATE, _WRAPPER):
            Path(folder, name).unlink(missing_ok=True)
    return before


def state(folder: str) -> Optional[Dict[str, Any]]:
    """What an installation has kept; None if there is none. ProblemError if it is damaged."""
    try:
        kept: Dict[str, Any] = json.loads(Path(Crashes(folder).path, _STATE).read_text("utf-8"))
    except (OSError, ProblemError):
        return None
    except ValueError:
        kept = {}
    types = {"core_pattern": str, "core_pipe_limit": int, "ours": str}
    if not isinstance(kept, dict) or not all(
        isinstance(kept.get(name), kind) for name, kind in types.items()
    ):
        raise ProblemError(f"{printable(os.path.join(folder, _STATE))} is damaged")
    return kept


def earlier(folder: str) -> str:
    """The core_pattern that was set before. ProblemError if it is not known, or no handler."""
    kept = state(folder)
    if kept is None or not kept["core_pattern"].startswith("|") or len(kept["core_pattern"]) < 2:
        raise ProblemError(f"--forward: which handler was there before is not known in {printable(folder)}")
    return str(kept["core_pattern"])


def is_ours(folder: str, kernel: Kernel) -> bool:
    """Whether the kernel calls what was installed with this folder."""
    kept = state(folder)
    return kept is not None and kept["ours"] == kernel.values().core_pattern


def handler_options(folder: str, more: List[str]) -> List[str]:
    """What the handler is told: the folder only if it is another than the usual one."""
    return [*(["--folder", folder] if folder != DEFAULT else []), *more]
