"""Runs a command and writes its seconds, peak KiB and wait status to a file: spawn.py RESULT COMMAND…

A process of its own, because Linux counts what the parent had resident into the child's ru_maxrss: this one
stays small, whatever the benchmark itself has read.
"""

import os
import sys
import time

result, command = sys.argv[1], sys.argv[2:]
began = time.monotonic()
pid = os.posix_spawnp(command[0], command, os.environ)
_, status, usage = os.wait4(pid, 0)
seconds = time.monotonic() - began
with open(result, "w", encoding="ascii") as out:
    out.write(f"{seconds} {usage.ru_maxrss} {status}")
