"""The commands: each parses its arguments, asks, and hands the answer to a view."""

from addrspace_gdb.commands import addrspace, compare, diff, gc, goroutine_stacks, memstats, regions, snapshot
from addrspace_gdb.commands.session import Command

# The one place where commands are registered; a prefix comes before what is under it.
COMMANDS: "tuple[Command, ...]" = (
    addrspace.COMMAND,
    regions.COMMAND,
    memstats.COMMAND,
    gc.COMMAND,
    snapshot.COMMAND,
    diff.COMMAND,
    compare.COMMAND,
    goroutine_stacks.COMMAND,
)
