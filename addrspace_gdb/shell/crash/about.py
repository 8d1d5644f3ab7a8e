"""Who died, of what, when and where: what there is to know before anything is read of its memory."""

from __future__ import annotations

import os
import time
from typing import List, Optional, Tuple

from addrspace_gdb.common.escape import decoded
from addrspace_gdb.common.problems import ProblemError, Problems
from addrspace_gdb.debugger.direct.session import DirectSession
from addrspace_gdb.process.core_head import CoreHead
from addrspace_gdb.process.elf import build_ids, read_image
from addrspace_gdb.process.local_proc import LocalProc
from addrspace_gdb.process.registers import architecture, register_set
from addrspace_gdb.process.regular import open_regular, read_at
from addrspace_gdb.shell.crash.told import Told, signal_name
from addrspace_gdb.space.reading.opening import Opening
from addrspace_gdb.views.documents.crash import About, KeptThread

_HEAD = 4096  # bytes of a program: its notes are in there


def command_of(pid: int) -> str:
    """What a process is called; "" if it is gone."""
    try:
        return decoded(LocalProc(pid).read("comm").rstrip(b"\n"))
    except OSError:
        return ""


def about(what: Told, head: CoreHead, session: Optional[DirectSession]) -> About:
    """What the kernel says, what the notes say, and the program's file."""
    target = session.target() if session is not None else None
    gnu, go = _build_ids(what.pid)
    signal = head.notes.signal
    number = signal.number if signal is not None else what.signal
    return About(
        target=Opening(target, Problems()).info if target is not None else None,
        command=command_of(what.pid) or "?",
        build_id=gnu,
        go_build_id=go,
        pid=what.pid,
        tid=what.tid if what.tid is not None else head.notes.threads[0].tid,
        signal_number=number,
        signal_name=signal_name(number),
        signal_code=signal.code if signal is not None else None,
        signal_address=signal.address if signal is not None else None,
        time=time.time(),
        host=os.uname().nodename,
        threads=_threads(head),
    )


def _build_ids(pid: int) -> Tuple[Optional[str], Optional[str]]:
    """GNU's in hexadecimal, and Go's own."""
    program = LocalProc(pid).path("exe")
    try:
        with open_regular(program) as file:
            found = build_ids(read_at(file, 0, _HEAD))
        gnu = read_image(program).build_id
    except (OSError, ProblemError):
        return None, None
    own = (decoded(one) for one in found if one.hex() != gnu)
    return gnu, next(own, None)


def _threads(head: CoreHead) -> List[KeptThread]:
    """The registers of every thread, by the notes alone."""
    arch = architecture(head.machine, head.pointer_size, head.byte_order)
    known = register_set(arch) if arch is not None else None
    return [
        KeptThread(
            thread.tid,
            thread.signal,
            known.decode(thread.general, head.byte_order) if known is not None else {},
        )
        for thread in head.notes.threads
    ]
