"""Go's own test programs, run to their deaths with GOTRACEBACK=crash: of each core we say what Go said."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict, List, Optional

import jsonschema
import pytest
from harness import full_matrix
from harness.command import cli
from harness.dumps import Goroutine
from harness.testprogs import PROGRAMS, Died, Said, build_testprog, commands, die, said
from harness.toolchains import Toolchain, Unavailable

from addrspace_gdb.common.escape import printable
from addrspace_gdb.views.documents import schema as schemas

Document = Dict[str, Any]

# Those that once were wrong, and one of each other kind. ADDRSPACE_MATRIX=1 runs them all.
ALWAYS = {
    "testprog": (
        *("Abort", "Breakpoint", "TgkillSegv", "GoexitDeadlock", "SimpleDeadlock"),
        *("panicCustomInt", "panicCustomFloat32", "RepanickedPanicSandwich", "BadTraceback"),
    ),
    "testprogcgo": ("Abort", "SegvInCgo", "TgkillSegvInCgo", "CrashTraceback", "CgoExternalThreadPanic"),
    "testprognet": ("SignalIgnoreSIGTRAP",),
}
DAMAGED = ("BadTraceback",)


def asked(core: Path, program: Path, report: str) -> Document:
    done = cli("dump", core, "--exe", program, "--report", report, "--format", "json", cwd=core.parent)
    assert done.stdout, (report, done.stderr)
    document: Document = json.loads(done.stdout)
    jsonschema.validate(document, schemas.schema(document["schema"]))
    return document


def differences(died: Died, damaged: bool = False) -> List[str]:
    """What is told otherwise than Go told it. `damaged`: its stacks are, on purpose."""
    told = said(died.text)
    fault = asked(died.core, died.program, "fault")
    listed = asked(died.core, died.program, "goroutine-stacks --frames --system")
    found = [*_cause(told, fault), *goroutine_wrong(told, fault)]
    by_goid = {row["goid"]: row for row in listed["goroutines"]}
    for one in told.goroutines:
        if one.goid and one.frames:
            found += _frames(one, by_goid.get(one.goid))
    problems = [*fault["problems"], *listed["problems"]]
    problems += [] if damaged else [row["problem"] for row in listed["goroutines"] if row["problem"]]
    return [*found, *problems, *_sums(died)]


def _sums(died: Died) -> List[str]:
    """Whether every sum holds, and nothing is called damaged."""
    done = cli("dump", died.core, "--exe", died.program, "--check", cwd=died.core.parent)
    bad = [line.strip() for line in done.stdout.splitlines() if re.match(r"\s*(problem|damaged)\b", line)]
    return [*bad, f"--check: status {done.returncode}: {done.stderr.strip()}"] if done.returncode else bad


def _cause(told: Said, fault: Document) -> List[str]:
    """The kind and the value."""
    if told.signal is not None:
        return signal_wrong(told, fault)
    found = []
    if told.recorded is not None:
        one = fault["fault"] or {}
        numbers = (one.get("code"), int(one.get("address") or "0", 16), int(one.get("pc") or "0", 16))
        if numbers != told.recorded:
            found.append(f"the signal of the panic: {one}, not {told.recorded}")
    if (fault["message"] or "") != (told.fatal or ""):
        found.append(f"fatal error: {fault['message']!r}, not {told.fatal!r}")
    values = [_value(panic) for panic in reversed(fault["panics"])]
    wanted = [_as_told(text) for text in told.panics]
    if told.fatal is None and not _same_values(values, wanted):
        found.append(f"panics: {values}, not {wanted}")
    return found


def signal_wrong(told: Said, fault: Document) -> List[str]:
    one = fault["fault"] or fault["death"] or {}
    code = told.code - (1 << 64) if told.code is not None and told.code >> 63 else told.code
    mine = (one.get("signal"), one.get("code"), int(one.get("pc") or "0", 16))
    found = [] if mine == (told.signal, code, told.pc) else [f"signal: {one}, not {told}"]
    address = fault["fault"]["address"] if fault["fault"] and not fault["fault"]["computed"] else None
    if address and told.address is not None and int(address, 16) != told.address:  # since Go 1.22
        found.append(f"address: {address}")
    return found


def _same_values(values: List[Optional[str]], wanted: List[str]) -> bool:
    """Go leaves out one that was raised again with the same value."""
    rest = iter(values)
    return all(any(value == text for value in rest) for text in wanted) and bool(values) == bool(wanted)


def _value(panic: Document) -> Optional[str]:
    return None if panic["value"] is None else panic["value"].replace("\n", "\\n").replace("\\t", "")


def _as_told(text: str) -> str:
    text = re.sub(r" \[(recovered|recovered, repanicked)\]$", "", text)
    text = re.sub(r'^runtime\.errorString\("(.*)"\)$', r"runtime error: \1", text)  # its method not called
    return printable(text.replace("\n\t", "\n")).replace("\\t", "")


def goroutine_wrong(told: Said, fault: Document) -> List[str]:
    """Go calls the runtime's own stack goroutine 0; where it began there, the thread's goroutine is next."""
    allowed = {told.goid or None}
    if not told.goid and told.goroutines:
        allowed.add(next((one.goid for one in told.goroutines if one.goid), None))
    return [] if fault["goroutine"] in allowed else [f"goroutine: {fault['goroutine']}, not {allowed}"]


def _frames(one: Goroutine, row: Optional[Document]) -> List[str]:
    """Go's frames are the outer end of ours, which begin where the thread stands."""
    if row is None:
        return [f"goroutine {one.goid} is missing"]
    printed = [(frame.function, frame.line) for frame in one.frames if "symbolizer" not in frame.file]
    ours = [(_name(frame["function"]), frame["line"]) for frame in row["frames"]]
    if one.elided != 0:
        return []
    # What is left out: where g.sched says it is, while it runs on the system's stack; and gogo, where Go's
    # own walk ends and ours is where it goes on.
    while printed and printed[0][0].startswith(("runtime.", "gogo")) and printed[0] not in ours:
        printed = printed[1:]
    end = ours[len(ours) - len(printed) :] if printed else []
    return [] if end == printed else [f"goroutine {one.goid}: {ours}, not {printed}"]


def _name(name: Optional[str]) -> Optional[str]:
    return "panic" if name == "runtime.gopanic" else name


def names(go: Toolchain, program: str) -> List[str]:
    known = commands(go, program)
    return known if full_matrix() else [name for name in ALWAYS[program] if name in known]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_core_says_what_go_said(go: Toolchain, program: str, tmp_path: Path) -> None:
    """In one test, for what a program does differs from version to version."""
    try:
        built = build_testprog(go, program)
        wrong: Dict[str, List[str]] = {}
        for name in names(go, program):
            folder = tmp_path / name
            folder.mkdir()
            died = die(built, name, folder)
            if died is not None:
                found = differences(died, name in DAMAGED)
                died.core.unlink()
                if found:
                    wrong[name] = found
    except Unavailable as problem:
        pytest.skip(str(problem))
    assert not wrong, "\n".join(f"{name}: {line}" for name, lines in wrong.items() for line in lines)
