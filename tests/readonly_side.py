"""Commands for the tests of the read-only rule, sourced inside gdb.

readonly-try FILE          ask our commands for every expression that would change something; write what they
                           said, and memory, registers and settings before and after, as one JSON object
readonly-interrupts FILE   interrupt commands of ours at many moments; write what settings were found changed
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shlex
import signal
import threading
import time
from typing import Any, Dict, List

import gdb

PERMISSIONS = ("may-write-memory", "may-write-registers", "may-call-functions")
WRITES = (
    "runtime.gomaxprocs=5",
    "runtime.gomaxprocs++",
    "runtime.gomaxprocs += 3",
    "runtime.gomaxprocs<<=1",
    "used = 7",
    "++used",
    "*(int*)&used -= 1",
    "{int}$sp = 5",
    "$r15=0x1234",
    "$r15++",
    "$pc = 3",
    "$_siginfo.si_signo = 5",
)
CALLS = ("native_large(100)", "runtime.GC()", "*native_large(8) + 1")
PROGRAMS = ('$_shell("touch RAN")',)
COMMANDS = ("whereis", "regions", "spans")


def memory() -> Dict[str, str]:
    """A digest of each mapping that the process may write to; empty of a core."""
    pid, connection = gdb.selected_inferior().pid, gdb.selected_inferior().connection
    if connection is None or connection.type != "native":
        return {}
    found = {}
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as file:
        for line in maps:
            span, permissions = line.split()[:2]
            if permissions[:2] == "rw":
                low, high = (int(part, 16) for part in span.split("-"))
                file.seek(low)
                found[span] = hashlib.sha256(file.read(high - low)).hexdigest()
    return found


def registers() -> str:
    """Of every thread, from the kernel and not from what gdb keeps."""
    gdb.execute("maintenance flush register-cache", to_string=True)
    return gdb.execute("thread apply all -q info registers general", to_string=True)


def settings() -> Dict[str, bool]:
    return {name: bool(gdb.parameter(name)) for name in PERMISSIONS}


def said(command: str) -> str:
    """What gdb prints, or the error."""
    try:
        return "printed " + gdb.execute(command, to_string=True)
    except gdb.error as error:
        return str(error)


def _words(expression: str, command: str) -> str:
    """As the command takes an expression."""
    return shlex.quote("@" + expression) if command == "regions" else expression


def tries(expressions: List[str]) -> List[Dict[str, str]]:
    return [
        {"command": command, "expression": one, "said": said(f"addrspace {command} {_words(one, command)}")}
        for one in expressions
        for command in COMMANDS
    ]


def _try(path: str) -> None:
    said("addrspace")  # what is read once
    before: Dict[str, Any] = {"memory": memory(), "registers": registers(), "settings": settings()}
    answers = tries([*WRITES, *CALLS, *PROGRAMS])
    after = {"memory": memory(), "registers": registers(), "settings": settings()}
    with open(path, "w") as file:
        json.dump({"before": before, "after": after, "tries": answers}, file)


def _interrupt_after(seconds: float) -> None:
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGINT)


def _interrupts(path: str) -> None:
    """Each round an interrupt comes at a random moment of a command; the settings are looked at after it."""
    chance, wrong, hit = random.Random(11), [], 0
    for number in range(300):
        timer = threading.Thread(target=_interrupt_after, args=(chance.uniform(0, 0.004),))
        try:
            timer.start()
            while timer.is_alive():
                gdb.execute("addrspace whereis runtime.gomaxprocs", to_string=True)
            gdb.execute("addrspace whereis runtime.gomaxprocs", to_string=True)
        except (KeyboardInterrupt, gdb.error):
            hit += 1
        try:
            timer.join()
            time.sleep(0.001)
        except KeyboardInterrupt:
            pass
        if not all(settings().values()):
            wrong.append({"round": number, **settings()})
            for name in PERMISSIONS:
                said(f"set {name} on")
    with open(path, "w") as file:
        json.dump({"wrong": wrong, "hit": hit}, file)


class _Command(gdb.Command):
    def __init__(self, name: str, run: Any) -> None:
        super().__init__(name, gdb.COMMAND_DATA)
        self._run = run

    def invoke(self, argument: str, from_tty: bool) -> None:
        self._run(argument.strip())


_Command("readonly-try", _try)
_Command("readonly-interrupts", _interrupts)
