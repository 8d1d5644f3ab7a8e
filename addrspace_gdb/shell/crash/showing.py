"""What a person wants to see of crashes: one of them, or how things stand."""

from __future__ import annotations

import json
import os
from itertools import islice
from typing import Any, Dict, Iterator, List

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.common.sizes import plural, size
from addrspace_gdb.process.regular import open_regular
from addrspace_gdb.shell.crash.folders import Crashes
from addrspace_gdb.shell.crash.installing import Kernel, is_ours
from addrspace_gdb.shell.crash.place import META

_MOST_META = 1 << 20  # bytes
_LINES = 40  # of goroutines
_MOST_LINE = 1000  # characters


def newest(folder: str) -> str:
    """The last crash of a folder. ProblemError if there is none."""
    names = Crashes(folder).names()
    if not names:
        raise ProblemError(f"there is no crash in {printable(folder)}")
    return os.path.join(folder, names[-1])


def show(path: str) -> Iterator[str]:
    """A crash: who died of what, and what was kept of it. ProblemError if it is no crash's folder."""
    meta = _meta(path)
    yield from _head(meta)
    if os.path.exists(os.path.join(path, "fault.txt")):
        yield ""
        yield from _lines(path, "fault.txt")
    if os.path.exists(os.path.join(path, "goroutine-stacks.txt")):
        yield ""
        found = _lines(path, "goroutine-stacks.txt")
        yield from islice(found, _LINES)
        rest = sum(1 for _ in found)
        if rest:
            yield f"{plural(rest, 'more line')} in goroutine-stacks.txt"
    yield ""
    yield from _files(path)


def _meta(path: str) -> Dict[str, Any]:
    shown = printable(path)
    try:
        with open_regular(os.path.join(path, META)) as file:
            found = json.loads(file.read(_MOST_META))
    except (OSError, ValueError):
        raise ProblemError(f"{shown} is not the folder of a crash: its {META} is damaged") from None
    if not isinstance(found, dict) or found.get("schema") != "crash/1":
        raise ProblemError(f"{shown} is not the folder of a crash")
    return found


def _head(meta: Dict[str, Any]) -> Iterator[str]:
    target, signal = _part(meta, "target"), _part(meta, "signal")
    at = f" at address {signal['address']}" if signal.get("address") else ""
    who = f"{meta.get('command')} (process {meta.get('pid')}, thread {meta.get('tid')})"
    yield printable(f"{who} died of {signal.get('name')}{at}")
    facts = [meta.get("time"), meta.get("host"), target.get("go_version"), target.get("executable")]
    build = meta.get("go_build_id") or meta.get("build_id")
    if build:
        facts.append(f"build {build}")
    yield printable(" · ".join(str(fact) for fact in facts if fact))
    if not meta.get("complete"):
        missing = meta.get("missing")
        lacks = ", ".join(map(str, missing)) if isinstance(missing, list) and missing else "what came next"
        yield printable(f"not complete: {lacks} could not be done")
    problems = meta.get("problems")
    for problem in problems if isinstance(problems, list) else []:
        yield printable(f"problem: {problem}")


def _part(meta: Dict[str, Any], key: str) -> Dict[str, Any]:
    found = meta.get(key)
    return found if isinstance(found, dict) else {}


def _lines(path: str, name: str) -> Iterator[str]:
    with open_regular(os.path.join(path, name)) as file:
        for line in file:
            yield printable(line.rstrip(b"\n").decode("utf-8", "surrogateescape")[:_MOST_LINE])


def _files(path: str) -> Iterator[str]:
    with os.scandir(path) as entries:
        found = sorted((entry.name, entry.stat(follow_symlinks=False).st_size) for entry in entries)
    width = max((len(printable(name)) for name, _ in found), default=0)
    for name, taken in found:
        yield f"{printable(name):<{width}}  {size(taken):>10}"


def status(folder: str, kernel: Kernel) -> List[str]:
    """How things stand, a line each."""
    values = kernel.values()
    ours = "this is ours" if is_ours(folder, kernel) else "not ours"
    waits = "the kernel waits for no handler" if not values.core_pipe_limit else "crashes that are waited for"
    said = [
        f"kernel.core_pattern     {printable(values.core_pattern)} ({ours})",
        f"kernel.core_pipe_limit  {values.core_pipe_limit} ({waits})",
    ]
    if not os.path.lexists(folder):
        return [*said, f"folder                  {printable(folder)} (not there yet)"]
    kept = Crashes(folder).kept()
    said.append(f"folder                  {printable(folder)}")
    total = size(sum(one.size for one in kept))
    last = f", the last {printable(kept[-1].name)}" if kept else ""
    said.append(f"kept                    {plural(len(kept), 'crash', 'crashes')}, {total}{last}")
    return said
