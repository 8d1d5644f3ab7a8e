"""Finalizers and cleanups that wait, and where the goroutines are that run them.

All finalizers of a program run on one goroutine, one after the other: while one of them waits, the objects of
all others stay, and so does what these refer to.
"""

from __future__ import annotations

from typing import Iterator, List, NamedTuple, Optional

from addrspace_gdb.common.problems import ProblemError, Problems, UnreadableError
from addrspace_gdb.goruntime.queues import Queues, read_queues
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.space.goroutines.listing import Goroutine, Listing, details
from addrspace_gdb.space.reading.at_work import running_cleanups
from addrspace_gdb.space.reading.goroutines import GoroutineReading, of_reading, read_for_goroutines
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.target.protocol import Target

FINALIZER, CLEANUP = "finalizer", "cleanup"


class Worker(NamedTuple):
    """A goroutine in a finalizer or in cleanups."""

    work: str  # FINALIZER or CLEANUP
    goroutine: Goroutine
    exact: bool  # whether how long it has waited is that, or at least that


class Queued(NamedTuple):
    """What waits, and who is at it; `queues` is None if it cannot be read, and `problems` say why."""

    queues: Optional[Queues]
    workers: List[Worker]
    problems: List[str]


def read_queued(
    target: Target, whole: Optional[Reading] = None, goroutines: Optional[GoroutineReading] = None
) -> Queued:
    """Read the queues, and unless they are there the goroutines (from `whole`, if that is), but only if
    something is being run."""
    problems = Problems()
    try:
        queues = read_queues(Runtime(target, problems))
    except (UnreadableError, ProblemError) as error:
        problems.add(f"finalizers and cleanups: {error}")
        return Queued(None, [], list(problems))
    except KeyError as error:
        problems.add(f"finalizers and cleanups: the runtime has no {error.args[0]}")
        return Queued(None, [], list(problems))
    workers: List[Worker] = []
    if queues.finalizing or queues.cleaning:
        try:
            if goroutines is None and whole is not None:
                goroutines = of_reading(target, whole, none_too=True)
            workers = list(_workers(goroutines or read_for_goroutines(target), queues))
        except ProblemError as error:
            problems.add(f"the goroutines that run finalizers and cleanups: {error}")
    return Queued(queues, workers, list(problems))


def _workers(reading: GoroutineReading, queues: Queues) -> Iterator[Worker]:
    """The goroutine of finalizers if it runs one, and those of cleanups that are at work."""
    listing = Listing(reading, [])
    finalizers = reading.goroutines.position(queues.worker)
    if finalizers is not None and queues.finalizing:
        yield _worker(FINALIZER, listing, finalizers)
    elif finalizers is not None and queues.cleaning and not reading.runtime.has("runtime.gcCleanups"):
        yield _worker(CLEANUP, listing, finalizers)
    if queues.cleaning:
        starts = set(reading.goroutines.column("startpc"))
        for at in running_cleanups(reading.runtime, reading.goroutines, reading.tables, starts):
            yield _worker(CLEANUP, listing, at)


def _worker(work: str, listing: Listing, at: int) -> Worker:
    return Worker(work, details(listing, [at])[0], listing.reading.clock.exact)
