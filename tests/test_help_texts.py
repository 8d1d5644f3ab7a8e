"""What gdb says before a command's module is loaded is what the module says."""

from __future__ import annotations

from harness import LOADER
from harness.debuggers import gdbs
from harness.gdbrun import run_gdb

from addrspace_gdb.commands import MODULES, commands, loaded


def test_every_command_is_the_modules() -> None:
    for module, command in zip(MODULES, commands()):
        assert (command.name, command.module) == (loaded(module).name, module)


def test_sourcing_loads_no_room_above_the_debugger() -> None:
    show = "print(sorted({m for m in sys.modules if m.startswith('addrspace_gdb.')}))"
    run = run_gdb(gdbs()[0], [f"source {LOADER}", f"python import sys; {show}"])
    for room in ("space", "views", "goruntime"):
        assert f"addrspace_gdb.{room}'" not in run.stdout, run.stdout
