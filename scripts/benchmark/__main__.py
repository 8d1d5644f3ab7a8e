"""Command line of scripts/bench: starts each load, runs the tools in turn, prints the medians."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import List, Optional

from harness.build import build
from harness.debuggers import gdbs
from harness.processes import Process, Processes
from harness.toolchains import NEWEST, Toolchain, Unavailable, on_path, toolchain
from tabulate import tabulate

from benchmark import peers
from benchmark.loads import SCENARIOS, Scenario, chosen
from benchmark.measure import Row, Run, available_memory, run
from benchmark.peers import Environment, Subject, Tool

SLOW = 30.0  # seconds; what takes longer is run once


def arguments() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Times this project and every peer on PATH (dlv, viewcore, Go's runtime-gdb.py, bare "
        "gdb) on the same processes, in turn. Seconds are medians of whole-process wall clock; "
        "memory is the tool's peak resident size; stopped is how long the process looked at stood still; "
        "waited is the longest that a client of its waited meanwhile, where it is a server.",
    )
    names = ", ".join(s.name for s in SCENARIOS)
    parser.add_argument(
        "--only", default="", metavar="NAMES", help=f"scenarios, separated by commas: {names}"
    )
    parser.add_argument("--runs", type=int, default=5, help="runs of each tool (5); a slow one has one run")
    parser.add_argument("--size", type=float, default=1.0, help="scale of the loads (1.0)")
    parser.add_argument("--timeout", type=float, default=600, help="seconds until a tool is killed (600)")
    parser.add_argument("--gdb", help="the gdb to use (the one on PATH)")
    parser.add_argument("--no-peers", action="store_true", help="only this project and the bare attach")
    given = parser.parse_args()
    if given.runs < 1 or not given.size > 0:
        parser.error("--runs must be at least 1 and --size more than 0")
    try:
        given.scenarios = chosen(given.only)
    except ValueError as problem:
        parser.error(str(problem))
    return given


def say(text: str) -> None:
    """Progress, on standard error."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def main() -> int:
    """Measure what is asked for; the exit status."""
    os.environ.pop("PYTHONPATH", None)  # it is for this process, and would reach the Python inside gdb
    given = arguments()
    try:
        go = on_path() or toolchain(NEWEST)
        environment = Environment(_gdb(given.gdb), go.goroot)
    except Unavailable as problem:
        say(str(problem))
        return 1
    say(f"{go}, {environment.gdb}; peers on PATH: {_peers_found()}")
    rows: List[Row] = []
    with tempfile.TemporaryDirectory(prefix="addrspace-bench-") as scratch:
        for scenario in given.scenarios:
            try:
                rows += measure(scenario, go, environment, given, Path(scratch))
            except KeyboardInterrupt:
                say("interrupted; this is what there is")
                break
            except Exception as problem:  # noqa: BLE001  a load that does not start is a row, not the end
                rows.append(_failed(Row(scenario.name, scenario.program), str(problem).splitlines()[0]))
    print(table(rows))
    return 0


def _gdb(wanted: Optional[str]) -> Path:
    if wanted:
        found = shutil.which(wanted)
        if not found:
            raise Unavailable(f"no gdb at {wanted}")
        return Path(found)
    known = gdbs()
    if not known:
        raise Unavailable("no gdb on PATH")
    return known[0].path


def _peers_found() -> str:
    return ", ".join(name for name, there in peers.on_path().items() if there) or "none"


def measure(
    scenario: Scenario, go: Toolchain, environment: Environment, given: argparse.Namespace, scratch: Path
) -> List[Row]:
    """The rows of one scenario. The program runs throughout; what it takes to start is not measured."""
    binary = build(scenario.program, go)
    count = max(1, int(scenario.size * given.size)) if scenario.size else 0
    needed = count * scenario.bytes_each
    if needed > available_memory() - (1 << 30):
        why = f"needs {needed >> 20:,} MiB of memory, {available_memory() >> 20:,} MiB are available"
        return [_failed(Row(scenario.name, scenario.program), why)]
    tools = [t for t in scenario.tools(environment) if _wanted(t, given.no_peers)]
    processes = Processes()
    oracle = scratch / "oracle"
    try:
        say(f"{scenario.name}: starting {scenario.program} {count or ''}".rstrip())
        words = [str(count)] if count else ["quiet"]
        process = processes.start(
            [str(binary.path), *binary.arguments(oracle, *words)],
            env={"ADDRSPACE_TEST_LIFETIME": "36000"},
        ).wait_ready(timeout=600)
        core = _core(environment, process, tools, scratch)
        goroutines = count if scenario.goroutines else 0
        port = int(oracle.read_text()) if scenario.serves else None
        subject = Subject(process.pid, binary.path, core, goroutines, scratch, port)
        return _alternate(scenario, tools, subject, process, given)
    finally:
        processes.kill_all()
        for left in scratch.iterdir():
            left.unlink()


def _wanted(tool: Tool, no_peers: bool) -> bool:
    return not no_peers or tool.name.startswith((peers.OURS, "gdb:"))


def _core(environment: Environment, process: Process, tools: List[Tool], scratch: Path) -> Optional[Path]:
    if not any(t.needs_core and not t.missing for t in tools):
        return None
    core = scratch / "core"
    say("making a core file (not measured)")
    began = time.monotonic()
    done = subprocess.run(
        [str(environment.gdb), "-nx", "-q", "-batch", "-iex", "set debuginfod enabled off"]
        + ["-iex", "set auto-load python-scripts off", "-p", str(process.pid)]
        + ["-ex", f"generate-core-file {core}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if not core.exists():
        say(f"no core: {done.stderr.strip().splitlines()[-1:]}")
        return None
    say(f"core of {core.stat().st_size >> 20:,} MiB in {time.monotonic() - began:.0f} s")
    return core


def _alternate(
    scenario: Scenario, tools: List[Tool], subject: Subject, process: Process, given: argparse.Namespace
) -> List[Row]:
    rows = [Row(scenario.name, tool.name, tool.work) for tool in tools]
    for turn in range(given.runs):
        for tool, row in zip(tools, rows):
            if row.failed or row.why:
                continue
            _one_run(tool, row, subject, given.timeout)
            what = f"{row.why}" if row.failed else _times(row.runs[-1])
            say(f"{scenario.name} {turn + 1}/{given.runs}  {tool.name}: {what}")
            if not process.running():
                _failed(row, f"left the process stopped or dead (state {process.state()!r})")
                return rows  # what was measured before stands
    return rows


def _times(done: Run) -> str:
    stood = f", process stopped {done.stopped:.2f} s" if done.stopped is not None else ""
    waited = f", a client waited {done.waited:.3f} s" if done.waited is not None else ""
    return f"{done.seconds:.2f} s{stood}{waited}"


def _one_run(tool: Tool, row: Row, subject: Subject, timeout: float) -> None:
    if tool.missing:
        _failed(row, tool.missing)
        return
    if tool.needs_core and not subject.core:
        _failed(row, "there is no core")
        return
    pid = None if tool.needs_core else subject.pid
    done = run(tool.command(subject), timeout, tool.stdin, pid, subject.port)
    row.runs.append(done._replace(output=""))
    problem = f"killed after {timeout:.0f} s" if done.timed_out else tool.check(done, subject)
    if problem:
        _failed(row, problem)
    elif done.seconds > SLOW:
        row.why = f"over {SLOW:.0f} s: run once"


def _failed(row: Row, why: str) -> Row:
    row.failed, row.why = True, why
    return row


def table(rows: List[Row]) -> str:
    """All rows. The ratios are to this project's command that does the same work on the same load."""
    lines = []
    for row in rows:
        same = [other for other in rows if other.scenario == row.scenario]
        mine = (o for o in same if o.work == row.work and o.tool.startswith(peers.OURS))
        reference = next(mine, None)
        floor = next((o for o in same if o.work == "attach"), None)
        median, stopped, waited, peak = row.median(), row.stopped(), row.waited(), row.peak()
        lines.append(
            [
                row.scenario,
                row.work,
                row.tool,
                f"{median:.2f}" if median is not None else None,
                _divided(median, reference.median() if reference else None),
                _difference(median, floor.median() if floor else None),
                f"{stopped:.2f}" if stopped is not None else None,
                _divided(stopped, reference.stopped() if reference else None),
                f"{waited:.3f}" if waited is not None else None,
                peak >> 20 if peak is not None else None,
                len(row.runs) or None,
                row.why or "",
            ]
        )
    headers = ["scenario", "work", "tool", "median s", "ratio", "over bare", "stopped s", "ratio"]
    headers += ["waited s", "peak MiB", "runs", "note"]
    align = ("left", "left", "left", *["right"] * 8, "left")
    return tabulate(lines, headers, disable_numparse=True, colalign=align, missingval="-")


def _divided(value: Optional[float], by: Optional[float]) -> Optional[str]:
    return f"{value / by:.1f}" if value is not None and by else None


def _difference(value: Optional[float], floor: Optional[float]) -> Optional[str]:
    return f"{value - floor:+.2f}" if value is not None and floor is not None else None


if __name__ == "__main__":
    sys.exit(main())
