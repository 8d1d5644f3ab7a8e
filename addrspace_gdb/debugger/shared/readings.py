"""What was read of the targets of a debugger since they last moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, ContextManager, Dict, List, Optional

from addrspace_gdb.common.progress import Progress
from addrspace_gdb.target.protocol import Target

if TYPE_CHECKING:
    from addrspace_gdb.goruntime.stripped.target import Findings
    from addrspace_gdb.space.moments.snapshot import Moments
    from addrspace_gdb.space.reading.whole import Reading


class Kept:
    """One target, with its readings."""

    def __init__(self, state: object, base: Any, target: Target) -> None:
        """`state`: what tells the moment apart from others, as far as the debugger tells; `base`: the target
        without what is known of a program that lacks symbols."""
        self.state, self.base, self.target = state, base, target
        self._readings: Dict[bool, Reading] = {}  # by whether every sum is checked

    def reading(
        self, check: bool, other_too: bool, progress: Callable[[], ContextManager[Progress]]
    ) -> Reading:
        """What was read of it; read now if it was not, or not with the checks that are asked for."""
        from addrspace_gdb.space.reading.whole import read, required

        found = self._readings.get(True) or (None if check else self._readings.get(False))
        if found is None:
            with progress() as shown:
                found = self._readings[check] = read(self.target, check, shown, other_too)
            return found
        return required(found, other_too)


class Readings:
    """Of each target by the debugger's number of it."""

    def __init__(self) -> None:
        self.moment = 0  # grows whenever a target moves, or its memory or symbols change
        self._kept: Dict[int, Kept] = {}
        self._findings: Dict[int, Findings] = {}
        self._snapshots: Optional[Moments] = None

    @property
    def snapshots(self) -> Moments:
        """Kept as long as the debugger runs."""
        from addrspace_gdb.space.moments.snapshot import Moments

        if self._snapshots is None:
            self._snapshots = Moments()
        return self._snapshots

    def forget(self) -> None:
        """Drop what was read: a target moved, or its memory or symbols changed."""
        self._kept.clear()
        self.moment += 1

    def unsettle(self) -> None:
        """Symbols came or went: what was found without them is looked at again."""
        for findings in self._findings.values():
            findings.unsettle()

    def of(self, number: int) -> Optional[Kept]:
        """What is kept of a target; None: nothing."""
        return self._kept.get(number)

    def keep(self, number: int, kept: Kept) -> Kept:
        """Keep this of a target, and no longer what was before."""
        self._kept[number] = kept
        return kept

    def all(self) -> List[Kept]:
        """What is kept of every target."""
        return list(self._kept.values())

    def knowing(self, number: int, base: Any) -> Target:
        """A target with what its runtime is known to be like, where symbols or debug information lack."""
        from addrspace_gdb.goruntime.stripped.target import Findings, with_runtime

        known: Target = with_runtime(base, self._findings.setdefault(number, Findings()))
        return known
