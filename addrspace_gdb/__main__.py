"""``python -m addrspace_gdb``, and what the installed ``addrspace-gdb`` starts.

Before anything else is imported two things are settled. A signal ends the command with its status and without
a traceback. And no module comes from the working directory or from $PYTHONPATH: the command may be run by
root, in a folder with somebody else's files. (For `python -m` Python itself looks for this package there
first; `sudo`, cron and systemd hand no PYTHONPATH on.)
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import List, Optional

_NEEDED = {
    "elftools": "pyelftools",
    "pygments": "pygments",
    "tabulate": "tabulate",
}  # as pyproject.toml has them


def _end(number: int, _frame: Optional[FrameType]) -> None:
    os._exit(128 + number)


def _end_by_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end)


def _own_modules_only() -> None:
    """Take out of sys.path what the environment and the working directory put there, but our own place."""
    own = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep) if not sys.flags.ignore_environment else []
    strange = {os.path.realpath(folder or os.curdir) for folder in [*named, os.curdir]} - {own}
    sys.path[:] = [folder for folder in sys.path if os.path.realpath(folder or os.curdir) not in strange]


def _missing() -> Optional[str]:
    """What this Python lacks, and how to get it. What a checkout's own .venv has will do."""
    if all(any(os.path.isdir(os.path.join(folder, one)) for folder in sys.path) for one in _NEEDED):
        return None  # as nearly always; what is asked next takes 3 ms to import
    import glob
    from importlib.util import find_spec

    own = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    sys.path += glob.glob(os.path.join(glob.escape(own), ".venv", "lib", "python3*", "site-packages"))
    missing = [name for module, name in _NEEDED.items() if find_spec(module) is None]
    if not missing:
        return None
    setup = os.path.join(own, "scripts", "demo")
    how = setup if os.path.exists(setup) else f"{sys.executable} -m pip install {' '.join(missing)}"
    return f"this Python lacks {', '.join(missing)}; to get what is missing run: {how}"


def _needs_worker(words: List[str]) -> bool:
    """Whether the graph of a heap is surely asked for, and not of a debugger: what works it out has so much
    to load that it is started before all else."""
    if words[:1] not in (["types"], ["holders"], ["retained"]) or os.environ.get("ADDRSPACE_DEBUGGER"):
        return False
    return len(words) > 1 and not any(
        word == "-h" or word.startswith(("--h", "--gdb", "--debugger")) for word in words
    )


def main() -> int:
    """Run the command; returns its exit status."""
    _end_by_signals()
    _own_modules_only()
    missing = _missing()
    if missing is not None:
        print(f"addrspace-gdb: {missing}", file=sys.stderr)
        return 1
    if _needs_worker(sys.argv[1:]):
        from addrspace_gdb.commands.engine import begin_any
        from addrspace_gdb.common.streams import secure_streams

        secure_streams()
        begin_any()
    from addrspace_gdb.shell.cli import main as run
    from addrspace_gdb.shell.run_gdb import Signalled

    try:
        status = run()
        _end_by_signals()  # from here on an end is the end
    except Signalled as signalled:  # it came when all was done
        return 128 + signalled.number
    return status


if __name__ == "__main__":
    sys.exit(main())
