"""Where the objects that are in use were allocated, by the heap profile that the runtime keeps itself."""

from __future__ import annotations

from collections import Counter
from heapq import nlargest
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime import symtab
from addrspace_gdb.goruntime.mprof import Buckets, read_buckets, stack_of
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.sampling import USUAL_RATE, Scale, read_rate
from addrspace_gdb.goruntime.traceback import Unwinder
from addrspace_gdb.space.goroutines.user_frame import Spot, is_users, spot

_LOOKED_AT = 128  # buckets, those of the most bytes
_SOUND = 2  # the estimate and what was live differ by no more than that factor
_TOO_FEW = 10  # times as much is live as the samples stand for
_NAMED = 8
_SMALLEST = 10  # 1/10 of all, for a site that is named


class Site(NamedTuple):
    """A place in the program, and about how many bytes in use were allocated there, of `whole` in all."""

    spot: Spot
    size: int
    whole: int


class Sites(NamedTuple):
    """Estimates: of each allocation site, and of all. Samples stand for what pprof scales them to."""

    top: List[Site]
    total: int

    def is_kept(self, live: int) -> bool:
        """Whether allocations are sampled: a program without runtime/pprof has a few from its start only."""
        return self.total * _TOO_FEW >= live

    def worth_naming(self, live: int) -> Sequence[Site]:
        """The sites to name where `live` bytes survived the last GC; none if the profile does not fit it,
        as where its rate was changed on the way."""
        if not live or not self.total or not live / _SOUND <= self.total <= live * _SOUND:
            return []
        return [site for site in self.top if site.size * _SMALLEST >= self.total][:2]


def sites_of(runtime: Runtime, memory: Optional[Buckets] = None) -> Optional[Sites]:
    """As `read_sites`, of the heap profile, which is read for it unless it was read; None where there is
    none."""
    try:
        if memory is None:
            memory = next((one for one in read_buckets(runtime) if one.sizes), None)
        tables = symtab.load(runtime.target, runtime.problems)
        return read_sites(runtime, memory, Unwinder(tables)) if memory is not None else None
    except (UnreadableError, ProblemError, KeyError):
        return None


def read_sites(runtime: Runtime, buckets: Buckets, unwinder: Unwinder) -> Optional[Sites]:
    """The sites with the most bytes; None where nothing in use is sampled."""
    estimates = _estimates(buckets, _rate(runtime))
    total = sum(estimates)
    if not total:
        return None
    rows = nlargest(_LOOKED_AT, range(len(estimates)), key=estimates.__getitem__)
    known: Dict[int, List[Tuple[Spot, bool]]] = {}
    found: Counter[Spot] = Counter()
    for at in rows:
        try:
            pcs = stack_of(runtime, buckets.addresses[at], buckets.frames[at])
        except UnreadableError:
            continue
        where = next(_users(unwinder, pcs, known), None)
        if where is not None:
            found[where] += estimates[at]
    return Sites([Site(*one, total) for one in found.most_common(_NAMED)], total)


def _users(
    unwinder: Unwinder, pcs: Sequence[int], known: Dict[int, List[Tuple[Spot, bool]]]
) -> Iterator[Spot]:
    """The user's frames, innermost first."""
    for pc in pcs:
        if pc not in known:
            known[pc] = [(spot(at), is_users(at.function, at.kind)) for at in unwinder.locations(pc)]
        yield from (where for where, users in known[pc] if users)


def _rate(runtime: Runtime) -> int:
    rate = read_rate(runtime)
    return USUAL_RATE if rate is None else max(1, rate)


def _estimates(buckets: Buckets, rate: int) -> List[int]:
    """Bytes in use by bucket, of what was sampled."""
    scale = Scale(rate)
    return [
        scale(count, count * size)[1] if count > 0 else 0
        for count, size in zip(buckets.in_use, buckets.sizes)
    ]
