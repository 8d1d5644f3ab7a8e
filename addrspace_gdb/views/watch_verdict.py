"""The verdict of a watch: what grows, how fast, and where to look next, in a sentence or two."""

from __future__ import annotations

import os
from typing import Callable, Dict, NamedTuple, Optional

from addrspace_gdb.common import sizes
from addrspace_gdb.space.moments import sampled
from addrspace_gdb.space.moments.course import ROSE, UNEVEN, Course
from addrspace_gdb.space.moments.watched import CrowdGrowth, Moment, ObjectGrowth, Watched
from addrspace_gdb.views.stackparts import duration

_SECOND = 10**9
_ALL = 0.9  # of the growth: then no share is told

NAMES: Dict[str, str] = {
    sampled.RSS: "RSS",
    sampled.LIVE: "survived the last GC",
    sampled.IN_USE: "heap in use",
    sampled.FREE: "free heap",
    sampled.STACKS: "goroutine stacks",
    sampled.RUNTIME: "Go's runtime",
    sampled.PROGRAM: "the program itself",
    sampled.C_HEAP: "C's heap",
    sampled.MAPPED: "the program's own mappings",
    sampled.THREAD_STACKS: "thread stacks",
    sampled.FILES: "libraries and mapped files",
    sampled.OTHER: "other memory",
    sampled.GOROUTINES: "goroutines",
    sampled.THREADS: "threads",
}


class _Cause(NamedTuple):
    """What the growth is, and what is said of it behind its share: begins with punctuation."""

    what: str
    rest: str


def sentence(moment: Moment) -> str:
    """The verdict."""
    watched = moment.watched
    if watched.samples < 2:
        return f"One sample only: {_now(watched)}. What grows is seen from the second one on."
    cause = watched.cause
    if watched.may_be_garbage:
        return f"{_unsure(moment)}.{_besides(watched, sampled.IN_USE)}"
    if cause is None:
        return f"{_steady(watched)}.{_besides(watched, None)}"
    rss, part = watched.trend(sampled.RSS), watched.trend(cause)
    told = _CAUSES.get(cause, _plain)(moment, cause)
    share = sizes.share(max(0, round(part.rise)), max(1, round(rss.rise)))
    of = "" if part.rise >= _ALL * rss.rise else f", {share} of it"
    return f"The growth, {rate(rss.per_minute)}, is {told.what}{of}{told.rest}.{_besides(watched, cause)}"


def rate(per_minute: float) -> str:
    """ "31.0 MiB a minute"."""
    return f"{sizes.size(round(per_minute))} a minute"


def _many(per_minute: float) -> str:
    return f"{per_minute:,.0f} more a minute" if per_minute >= 9.5 else f"{per_minute:.1f} more a minute"


def span(seconds: float) -> str:
    """ "1m20s", "0.5s"."""
    whole = round(seconds)
    if whole == 0:
        return "0s" if seconds < 0.05 else f"{seconds:.1f}s"
    return duration(whole * _SECOND) if seconds >= 9.5 or seconds == whole else f"{seconds:.1f}s"


def where(found: CrowdGrowth) -> str:
    """The function that goroutines are in."""
    return found.crowd.function or found.crowd.started or "a function that is not known"


def objects(found: ObjectGrowth) -> str:
    """ "objects of 1.0 KiB"."""
    return f"objects of {sizes.size(found.size)}" if found.size else "large objects"


def _now(watched: Watched) -> str:
    figures = watched.last.figures if watched.last is not None else {}
    goroutines = figures.get(sampled.GOROUTINES)
    return f"RSS {sizes.size(figures.get(sampled.RSS))}, {sizes.plural(goroutines, 'goroutine')}"


def _steady(watched: Watched) -> str:
    low, high = watched.lowest, watched.highest
    many = f"{sizes.plural(watched.samples, 'sample')} in {span(watched.seconds)}"
    if low is None or high is None:
        return f"Which pages are in memory is not known, so whether it grows cannot be said ({many})"
    ends = sizes.size(low), sizes.size(high)
    stayed = f"at {ends[0]}" if ends[0] == ends[1] else f"between {ends[0]} and {ends[1]}"
    went = watched.course(sampled.RSS)
    if watched.samples == 2 and low != high:
        return f"Whether RSS grows is seen from the third sample on: it is {stayed} ({many})"
    if went.kind == ROSE:
        return f"No growth that goes on: RSS {_rose(went)}, {stayed} ({many})"
    if went.kind == UNEVEN:
        rss = watched.trend(sampled.RSS)
        rose = f"RSS rose from {sizes.size(rss.first)} to {sizes.size(rss.last)}"
        return f"{rose}, but unevenly: whether it goes on cannot be said yet ({many})"
    return f"No growth: RSS stayed {stayed} ({many})"


def _rose(went: Course) -> str:
    """ "rose once, by 24.0 MiB at about 1m30s, and has stood still since"."""
    when = (
        f"once, by {sizes.size(went.rise)} at about" if went.at_once else f"by {sizes.size(went.rise)} until"
    )
    return f"rose {when} {span(went.ended)}, and has stood still since"


def _unsure(moment: Moment) -> str:
    """What is said of a heap that rises between two collections."""
    watched, pid = moment.watched, moment.info.pid
    many = "one collection only has" if watched.collections else "no collection has"
    rss = watched.trend(sampled.RSS)
    return (
        f"Whether it grows cannot be said yet: RSS rose by {sizes.size(rss.growth)} in heap objects"
        f"{_made_of(watched)}, but {many} completed meanwhile, and it may be garbage;"
        f" `addrspace-gdb gc {pid}` says when the next one comes"
    )


def _made_of(watched: Watched) -> str:
    """What is most of the heap that grows, and who allocated it: begins with a comma."""
    what = f", most of it {objects(watched.objects)}" if watched.objects is not None else ""
    if watched.site is not None:
        function, place = watched.site.site
        what += f", allocated in {function} ({os.path.basename(place)})"
    return what


def _besides(watched: Watched, cause: Optional[str]) -> str:
    """A sentence about what grows too, beside the memory that was told."""
    crowd = watched.crowd
    if cause != sampled.STACKS and crowd is not None and watched.grows(sampled.GOROUTINES):
        many = _many(watched.trend(sampled.GOROUTINES).per_minute)
        keep = ": they may be what keeps it" if cause is not None else ""
        return f" But goroutines grow, {many}, in {where(crowd)}{keep}."
    if cause is None and watched.grows(sampled.LIVE):
        live = rate(watched.trend(sampled.LIVE).per_minute)
        return f" But what survives the collector grows, {live}, into heap that was free."
    return ""


def _goroutines(moment: Moment, cause: str) -> _Cause:
    watched, look = moment.watched, f"see `addrspace-gdb goroutine-stacks {moment.info.pid}"
    crowd, trend = watched.crowd, watched.trend(sampled.GOROUTINES)
    if crowd is None or not watched.grows(sampled.GOROUTINES):
        return _Cause("stacks of goroutines that were there before", f"; {look} --sort size`")
    state = f" ({crowd.crowd.state})" if crowd.crowd.state else ""
    made = f", created by {crowd.crowd.created_by}" if crowd.crowd.created_by else ""
    facts = f"{_many(trend.per_minute)}, {sizes.count(trend.last)} now{made}"
    return _Cause(f"goroutines in {where(crowd)}{state}", f": {facts}; {look} --group stack`")


def _heap(moment: Moment, cause: str) -> _Cause:
    watched, pid = moment.watched, moment.info.pid
    if watched.live_grows:
        rest = f": it survives the collector; `addrspace-gdb retained {pid}` says what keeps it"
    else:
        look = f"`addrspace-gdb gc {pid}` says how far the heap goes"
        rest = f": most of it does not survive the collector; {look}"
    return _Cause("heap objects", _made_of(watched) + rest)


def _plain(moment: Moment, cause: str) -> _Cause:
    return _Cause(NAMES[cause], f"; see `addrspace-gdb rss {moment.info.pid}`")


def _c_heap(moment: Moment, cause: str) -> _Cause:
    seen = "Go's profiles do not see it, a profiler for C does"
    return _Cause(NAMES[cause], f": {seen}; `addrspace-gdb rss {moment.info.pid}` says how much is in use")


def _free(moment: Moment, cause: str) -> _Cause:
    look = f"`addrspace-gdb gc {moment.info.pid}` says what the scavenger returns"
    return _Cause("free heap that Go keeps", f", as much as was in use at a time; {look}")


def _mapped(moment: Moment, cause: str) -> _Cause:
    look = f"see `addrspace-gdb regions {moment.info.pid} foreign resident`"
    return _Cause("memory that the program mapped itself (mmap)", f"; {look}")


def _threads(moment: Moment, cause: str) -> _Cause:
    trend = moment.watched.trend(sampled.THREADS)
    many = f"{sizes.plural(trend.last, 'thread')} now, {sizes.count(trend.first)} at first"
    return _Cause("thread stacks", f": {many}; see `addrspace-gdb rss {moment.info.pid}`")


_CAUSES: Dict[str, Callable[[Moment, str], _Cause]] = {
    sampled.STACKS: _goroutines,
    sampled.IN_USE: _heap,
    sampled.FREE: _free,
    sampled.C_HEAP: _c_heap,
    sampled.MAPPED: _mapped,
    sampled.THREAD_STACKS: _threads,
}
