"""Started by the debugger's side, which talks to it over its standard input and output."""

from __future__ import annotations

import gc
import os
import sys

from addrspace_gdb.common.messages import ClosedError


def main() -> int:
    """Serve until the other side ends. The argument is a socket by which files are handed over."""
    gc.disable()  # until all is loaded: it looks for nothing in a million new things
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what anybody prints is no message
    from addrspace_gdb.worker.serving import Server

    try:
        Server(sys.stdin.buffer, outgoing, int(sys.argv[1])).serve()
    except (ClosedError, KeyboardInterrupt):
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
