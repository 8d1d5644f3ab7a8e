"""Areas, kinds and regions: the words in which every byte of a process is accounted for."""

from __future__ import annotations

from typing import NamedTuple, Optional

# Areas, as the JSON contract names them. The first four are not mapped.
KERNEL = "kernel"
NON_CANONICAL = "non-canonical"
FREE = "free"
NULL = "null"
SHARED_LIBS = "shared-libs"
HEAP = "heap"
GOROUTINE_STACKS = "goroutine-stacks"
GLOBALS = "globals"
CODE = "code"
RUNTIME = "runtime"
THREAD_STACKS = "thread-stacks"
VDSO = "vdso"
MAPPED_FILES = "mapped-files"
FOREIGN = "foreign"

UNMAPPED_AREAS = (KERNEL, NON_CANONICAL, FREE, NULL)
MAPPED_AREAS = (
    SHARED_LIBS,
    HEAP,
    GOROUTINE_STACKS,
    GLOBALS,
    CODE,
    RUNTIME,
    THREAD_STACKS,
    VDSO,
    MAPPED_FILES,
    FOREIGN,
)
AREAS = UNMAPPED_AREAS + MAPPED_AREAS

MAIN_STACK_KIND = "main thread stack"


class Claim(NamedTuple):
    """Somebody owns [start, end): what it is, before it is cut to the mappings it lies in."""

    start: int
    end: int
    area: str
    kind: str
    label: str = ""


class Region(NamedTuple):
    """One row of the partition. `resident` and `swapped` are bytes, None where they cannot be known."""

    start: int
    end: int
    area: str
    kind: str
    label: str
    permissions: str  # "rw-p"; "?" where a core does not say (private or shared)
    resident: Optional[int]
    swapped: Optional[int]
    file: Optional[str]
    locked: bool = False  # in memory, by mlock or mlockall

    @property
    def words(self) -> str:
        """Kind and label in a sentence: "goroutine 17", "main thread stack, thread 4242"."""
        if not self.label or self.label.startswith(self.kind):
            return self.label or self.kind
        return f"{self.kind}{',' if self.label.startswith('thread ') else ''} {self.label}"

    @property
    def size(self) -> int:
        """Bytes of address space."""
        return self.end - self.start
