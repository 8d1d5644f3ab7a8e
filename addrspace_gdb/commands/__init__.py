"""The commands, one module each: arguments, what is asked, the forms of the answer, and the verdict on it.

Sourcing the package must not cost what the commands need: a command's module is imported when it is first
run. What the debugger wants to know before, its name and help, is in help.json, which `scripts/gen-help`
writes.
"""

from __future__ import annotations

import json
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple

if TYPE_CHECKING:
    from addrspace_gdb.commands.command import Command

# The one place where commands are registered: their modules. A prefix comes before what is under it.
_OF_A_PROCESS = (
    "addrspace",
    "regions",
    "rss",
    "memstats",
    "gc",
    "heap",
    "arenas",
    "spans",
    "types",
    "retained",
    "holders",
    "whereis",
    "fault",
    "goroutine_stacks",
    "profile",
    "html",
)
_OF_SEVERAL_MOMENTS = ("snapshot", "diff", "compare")
MODULES = (*_OF_A_PROCESS, *_OF_SEVERAL_MOMENTS)
# What `addrspace-gdb dump --report` takes: the last word of those that ask one process once.
REPORTS = tuple(module.replace("_", "-") for module in _OF_A_PROCESS)
# What `addrspace profile` can make.
PROFILES = ("heap", "allocs", "goroutine", "threadcreate", "block", "mutex", "stacks", "rss", "retained")
HELP = os.path.join(os.path.dirname(__file__), "help.json")


class ListedCommand(NamedTuple):
    """A command that is not loaded yet: its name in the debugger, its help text, and its module."""

    name: str
    help: str
    module: str


def loaded(module: str) -> Command:
    """The command of a module of this package."""
    found: Command = import_module(f"addrspace_gdb.commands.{module}").COMMAND
    return found


def report(name: str) -> Command:
    """The command that a report is named after, one of REPORTS."""
    return loaded(name.replace("-", "_"))


def commands() -> List[ListedCommand]:
    """Every command, none of them loaded. OSError or ValueError if help.json is damaged."""
    with open(HELP, encoding="ascii") as file:
        known: Dict[str, Dict[str, Any]] = json.load(file)
    return [
        ListedCommand(str(known[module]["name"]), str(known[module]["help"]), module) for module in MODULES
    ]


def help_json() -> str:
    """What help.json should be."""
    found = {module: loaded(module) for module in MODULES}
    named = {module: {"name": command.name, "help": command.help} for module, command in found.items()}
    return json.dumps(named, indent=1) + "\n"
