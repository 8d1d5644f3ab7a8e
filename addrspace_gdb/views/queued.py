"""Words for finalizers and cleanups that wait, and for who is at work on them."""

from __future__ import annotations

from addrspace_gdb.common import sizes
from addrspace_gdb.space.goroutines.queued import FINALIZER, Worker
from addrspace_gdb.views.kit.text import clean
from addrspace_gdb.views.stackparts import waited


def at_work(worker: Worker, unicode: bool) -> str:
    """ "the finalizer goroutine (goroutine 18) has been in main.closeHandle for 38s (chan receive)"."""
    one = worker.goroutine
    name = "the finalizer goroutine" if worker.work == FINALIZER else "a cleanup goroutine"
    function = one.user.function or one.stands.function or sizes.UNKNOWN
    time = waited(one.waited, worker.exact, unicode)
    text = f"{name} (goroutine {one.goid}) "
    text += f"has been in {function} for {time} ({one.state})" if time else f"is in {function} ({one.state})"
    return clean(text, unicode)
