"""The tools that are compared, and how to see that each did its work.

A tool's command line is made for a `Subject`; its check looks at what the tool printed and returns
why that is not the whole answer, or None.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional

from harness import CHECKOUT, LOADER

from benchmark.measure import Run

OURS = "addrspace-gdb: "


class Subject(NamedTuple):
    """The load program under the tools: running as `pid`, and as a core file if a tool wants one; `port` is
    where it serves clients, None if it does not."""

    pid: int
    binary: Path
    core: Optional[Path]
    goroutines: int  # how many it has at least
    scratch: Path
    port: Optional[int] = None


Check = Callable[[Run, Subject], Optional[str]]


class Tool(NamedTuple):
    """A tool doing one work: "attach", "memory", "list" or "frames"; tools of one work are compared.

    `missing` says why it cannot be run at all, else it is None.
    """

    work: str
    name: str
    command: Callable[[Subject], List[str]]
    check: Check
    missing: Optional[str] = None
    stdin: bytes = b""
    needs_core: bool = False


class Environment(NamedTuple):
    """Where the tools are: gdb, GOROOT of the Go that the programs are built with."""

    gdb: Path
    goroot: Path


def _gdb(environment: Environment, subject: Subject, commands: List[str]) -> List[str]:
    early = [
        "set debuginfod enabled off",
        "set auto-load python-scripts off",
        "set confirm off",
        "set pagination off",
        "set width 0",
        "set print thread-events off",
    ]
    line = [str(environment.gdb), "-nx", "-q", "-batch"]
    line += [word for setting in early for word in ("-iex", setting)]
    line += ["-p", str(subject.pid)]
    return line + [word for command in commands for word in ("-ex", command)]


def bare(environment: Environment) -> Tool:
    """gdb attaches and detaches: what every tool inside gdb pays."""
    return Tool(
        "attach", "gdb: bare attach and detach", lambda s: _gdb(environment, s, ["detach"]), _ended_well
    )


def nobody() -> Tool:
    """A second in which nobody looks at the process."""
    return Tool("nothing", "nobody: one second", lambda s: ["sleep", "1"], _ended_well)


def ours(environment: Environment, work: str, command: str, expected: str) -> Tool:
    """A command of this project; `expected` is a regular expression that its output must contain."""

    def line(subject: Subject) -> List[str]:
        return _gdb(environment, subject, [f"source {LOADER}", command, "detach"])

    def check(run: Run, subject: Subject) -> Optional[str]:
        return _ended_well(run, subject) or _has(expected, run.output)

    return Tool(work, OURS + command, line, check)


def let_go(work: str, report: str, expected: str, gdb: Optional[Path] = None) -> Tool:
    """`addrspace-gdb dump`, the diagram or with --report, which lets the process go before it draws; through
    `gdb`, else without a debugger."""

    def line(subject: Subject) -> List[str]:
        words = ["env", f"PYTHONPATH={CHECKOUT}", sys.executable, "-m", "addrspace_gdb", "dump"]
        words += ["--gdb", str(gdb)] if gdb is not None else ["--debugger", "none"]
        return [*words, *(["--report", report] if report else []), str(subject.pid)]

    def check(run: Run, subject: Subject) -> Optional[str]:
        return _ended_well(run, subject) or _has(expected, run.output)

    how = " (by gdb)" if gdb is not None else ""
    return Tool(work, f"{OURS}dump {report}".rstrip() + how, line, check)


def ours_to_file(environment: Environment, work: str, command: str) -> Tool:
    """A command of this project that writes all goroutines, as text or JSON; the file must have them all."""

    def line(subject: Subject) -> List[str]:
        return _gdb(
            environment,
            subject,
            [f"source {LOADER}", f"{command} --output {subject.scratch}/out", "detach"],
        )

    def check(run: Run, subject: Subject) -> Optional[str]:
        file = subject.scratch / "out"
        if not file.exists():
            return "wrote no file" + _last_error(run.output)
        text = file.read_text(encoding="utf-8")
        file.unlink()
        if "json" not in command:
            return _enough(len(re.findall(r"^ *[0-9]+  \w.*\bmain\.", text, re.MULTILINE)), subject)
        try:
            content = json.loads(text)
        except ValueError as problem:
            return f"wrote no JSON: {problem}"
        return _enough(len(content.get("goroutines", [])), subject)

    return Tool(work, OURS + command, line, check)


def delve(work: str, arguments: str) -> Tool:
    """`dlv attach PID`, `goroutines ARGUMENTS`, and leave without killing."""
    init = tempfile.NamedTemporaryFile("w", suffix=".dlv")  # noqa: SIM115 - it lives as long as the tool
    init.write(f"goroutines {arguments}\nexit\n")
    init.flush()
    keep = [init]

    def line(subject: Subject) -> List[str]:
        return [
            "dlv",
            "attach",
            str(subject.pid),
            str(subject.binary),
            "--init",
            keep[0].name,
            "--allow-non-terminal-interactive=true",
            "--check-go-version=false",
        ]

    def check(run: Run, subject: Subject) -> Optional[str]:
        total = re.findall(r"\[(\d+) goroutines\]", run.output)
        return _enough(int(total[-1]) if total else 0, subject)

    return Tool(work, f"dlv: goroutines {arguments}", line, check, _missing("dlv"), stdin=b"n\n")


def info_goroutines(environment: Environment) -> Tool:
    """`info goroutines` of the runtime-gdb.py that came with the toolchain."""
    script = environment.goroot / "src" / "runtime" / "runtime-gdb.py"

    def line(subject: Subject) -> List[str]:
        return _gdb(environment, subject, [f"source {script}", "info goroutines", "detach"])

    def check(run: Run, subject: Subject) -> Optional[str]:
        return _enough(len(re.findall(r"^[* ] *\d+ +\w+ ", run.output, re.MULTILINE)), subject)

    missing = None if script.exists() else f"no {script}"
    return Tool("list", "runtime-gdb.py: info goroutines", line, check, missing)


_OF_VIEWCORE = {"breakdown": r"\bheap\b", "histogram": r"main\."}


def viewcore(work: str, command: str) -> Tool:
    """`viewcore CORE breakdown`, `viewcore CORE goroutines` or `viewcore CORE histogram`."""

    def line(subject: Subject) -> List[str]:
        return ["viewcore", str(subject.core), "--exe", str(subject.binary), command]

    def check(run: Run, subject: Subject) -> Optional[str]:
        if command == "goroutines":
            return _enough(len(re.findall(r"^G stacksize", run.output, re.MULTILINE)), subject)
        return _ended_well(run, subject) or _has(_OF_VIEWCORE[command], run.output)

    return Tool(work, f"viewcore (core): {command}", line, check, _missing("viewcore"), needs_core=True)


def goref(work: str) -> Tool:
    """`grf core EXECUTABLE CORE`, which writes a profile of who leads to what."""

    def line(subject: Subject) -> List[str]:
        return ["grf", "core", str(subject.binary), str(subject.core), "-o", f"{subject.scratch}/out"]

    def check(run: Run, subject: Subject) -> Optional[str]:
        file = subject.scratch / "out"
        if not file.exists():
            return "wrote no file" + _last_error(run.output)
        file.unlink()
        return _ended_well(run, subject)

    return Tool(work, "goref (core)", line, check, _missing("grf"), needs_core=True)


def _missing(name: str) -> Optional[str]:
    return None if shutil.which(name) else f"{name} is not on PATH"


def _ended_well(run: Run, subject: Subject) -> Optional[str]:
    if run.status == 0:
        return None
    lines = [line for line in run.output.splitlines() if line.strip() and not line.startswith("[")]
    return f"exit status {run.status}: {_short(lines[-1] if lines else 'no output')}"


def _has(pattern: str, output: str) -> Optional[str]:
    return None if re.search(pattern, output) else f"printed no {pattern!r}" + _last_error(output)


def _last_error(output: str) -> str:
    errors = [line for line in output.splitlines() if re.search("error|not|undefined", line, re.IGNORECASE)]
    return f": {_short(errors[-1])}" if errors else ""


def _enough(found: int, subject: Subject) -> Optional[str]:
    return None if found >= subject.goroutines else f"showed {found:,} of {subject.goroutines:,} goroutines"


def _short(line: str) -> str:
    printable = "".join(c if c.isprintable() else "?" for c in line)
    return printable if len(printable) <= 90 else printable[:87] + "..."


def on_path() -> Dict[str, bool]:
    """The peers that are separate programs, and whether PATH has them."""
    return {name: shutil.which(name) is not None for name in ("dlv", "viewcore")}
