"""What is asked of a damaged core: command lines of the shell, and sessions inside gdb."""

from __future__ import annotations

import random
from typing import List, NamedTuple, Tuple

JSON = "--format json"
# What a command of gdb and `dump --report` have alike, with options that take other ways through it.
_REPORTS: Tuple[Tuple[str, Tuple[str, ...]], ...] = (
    ("regions", ("", "heap", "rw- resident", "--summary", "$sp", "0xc000000000", JSON)),
    ("rss", ("", "--depth 2", "--by-class", JSON)),
    ("memstats", ("", "Heap BySize", JSON)),
    ("gc", ("", JSON)),
    ("heap", ("", "--sizes", "--large", "--free", "--map", JSON)),
    ("arenas", ("", "--sort used", "--limit all", JSON)),
    ("spans", ("", "--sort free --limit 10", "--limit all", "'runtime.allgptr'", "$sp", JSON)),
    ("whereis", ("$pc $sp &runtime.mheap_ 0x28", "*(void**)$sp@16", "goroutine:1", "0x401000 --format json")),
    ("fault", ("", JSON)),
    ("goroutine-stacks", ("", "--group stack", "--group function", "--by-frame", "--threads", "1 --frames")),
    ("goroutine-stacks", ("--frames 5", "--status waiting --sort used", "--dead --system --limit all", JSON)),
    (
        "goroutine-stacks",
        ("--format json --frames", "--group status", "--group created-by", "--min-size 4KiB"),
    ),
)
# Those that have a worker make a graph of the heap, which takes a second or two each: few in a run.
_GRAPH: Tuple[Tuple[str, Tuple[str, ...]], ...] = (
    ("types", ("", "--by package", "--unreachable --limit all", JSON)),
    ("retained", ("", "--by type", "--depth 3", "$sp", "*(void**)$sp", JSON)),
    ("holders", ("*(void**)$sp", "0xc000000000 0xc000010000", "*(void**)&runtime.allgs --format json")),
    ("goroutine-stacks", ("--leaked", "--leaked --group stack", f"--leaked {JSON}")),
    ("rss", ("--graph", f"--graph {JSON}")),
    ("whereis", ("--graph 0xc000000000 $sp", f"--graph 0xc000010000 {JSON}")),
)
_IN_SHELL, _IN_SESSION = 0.08, 0.02
_DIAGRAMS = ("", "--classic", "--check", JSON, "--format json --check", "--format classic")
_OURS: Tuple[str, ...] = (
    "goroutine",
    "goroutine 1",
    "goroutine 3",
    "goroutine 18",
    "goroutine --off",
    "goroutine all bt 1",
)
_OURS += ("goroutine-apply all -c bt 3", "goroutine-apply 1-9 -s info locals", "goroutine-apply all -q frame")
_OURS += ("goroutine-apply waiting function:main -c bt", "goroutine-apply reason:chan -s up")
_OURS += ("addrspace snapshot a", "addrspace snapshot b", "addrspace snapshot --list", "addrspace diff a b")
_OURS += (
    "addrspace diff a",
    "addrspace diff a --format json",
    "addrspace compare 1 1",
    "addrspace compare 1 1 $sp",
)
_OURS += ("print $goregion($sp)", "print $goregion(0xc000000000, 1)", "print $goregion($pc, 1)")
_OURS += ("print $goroutine(1)", "print $goroutine(17)", "print $current_goid()")
_GDBS: Tuple[str, ...] = (
    "bt",
    "bt 3",
    "info threads",
    "thread apply all bt 2",
    "frame",
    "up",
    "down",
    "info locals",
    "frame 1",
)
_GDBS += ("info symbol $pc", "info registers rip", "thread 2", "x/4i $pc", "info frame")


class Step(NamedTuple):
    """A command in gdb; `ours`: one of this project, which answers for its text."""

    command: str
    ours: bool


def shell(rng: random.Random) -> List[str]:
    """Options of one `addrspace-gdb dump`."""
    which = rng.random()
    if which < 0.6:
        name, options = rng.choice(_GRAPH if which < _IN_SHELL else _REPORTS)
        option = rng.choice(options)
        asked = ["--report", f"{name} {option.replace(JSON, '').strip()}".strip()]
        return asked + (["--format", "json"] if JSON in option else [])
    return rng.choice(
        (
            [],
            ["--format", "classic"],
            ["--format", "json"],
            ["--format", "json", "--stacks"],
            ["--check"],
            ["--stats"],
            ["--ascii", "--width", "72"],
            ["--format", "json", "--check", "--stats"],
        )
    )


def session(rng: random.Random) -> List[Step]:
    """Commands in one gdb. Snapshots come in pairs, frames after a goroutine."""
    steps = [_one(rng) for _ in range(rng.choice((3, 4, 5, 6)))]
    if rng.random() < 0.2:
        steps += [Step(f"addrspace {word}", True) for word in ("snapshot a", "snapshot b", "diff a b")]
    if rng.random() < 0.3:
        steps += [Step(f"goroutine {rng.randrange(1, 24)}", True)]
        steps += [Step(rng.choice(_GDBS), False) for _ in range(2)]
    return steps


def _one(rng: random.Random) -> Step:
    which = rng.random()
    if which < 0.2:
        return Step(f"addrspace {rng.choice(_DIAGRAMS)}".strip(), True)
    if which < 0.6:
        of_graph = which < 0.2 + _IN_SESSION
        if of_graph and rng.random() < 0.2:
            return Step("addrspace profile retained --limit 5", True)
        name, options = rng.choice(_GRAPH if of_graph else _REPORTS)
        prefix = "" if name == "goroutine-stacks" else "addrspace "
        return Step(f"{prefix}{name} {rng.choice(options)}".strip(), True)
    if which < 0.85:
        return Step(rng.choice(_OURS), True)
    return Step(rng.choice(_GDBS), False)
