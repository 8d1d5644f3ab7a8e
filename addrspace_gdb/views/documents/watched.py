"""`addrspace-gdb watch`: watch/1, a line of JSON for each sample and one for the verdict."""

from __future__ import annotations

from typing import Any, Dict, Optional

from addrspace_gdb.space.moments.sampled import FIGURES
from addrspace_gdb.space.moments.trends import Leader, Trend
from addrspace_gdb.space.moments.watched import Moment, Watched
from addrspace_gdb.views.documents.form import encode, target_json

SCHEMA = "watch/1"


def watched_line(moment: Moment, sentence: Optional[str]) -> str:
    """The line, with its newline; `sentence` is the verdict, None as long as there is none."""
    return encode(watched_json(moment, sentence)) + "\n"


def watched_json(moment: Moment, sentence: Optional[str]) -> Dict[str, Any]:
    """watch/1. All lines are alike; `verdict` is null but in the last one."""
    watched, held, last = moment.watched, moment.held, moment.watched.last
    verdict = {"end": moment.end, "course": watched.rss_course, "cause": watched.cause, "sentence": sentence}
    return {
        "schema": SCHEMA,
        "target": target_json(moment.info),
        "sample": watched.samples,
        "time": round(moment.time, 3),
        "seconds": round(watched.seconds, 3),
        "stopped": {
            "seconds": round(held.last, 6),
            "longest": round(held.longest, 6),
            "total": round(held.total, 6),
            "share": round(held.share, 6),
        },
        "figures": {name: _figure(watched, name) for name in FIGURES},
        "collections": watched.collections,
        "growing": {"goroutines": _crowd(watched), "objects": _objects(watched), "site": _site(watched)},
        "verdict": None if sentence is None else verdict,
        "problems": last.problems if last is not None else [],
    }


def _figure(watched: Watched, name: str) -> Optional[Dict[str, Any]]:
    value = watched.last.figures[name] if watched.last is not None else None
    if value is None:
        return None
    trend: Trend = watched.trend(name)
    return {"now": value, "growth": trend.growth, "per_minute": _rate(trend.per_minute)}


def _rate(number: float) -> float:
    return round(number, 1)


def _leader(found: Leader) -> Dict[str, Any]:
    return {"now": found.last, "growth": found.growth, "per_minute": _rate(found.per_minute)}


def _crowd(watched: Watched) -> Optional[Dict[str, Any]]:
    found = watched.crowd
    if found is None:
        return None
    crowd = found.crowd
    return {
        "function": crowd.function,
        "state": crowd.state or None,
        "start_function": crowd.started,
        "created_by": crowd.created_by,
        **_leader(found.many),
    }


def _objects(watched: Watched) -> Optional[Dict[str, Any]]:
    found = watched.objects
    return None if found is None else {"size": found.size or None, **_leader(found.bytes)}


def _site(watched: Watched) -> Optional[Dict[str, Any]]:
    found = watched.site
    if found is None:
        return None
    function, place = found.site
    return {"function": function, "place": place, **_leader(found.bytes)}
