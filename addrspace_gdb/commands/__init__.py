"""The commands: each parses its arguments, asks, and hands the answer to a view."""

from addrspace_gdb.commands import (
    addrspace,
    arenas,
    compare,
    diff,
    fault,
    gc,
    goroutine_stacks,
    heap,
    memstats,
    regions,
    rss,
    snapshot,
    spans,
    whereis,
)
from addrspace_gdb.commands.session import Command

# The one place where commands are registered; a prefix comes before what is under it.
COMMANDS: "tuple[Command, ...]" = (
    addrspace.COMMAND,
    regions.COMMAND,
    rss.COMMAND,
    memstats.COMMAND,
    gc.COMMAND,
    heap.COMMAND,
    arenas.COMMAND,
    spans.COMMAND,
    whereis.COMMAND,
    fault.COMMAND,
    snapshot.COMMAND,
    diff.COMMAND,
    compare.COMMAND,
    goroutine_stacks.COMMAND,
)
