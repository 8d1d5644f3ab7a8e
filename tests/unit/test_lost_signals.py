"""A signal that comes where the interpreter raises nothing ends the command all the same, without a word."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import signal, sys, time
from addrspace_gdb.shell.run_gdb import Signalled, catch_signals
catch_signals()

class Ending:
    def __del__(self):
        signal.raise_signal({number})

try:
    Ending()
    time.sleep(30)
except Signalled as end:
    print(end.number)
"""


@pytest.mark.parametrize("number", [2, 15, 1])
def test_it_is_raised_a_moment_later(number: int) -> None:
    command = [sys.executable, "-c", SCRIPT.format(number=number)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=25, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{number}\n"


def test_what_else_is_wrong_there_is_shown() -> None:
    wrong = "class Ending:\n    def __del__(self):\n        raise ValueError('wrong')\n"
    script = f"from addrspace_gdb.shell.run_gdb import catch_signals\ncatch_signals()\n{wrong}Ending()\n"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=25, check=False)
    assert done.returncode == 0 and "ValueError: wrong" in done.stderr
