"""Measures how long a process stands still: watch.py PID RESULT, until its standard input ends.

Looks at the state in /proc/PID/stat (proc_pid_stat(5)) every half millisecond: "t" while a debugger holds it,
"T" if a signal does. Writes the seconds in those states. A process of its own, so that nothing else that the
benchmark does delays a look.
"""

import os
import select
import sys
import time

EVERY = 0.0005  # seconds between two looks
STOPPED = (b"t", b"T")


def state(file: int) -> bytes:
    """One letter; empty once the process is gone."""
    try:
        return os.pread(file, 256, 0).rpartition(b") ")[2][:1]
    except ProcessLookupError:
        return b""


def watch(pid: str) -> float:
    """Seconds for which it stood still until our standard input ended."""
    stopped, before, was = 0.0, time.monotonic(), False
    file = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    while not select.select([0], [], [], EVERY)[0]:
        now, stands = time.monotonic(), state(file) in STOPPED
        if was:
            stopped += now - before
        before, was = now, stands
    return stopped


with open(sys.argv[2], "w", encoding="ascii") as out:
    out.write(f"{watch(sys.argv[1])}")
