"""Runs inside gdb on a core: damages what is read of it, again and again, and reports as JSON.

Each seed is one run of the whole command on memory in which bits flip, words become 0, 2^60, all ones or
their own address (a cycle), at a random rate. It goes through the real target; only `read` is wrapped.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

from addrspace_gdb.commands import addrspace
from addrspace_gdb.commands.command import Look
from addrspace_gdb.commands.rss import Answer, as_json, draw, gathered
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.debugger.gdb.target import GdbTarget
from addrspace_gdb.process.residency import Residency
from addrspace_gdb.space.reading.whole import Reading, read
from addrspace_gdb.space.rss.tree import Node
from addrspace_gdb.views.diagram import diagram
from addrspace_gdb.views.documents.form import dumps
from addrspace_gdb.views.kit.render import render

sys.path.insert(0, str(Path(__file__).resolve().parent))
from harness.peak import peak_memory

LOOK = Look(100)
RSS_EACH = 4  # of so many seeds one looks at `addrspace rss` as well
TOO_LONG = 20  # seconds for one run of some 0.1 s: a hang


def damage(data: bytes, address: int, how: int, source: random.Random) -> bytes:
    """`data`, read at `address`, with a few bytes or words replaced."""
    made = bytearray(data)
    for _ in range(source.choice((1, 1, 3, 20))):
        at = source.randrange(len(made))
        word = at & ~7
        room = len(made[word : word + 8])
        if how == 0:
            made[at] ^= 1 << source.randrange(8)
        elif how == 1:
            made[at] = source.randrange(256)
        else:
            value = {2: 1 << 60, 3: 0, 4: address & ~7, 5: (1 << 64) - 1}[how]
            made[word : word + 8] = value.to_bytes(8, "little")[:room]
    return bytes(made)


def damaging(target: GdbTarget, seed: int) -> Callable[[int, int], bytes]:
    """A `read` that damages some of what it returns."""
    source = random.Random(seed)
    how, rate, honest = source.randrange(6), source.choice((0.02, 0.1, 0.5)), target.read

    def reading(address: int, size: int) -> bytes:
        data = honest(address, size)
        return damage(data, address, how, source) if data and source.random() < rate else data

    return reading


def scattered(reading: Reading, seed: int) -> Residency:
    """Pages resident at random, as a core does not know them."""
    source, residency = random.Random(seed), Residency()
    for mapping in reading.mappings:
        at = mapping.start
        for _ in range(200):
            at += source.choice((0, 4096, 8192, 1 << 20)) + 4096
            end = min(mapping.end, at + source.choice((4096, 8192, 65536, 8 << 20)))
            if at < end:
                residency.resident_runs.append(at, end)
            at = end
    return residency


def unsummed(node: Node) -> int:
    """How many nodes are not the sum of their children."""
    wrong = sum(map(unsummed, node.children))
    if node.children:
        for field, mine in enumerate(node.amount):
            parts = [child.amount[field] for child in node.children]
            wrong += mine != (None if None in parts else sum(part or 0 for part in parts))
    return wrong


def rss(target: GdbTarget, reading: Reading, seed: int) -> Tuple[List[str], int]:
    """Every line of `addrspace rss`, and how many of its sums are wrong."""
    if seed & 2 * RSS_EACH:
        reading = replace(reading, residency=scattered(reading, seed))
    answer = Answer(gathered(target, reading), by_class=bool(seed & RSS_EACH), depth=None)
    dumps(as_json(answer))
    root, mapped = answer.accounts.tree.root, sum(m.size for m in reading.mappings)
    wrong = unsummed(root) + (root.size != mapped)
    runs = reading.residency.resident_runs
    if reading.residency.known:
        wrong += root.resident != sum(runs.count(m.start, m.end) or 0 for m in reading.mappings)
    return render(draw(answer, LOOK)).splitlines(), wrong


def too_long(number: int, frame: Any) -> None:
    raise TimeoutError(f"still running after {TOO_LONG} s")


def one(seed: int) -> Dict[str, Any]:
    """Run the command once; what came of it, and every line that a person would see."""
    target = GdbTarget()
    setattr(target, "read", damaging(target, seed))  # noqa: B010  (a method is replaced on purpose)
    started = time.monotonic()
    lines: List[str] = []
    outcome, uncovered, wrong = "clean", 0, 0
    signal.alarm(TOO_LONG)
    try:
        reading = read(target, check=True)
        answer = addrspace.Answer(reading, each_goroutine=bool(seed & 1), check=True)
        space = answer.space
        lines += render(diagram(space.picture, LOOK.screen)).splitlines()
        for form in ("text", "classic"):
            lines += "".join(addrspace.COMMAND.forms[form](answer, LOOK)).splitlines()
        dumps(addrspace.as_json(answer))
        lines += [addrspace.verdict(answer) or ""]
        if seed % RSS_EACH == 0:
            shown, wrong = rss(target, reading, seed)
            lines += shown
        outcome = "damaged" if space.picture.problems else "clean"
        uncovered = sum(c.ok is False for c in space.checks[:2])
    except ProblemError as error:
        outcome, lines = "refused", [str(error)]
    except Exception:
        outcome, lines = "traceback", traceback.format_exc().splitlines()
    finally:
        signal.alarm(0)
    odd = [line for line in lines if any(ord(c) < 32 for c in line)]
    return {
        "seed": seed,
        "outcome": outcome,
        "uncovered": uncovered,
        "unsummed": wrong,
        "odd": odd[:3],
        "seconds": time.monotonic() - started,
        "lines": lines if outcome in ("refused", "traceback") else [],
    }


def main() -> None:
    signal.signal(signal.SIGALRM, too_long)
    first, count = (int(n) for n in os.environ["FUZZ_SEEDS"].split(","))
    results: List[Dict[str, Any]] = [one(seed) for seed in range(first, first + count)]
    peak = peak_memory()
    with open(os.environ["FUZZ_REPORT"], "w", encoding="utf-8") as file:
        json.dump({"results": results, "peak": peak}, file)


main()
