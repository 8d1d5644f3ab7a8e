"""What a command may do with a damaged file, and what it may not. An empty list of failures is all well."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Optional, Sequence

from fuzzing.asked import Step
from fuzzing.running import Done

MEMORY = 1 << 30  # bytes
OF_MEMORY = "MiB of memory"
FLOOD = 1 << 22  # bytes of an answer about a process of this size
NAME = b"addrspace-gdb: "
MAX_LINES = 3  # of stderr: a stream that ends early, a core that is cut, what is damaged in it
LONGEST_LINE = 1200  # characters
_WARNING = re.compile(r"^warning: .*\n", re.MULTILINE)  # gdb's, on the first read of registers: not to stdout
_STATISTICS = b"not stopped (a core), "


def shell_failures(done: Done, options: Sequence[str]) -> List[str]:
    """What is wrong with a run of the command with these options."""
    found = _common(done)
    if done.hung is None and done.status not in (0, 1, 2):
        found.append(f"exit status {done.status}")
    lines = done.stderr.splitlines()
    statistics = [line for line in lines if line.startswith(_STATISTICS)]
    told = [line for line in lines if line not in statistics]
    if len(statistics) > ("--stats" in options):
        found.append("statistics that nobody asked for")
    found += [f"a line that is no problem's: {line[:200]!r}" for line in told if not line.startswith(NAME)][
        :1
    ]
    if len(told) > MAX_LINES or len(set(told)) < len(told):
        found.append(f"{len(told)} lines on stderr: {told[:4]!r}")
    found += [f"a line of {len(line)} bytes" for line in told if len(line) > LONGEST_LINE][:1]
    if done.hung is None:
        found += _agreement(done, told, "json" in options)
    return found


def _agreement(done: Done, told: Sequence[bytes], wants_json: bool) -> List[str]:
    """Status, answer and problems must fit together."""
    if done.status == 0 and told:
        return [f"status 0, and a problem: {told[0][:200]!r}"]
    if done.status == 0 and not done.stdout.strip():
        return ["status 0, and no answer"]
    if done.status in (1, 2) and not told:
        return [f"status {done.status}, and no word of why"]
    if wants_json and done.stdout and not _is_json(done.stdout):
        return ["what is printed is no JSON"]
    return [] if wants_json or clean(done.stdout) else ["what is printed is not clean text"]


def gdb_failures(done: Done, steps: Sequence[Step], records: Sequence[Dict[str, Any]]) -> List[str]:
    """What is wrong with a session inside gdb. That gdb dies or hangs in a command of its own is not ours."""
    last = unfinished(records)
    own = last is not None and not steps[last].ours
    found = _common(done._replace(hung=None) if own else done)
    for record in records:
        if "outcome" in record:
            found += [
                f"{steps[record['number']].command}: {why}" for why in _step(steps[record["number"]], record)
            ]
    if last is not None and steps[last].ours and done.hung is None:
        found.append(f"{steps[last].command}: gdb ended in it, status {done.status}")
    return found


def unfinished(records: Sequence[Dict[str, Any]]) -> Optional[int]:
    """The number of the step that began and did not end."""
    ended = {record["number"] for record in records if "outcome" in record}
    return next((r["begins"] for r in records if "begins" in r and r["begins"] not in ended), None)


def _step(step: Step, record: Dict[str, Any]) -> List[str]:
    text, kind = _WARNING.sub("", record["text"]), record["outcome"]
    if "internal error: " in text and "addrspace" in text:
        return [f"internal error: {text[:400]}"]
    if "Traceback (most recent" in text or "Python Exception" in text:
        return [f"a traceback: {text[:400]}"]
    if not step.ours or step.command.startswith("goroutine") and "-stacks" not in step.command:
        return [] if kind in ("output", "error", "not utf-8") else [f"{kind}: {text[:300]}"]
    return _own(step.command, kind, text, record["length"])


def _own(command: str, kind: str, text: str, length: int) -> List[str]:
    """Of a command that answers for all of its text."""
    if kind == "output":
        if length > FLOOD:
            return [f"a flood of {length} characters"]
        if "--format json" in command:
            return [] if _is_json(text.encode("utf-8", "surrogateescape")) else ["what is printed is no JSON"]
        return [] if text.strip() and _is_clean(text) else [f"no clean text: {text[:200]!r}"]
    if kind != "error":
        return [f"{kind}: {text[:300]}"]
    one = text.strip().splitlines()
    if len(one) != 1 or not one[0].isprintable() or len(one[0]) > LONGEST_LINE:
        return [f"not one line: {text[:300]!r}"]
    ours = "addrspace: " in one[0] or command.startswith("print ")
    return [] if ours else [f"an error without our name: {text[:300]!r}"]


def _common(done: Done) -> List[str]:
    found = [f"a hang: {done.hung}"] if done.hung is not None else []
    if done.peak > MEMORY:
        found.append(f"{done.peak >> 20} {OF_MEMORY}")
    if len(done.stdout) > FLOOD or len(done.stderr) > FLOOD:
        found.append(f"a flood of {len(done.stdout)} + {len(done.stderr)} bytes")
    for said in (done.stdout, done.stderr):
        for sign in (b"Traceback (most recent call last)", b"Python Exception", b"internal error:"):
            at = said.find(sign)
            if at >= 0 and b"GDB internal error" not in said:
                found.append(f"a traceback: {said[at : at + 600].decode('utf-8', 'backslashreplace')}")
                break
    return found


def _is_json(text: bytes) -> bool:
    """Whether every reader takes it: without surrogates that stand alone."""
    try:
        json.dumps(json.loads(text.decode("utf-8")), ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        return False
    return True


def clean(text: bytes) -> bool:
    """Whether it is UTF-8 without control characters other than the ends of lines."""
    try:
        return _is_clean(text.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def _is_clean(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))
