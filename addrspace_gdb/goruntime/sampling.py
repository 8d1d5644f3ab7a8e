"""How the heap profile samples: runtime.MemProfileRate, and what a sample stands for."""

from __future__ import annotations

from math import exp
from typing import Dict, Optional, Tuple

from addrspace_gdb.goruntime.record import Runtime

USUAL_RATE = 512 << 10  # bytes a sample: runtime.MemProfileRate, where it cannot be read


def read_rate(runtime: Runtime) -> Optional[int]:
    """runtime.MemProfileRate: bytes a sample; None where it is not known."""
    if not runtime.has("runtime.MemProfileRate"):
        return None
    return runtime.global_word("runtime.MemProfileRate")


class Scale:
    """What a number of samples stands for (scaleHeapSample): one of `size` bytes is taken with probability
    1 - exp(-size/rate)."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._factors: Dict[float, float] = {}

    def __call__(self, count: int, size: int) -> Tuple[int, int]:
        """Objects and bytes, of so many samples and their bytes."""
        if not count or not size:
            return 0, 0
        if self._rate <= 1:
            return count, size
        average = size / count
        factor = self._factors.get(average)
        if factor is None:
            share = 1 - exp(-average / self._rate) if average > 0 else 0
            factor = self._factors[average] = 1 / share if share > 0 else 1.0
        return int(count * factor), int(size * factor)
