"""The releases of Go that this was made for. A new one is a line here; CONTRIBUTING.md has the rest."""

from __future__ import annotations

from typing import NamedTuple, Tuple, Union

from addrspace_gdb.common.problems import ProblemError, UnreadableError


class Release(NamedTuple):
    """The first and a late release that share their layouts: one table stands for both and all between."""

    first: str
    last: str
    # Settings of GOEXPERIMENT other than the default that change a layout. To find them, `scripts/gen-layouts
    # --experiments` builds with every setting of the release's internal/goexperiment/flags.go.
    experiments: Tuple[str, ...] = ()

    @property
    def minor(self) -> int:
        """26 of Go 1.26.6."""
        return int(self.last.split(".")[1])


# In order. The first of a minor version has a whole table, those after it what is different. Go 1.19.3 could
# not be had: it is taken for one of the first, and mheap_.spanalloc.size, which is verified, says if that is
# wrong.
RELEASES = (
    Release("1.19", "1.19.2"),
    Release("1.19.4", "1.19.13"),
    Release("1.20", "1.20.14"),
    Release("1.21.0", "1.21.5"),
    Release("1.21.6", "1.21.13"),
    Release("1.22.0", "1.22.10", ("noallocheaders", "noexectracer2")),
    Release("1.23.0", "1.23.3"),
    Release("1.23.4", "1.23.4"),
    Release("1.23.5", "1.23.9"),
    Release("1.24.0", "1.24.5", ("nospinbitmutex", "noswissmap")),
    Release("1.24.6", "1.24.11", ("nospinbitmutex", "noswissmap")),
    Release("1.25.0", "1.25.5", ("greenteagc", "noswissmap")),
    Release("1.26.0", "1.26.6", ("nogreenteagc",)),
    Release("1.27.0", "1.27.3", ("nogreenteagc",)),
)
OLDEST, NEWEST = RELEASES[0].minor, RELEASES[-1].minor  # N of Go 1.N
LATEST = tuple({release.minor: release.last for release in RELEASES}.values())  # one of each minor version


def unreadable(error: Union[UnreadableError, KeyError]) -> ProblemError:
    """What to say where memory of the runtime cannot be read, or it lacks a variable or a field."""
    if isinstance(error, UnreadableError):
        return ProblemError(f"the Go runtime's own variables: {error}{error.hint}")
    supported = f"1.{OLDEST} to 1.{NEWEST} are"
    return ProblemError(f"the runtime has no {error.args[0]}: this Go version is not supported ({supported})")
