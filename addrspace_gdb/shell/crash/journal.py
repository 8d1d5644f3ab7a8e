"""One line to the journal and to standard error: whoever the kernel starts has no terminal."""

from __future__ import annotations

import syslog

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.streams import tell


def failed(line: str) -> None:
    """Something could not be done."""
    _log(syslog.LOG_ERR, line)
    tell(line)


def noted(line: str) -> None:
    """Something was."""
    _log(syslog.LOG_NOTICE, line)


def _log(level: int, line: str) -> None:
    syslog.openlog("addrspace-gdb", syslog.LOG_PID, syslog.LOG_DAEMON)
    syslog.syslog(level, printable(line))
