"""The scenarios: a load program of tests/programs, its size, and the tools that do the same work on it."""

from __future__ import annotations

from typing import Callable, List, NamedTuple

from benchmark.peers import (
    Environment,
    Tool,
    bare,
    delve,
    goref,
    info_goroutines,
    let_go,
    nobody,
    ours,
    ours_to_file,
    viewcore,
)

NODES_PER_SPAN = 102  # 80-byte objects in a span of 8 KiB
DIAGRAM = "Go Heap"
WORKER = r"main\.(worker|receive|descend)"


class Scenario(NamedTuple):
    """A load: `size` is the program's count at --size 1, `bytes_each` what one of them costs in memory."""

    name: str
    title: str
    program: str
    size: int
    bytes_each: int
    goroutines: bool  # whether the count is one of goroutines
    tools: Callable[[Environment], List[Tool]]
    serves: bool = False  # whether it is asked for pages meanwhile, at the port that its oracle file names


def _small(environment: Environment) -> List[Tool]:
    return [*_memory(environment), ours(environment, "regions", "addrspace regions", "0x")]


def _memory(environment: Environment) -> List[Tool]:
    return [
        bare(environment),
        ours(environment, "memory", "addrspace", DIAGRAM),
        let_go("memory", "", DIAGRAM),
        let_go("memory", "", DIAGRAM, environment.gdb),
        let_go("resident", "rss", "Rss"),
        let_go("objects", "heap", "Spans"),
        viewcore("memory", "breakdown"),
    ]


def _list(environment: Environment) -> List[Tool]:
    return [
        bare(environment),
        ours(environment, "memory", "addrspace", DIAGRAM),
        ours_to_file(environment, "list", "goroutine-stacks --limit all"),
        ours_to_file(environment, "list", "goroutine-stacks --format json"),
        ours(environment, "summary", "goroutine-stacks", WORKER),
        ours(environment, "frames", "goroutine-stacks --group stack --frames", WORKER),
        let_go("memory", "", DIAGRAM),
        let_go("memory", "", DIAGRAM, environment.gdb),
        let_go("resident", "rss", "Rss"),
        let_go("list", "goroutine-stacks --limit all", WORKER),
        let_go("frames", "goroutine-stacks --group stack", WORKER),
        let_go("frames", "goroutine-stacks --frames --format json", WORKER),
        delve("list", "-s"),
        info_goroutines(environment),
    ]


def _all(environment: Environment) -> List[Tool]:
    """With the peers that take 15 KiB and more a goroutine."""
    return [
        *_list(environment),
        delve("frames", "-t"),
        viewcore("frames", "goroutines"),
        viewcore("memory", "breakdown"),
    ]


def _graph(environment: Environment) -> List[Tool]:
    """What the heap's objects are, and who keeps them."""
    return [
        let_go("types", "types", "main.node"),
        let_go("types", "types", "main.node", environment.gdb),
        viewcore("types", "histogram"),
        let_go("kept", "retained", "are reached"),
        goref("kept"),
    ]


def _served(environment: Environment) -> List[Tool]:
    """How long clients of a server wait meanwhile."""
    return [
        nobody(),
        bare(environment),
        let_go("memory", "", DIAGRAM),
        let_go("memory", "", DIAGRAM, environment.gdb),
        let_go("resident", "rss", "Rss"),
        let_go("list", "goroutine-stacks --limit all", WORKER),
        delve("list", "-s"),
    ]


SCENARIOS = (
    Scenario("small", "a small process", "shapes", 0, 0, False, _small),
    Scenario(
        "nodes-half",
        "265,000 spans, 2.2 GB",
        "nodes",
        265_000 * NODES_PER_SPAN,
        88,
        False,
        _memory,
    ),
    Scenario("nodes", "530,000 spans, 4.3 GB", "nodes", 530_000 * NODES_PER_SPAN, 88, False, _memory),
    Scenario("graph", "10,000,000 objects, 0.9 GB", "nodes", 10_000_000, 88, False, _graph),
    Scenario("mappings", "60,000 mappings", "maps60k", 60_000, 4096, False, _memory),
    Scenario("threads", "2,000 threads", "threads", 2_000, 16384, False, _memory),
    Scenario("served-100", "an HTTP server, 100 goroutines", "served", 100, 5500, True, _served, True),
    Scenario(
        "served-100k", "an HTTP server, 100,000 goroutines", "served", 100_000, 5500, True, _served, True
    ),
    Scenario("parked-100k", "100,000 goroutines", "parked", 100_000, 5500, True, _all),
    Scenario("parked-1m", "1,000,000 goroutines", "parked", 1_000_000, 5500, True, _list),
)


def chosen(names: str) -> List[Scenario]:
    """The scenarios of a comma list; a name stands for all that begin with it. ValueError if none does."""
    if not names:
        return list(SCENARIOS)
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if not any(s.name.startswith(name) for s in SCENARIOS):
            known = ", ".join(s.name for s in SCENARIOS)
            raise ValueError(f"no scenario {name!r}; there are {known}")
    return [s for s in SCENARIOS if any(s.name.startswith(name) for name in wanted)]
