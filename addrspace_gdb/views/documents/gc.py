"""`gc/1`: the JSON of `addrspace gc`, as its schema in views/documents/schema says it."""

from __future__ import annotations

from typing import Any, Dict, List

from addrspace_gdb.goruntime import mstats
from addrspace_gdb.space.counters.collector import GCState
from addrspace_gdb.space.goroutines.queued import CLEANUP, FINALIZER, Queued
from addrspace_gdb.views.documents.form import target_json

SCHEMA = "gc/1"


def gc_json(state: GCState, queued: Queued) -> Dict[str, Any]:
    """The document: what is not known is null, and `unknown` says why."""
    made: Dict[str, Any] = {"schema": SCHEMA, "target": target_json(state.info), "phase": state.phase}
    for name, row in state.rows.items():
        value = row.value
        if row.unit == mstats.BOOL and value is not None:
            value = bool(value)
        group, _, key = name.rpartition(".")
        (made.setdefault(group, {}) if group else made)[key] = value
    made["last"].update(age=state.age, age_exact=state.age_exact)
    made["workers"]["by_mode"] = dict(sorted(state.workers.items()))
    made["scavenger"]["state"] = state.scavenger
    queues = queued.queues
    made["finalizers"] = {
        "waiting": queues.finalizers if queues is not None else None,
        "at_work": _at_work(queued, FINALIZER),
    }
    made["cleanups"] = {
        "waiting": queues.cleanups if queues is not None else None,
        "at_work": _at_work(queued, CLEANUP),
    }
    made["unknown"] = {name: row.reason for name, row in state.rows.items() if row.reason is not None}
    made["notes"] = [*state.notes, *state.problems.left_out]
    made["problems"] = [*state.problems, *queued.problems]
    return made


def _at_work(queued: Queued, work: str) -> List[Dict[str, Any]]:
    """The goroutines that run them, and where in the user's code they are."""
    return [
        {
            "goid": one.goid,
            "function": one.user.function,
            "file": one.user.file,
            "line": one.user.line,
            "state": one.state,
            "waited": one.waited,
        }
        for one in (worker.goroutine for worker in queued.workers if worker.work == work)
    ]
