"""Started by the debugger's side, which talks to it over its standard input and output."""

from __future__ import annotations

import gc
import os
import select
import sys
import threading

from addrspace_gdb.common.messages import ClosedError


def main() -> int:
    """Serve until the other side ends. The argument is a socket by which files are handed over."""
    gc.disable()  # until all is loaded: it looks for nothing in a million new things
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what anybody prints is no message
    threading.Thread(target=_end_with_the_other_side, daemon=True).start()
    from addrspace_gdb.worker.serving import Server

    try:
        Server(sys.stdin.buffer, outgoing, int(sys.argv[1])).serve()
    except (ClosedError, KeyboardInterrupt):
        pass
    return 0


def _end_with_the_other_side() -> None:
    """Whoever asked was killed: nobody waits for what is being worked out."""
    gone = select.poll()
    gone.register(0, 0)  # a pipe that nobody writes to any more is always told of
    gone.poll()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
