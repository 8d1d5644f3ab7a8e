"""Which process, program and machine an answer is about."""

from __future__ import annotations

from typing import NamedTuple, Optional


class TargetInfo(NamedTuple):
    """What was looked at. Fields that are not known are None."""

    kind: str  # "live", "core" or "remote"
    pid: Optional[int]
    executable: Optional[str]
    core_file: Optional[str]
    arch: str
    pointer_size: int
    page_size: int
    go_version: Optional[str]
