"""The commands: each parses its arguments, asks, and hands the answer to a view.

Sourcing the package must not cost what the commands need: a command's module is imported when it is first
run. What the debugger wants to know before, its name and help, is in help.json, which `scripts/gen-help`
writes.
"""

from __future__ import annotations

import json
import os
from importlib import import_module
from typing import Any, Dict, List, Optional, Tuple

from addrspace_gdb.commands.session import Command, Session

# The one place where commands are registered: their modules. A prefix comes before what is under it.
MODULES = (
    "addrspace",
    "regions",
    "rss",
    "memstats",
    "gc",
    "heap",
    "arenas",
    "spans",
    "whereis",
    "fault",
    "snapshot",
    "diff",
    "compare",
    "goroutine_stacks",
)
# What `addrspace-gdb dump --report` takes: the commands that need a process only, by their last word.
_NO_REPORT = ("addrspace", "snapshot", "diff", "compare")
REPORTS = tuple(module.replace("_", "-") for module in MODULES if module not in _NO_REPORT)
HELP = os.path.join(os.path.dirname(__file__), "help.json")


def loaded(module: str) -> Command:
    """The command of a module of this package."""
    found: Command = import_module(f"addrspace_gdb.commands.{module}").COMMAND
    return found


def commands() -> List[Command]:
    """Every command, none of them loaded. OSError or ValueError if help.json is damaged."""
    with open(HELP, encoding="ascii") as file:
        known: Dict[str, Dict[str, Any]] = json.load(file)
    return [_lazy(module, known[module]) for module in MODULES]


def _lazy(module: str, known: Dict[str, Any]) -> Command:
    def run(session: Session, line: str) -> Optional[str]:
        return loaded(module).run(session, line)

    def words() -> List[str]:
        return loaded(module).words()

    return Command(str(known["name"]), str(known["help"]), run, words)


def help_json() -> str:
    """What help.json should be."""
    found: Dict[str, Tuple[str, str]] = {module: loaded(module)[:2] for module in MODULES}
    named = {module: {"name": name, "help": text} for module, (name, text) in found.items()}
    return json.dumps(named, indent=1) + "\n"
