"""Moments by name: taken now, kept before, or read from a dump. For `snapshot` and `diff`."""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace
from typing import List, Optional

from addrspace_gdb.commands.session import Session
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.space.moments.dump_file import read_dump
from addrspace_gdb.space.moments.snapshot import Snapshot, take
from addrspace_gdb.space.reading.goroutines import GoroutineReading, of_reading

NOW, LAST = "now", "last"
_RESERVED = (NOW, LAST, "on", "off", "all")
_NAME = re.compile(r"[\w.+][\w.+-]{0,63}")


def check_name(name: str) -> None:
    """ProblemError unless `name` can be a snapshot's."""
    if name in _RESERVED:
        raise ProblemError(f"addrspace snapshot: {name!r} has a meaning of its own; choose another name")
    if not _NAME.fullmatch(name) or is_file(name):
        raise ProblemError(
            f"addrspace snapshot: {printable(name)!r} is not a name: letters, digits and _ . + -, no .json"
        )


def is_file(word: str) -> bool:
    """Whether a word names a dump in a file, not a snapshot."""
    return word.endswith(".json") or os.sep in word


def kept_names(session: Session) -> List[str]:
    """The names of the snapshots, for completion."""
    return [one.name for one in session.snapshots]


def take_now(session: Session, name: str = NOW) -> Snapshot:
    """This moment of the selected inferior; read once for each stop."""
    known = session.snapshots.here(session.inferior, session.moment)
    if known is not None:
        return replace(known, name=name)
    reading = session.reading()
    goroutines: Optional[GoroutineReading] = None
    why = ""
    try:
        goroutines = of_reading(session.target(), reading)
    except (ProblemError, UnreadableError) as error:
        why = f"the goroutines' frames cannot be read: {error}"
    made = take(name, reading, goroutines, time.time(), session.inferior)
    if why:
        made.problems.append(why)
    session.snapshots.taken(session.inferior, session.moment, made)
    return made


def last_stop(session: Session) -> Optional[Snapshot]:
    """What was taken at the last stop of this process at which anything was."""
    found = session.snapshots.before(session.inferior, session.moment)
    if found is None:
        return None
    target = session.target()
    return found if found.target.kind == target.kind and found.target.pid == target.pid else None


def find(session: Session, word: str) -> Snapshot:
    """The moment that `word` names. ProblemError if there is none of that name."""
    if word == NOW:
        return take_now(session)
    if word == LAST:
        found = last_stop(session)
        if found is None:
            raise ProblemError("no snapshot was taken at an earlier stop of this process")
        return replace(found, name=LAST)
    kept = session.snapshots.get(word)
    if kept is not None:
        return kept
    if is_file(word):
        return read_dump(os.path.expanduser(word)).snapshot
    names = ", ".join(one.name for one in session.snapshots)
    there_are = f"there are {names}" if names else "there is none yet (`addrspace snapshot NAME` takes one)"
    raise ProblemError(f"no snapshot is called {printable(word)!r}; {there_are}")
