"""Work that is done aside, by a child that has all that was read: a machine has more than one processor."""

from __future__ import annotations

import json
import os
import signal
from typing import Callable, Iterator, List, NoReturn, Sequence, TypeVar

from addrspace_gdb.shell.crash.limits import TimeUpError, bound, end_with_parent
from addrspace_gdb.views.documents.crash import Done

Item = TypeVar("Item")


def shared(items: Sequence[Item]) -> Iterator[Item]:
    """The items, each once for all processes that have this iterator: whoever is free takes the next."""
    waiting, fill = os.pipe()
    os.write(fill, bytes(range(len(items))))
    os.close(fill)
    return _taken(items, waiting)


def _taken(items: Sequence[Item], waiting: int) -> Iterator[Item]:
    for number in iter(lambda: os.read(waiting, 1), b""):
        yield items[number[0]]
    os.close(waiting)


class Aside:
    """A child that works and tells what it has done, one line each."""

    def __init__(self, work: Callable[[], Iterator[Done]], seconds: float) -> None:
        """`work` has so long, as far as it goes it counts. OSError if there can be no child."""
        self._said = b""
        parent = os.getpid()
        self._answers, answers = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _in_child(work, seconds, parent, answers)
        os.close(answers)

    def wait(self) -> None:
        """Until it has done all of it, or its time is up."""
        for piece in iter(lambda: os.read(self._answers, 1 << 16), b""):
            self._said += piece

    def end(self) -> List[Done]:
        """End it, unless it has ended; what it has done."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        self.wait()
        os.close(self._answers)
        return [Done(*json.loads(line)) for line in self._said.splitlines(True) if line.endswith(b"\n")]


def _in_child(work: Callable[[], Iterator[Done]], seconds: float, parent: int, answers: int) -> NoReturn:
    try:
        end_with_parent(parent)
        bound(seconds)
        for done in work():
            os.write(answers, json.dumps(done).encode() + b"\n")
    except TimeUpError:
        pass
    finally:
        os._exit(0)
