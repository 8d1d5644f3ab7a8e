"""Where the worker keeps what numba compiles: code and pickles, which it loads and runs the next time.

So nobody else may be able to write there. Root may have been given another user's home (`sudo -E`, `su`), and
then takes its own. numba asks whether the file of a kernel has changed, but not those of the kernels that are
compiled into it: each version of the worker has a folder of its own.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import time
from pathlib import Path
from typing import Iterator, Optional

from addrspace_gdb.common.folders import PrivateFolder, is_only_ours

VARIABLE = "NUMBA_CACHE_DIR"
WORKER = Path(__file__).resolve().parents[1] / "worker"
_NAME = os.path.join("addrspace-gdb", "numba")
_PREFIX = "worker-"
_KEPT_FOR = 30 * 86400  # seconds, of a version that nobody uses


class CompiledFolder:
    """A folder that is only ours: one that stays where that can be had, else one until `close`."""

    def __init__(self) -> None:
        """OSError if there is none."""
        kept = next((path for path in map(_of_version, map(_made, _candidates())) if path is not None), None)
        self._private = PrivateFolder() if kept is None else None
        self.path = str(self._private.path) if self._private is not None else str(kept)

    def close(self) -> None:
        """Nobody uses it any more."""
        if self._private is not None:
            self._private.remove()


def _candidates() -> Iterator[str]:
    """The one that is asked for; the usual one; that of whoever we are."""
    named = os.environ.get(VARIABLE)
    if named:
        yield named
    for cache in (os.environ.get("XDG_CACHE_HOME"), os.path.expanduser("~/.cache"), _own_cache()):
        if cache:
            yield os.path.join(cache, _NAME)


def _own_cache() -> Optional[str]:
    try:
        return os.path.join(pwd.getpwuid(os.geteuid()).pw_dir, ".cache")
    except KeyError:
        return None


def _made(path: str) -> Optional[str]:
    """The folder, made if need be; None if it cannot be, or if somebody else can put something there. Then
    nothing is made: it would be root's in another user's home."""
    above = path
    try:
        while not os.path.lexists(above) and above != os.path.dirname(above):
            above = os.path.dirname(above)
        if not os.path.isabs(path) or not is_only_ours(os.path.realpath(above)):
            return None
        os.makedirs(path, mode=0o700, exist_ok=True)
        path = os.path.realpath(path)
        return path if is_only_ours(path) and os.access(path, os.W_OK | os.X_OK) else None
    except (OSError, ValueError):
        return None


def _of_version(folder: Optional[str]) -> Optional[str]:
    """The folder in it for this version of the worker. Those that nobody has used for long are taken away."""
    if folder is None:
        return None
    found = os.path.join(folder, _version())
    try:
        os.makedirs(found, mode=0o700, exist_ok=True)
        if not is_only_ours(os.path.realpath(found)):
            return None
        os.utime(found)
        for entry in os.scandir(folder):
            if entry.name.startswith(_PREFIX) and entry.stat().st_mtime < time.time() - _KEPT_FOR:
                shutil.rmtree(entry.path, ignore_errors=True)  # does not follow links
    except OSError:
        return None
    return found


def _version() -> str:
    """A name for what the worker's files are now."""
    files = sorted(WORKER.glob("*.py"))
    return _PREFIX + hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:16]
