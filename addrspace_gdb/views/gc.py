"""`addrspace gc` as text: the collector's state in plain words, on one screen."""

from __future__ import annotations

from typing import Dict, Iterator, List, Optional, Tuple

from addrspace_gdb.common import sizes
from addrspace_gdb.common.problems import absences, is_absent
from addrspace_gdb.goruntime.mgcpacer import NEVER
from addrspace_gdb.space.counters.collector import GCState
from addrspace_gdb.space.goroutines.queued import CLEANUP, FINALIZER, Queued
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.glyphs import glyphs
from addrspace_gdb.views.kit.text import Line, cells, clean, wrap
from addrspace_gdb.views.kit.units import moment, pause, percent
from addrspace_gdb.views.memstats import paragraph
from addrspace_gdb.views.queued import at_work
from addrspace_gdb.views.stackparts import duration, program, waited
from addrspace_gdb.views.verdicts import of_collector, verdict_lines

_NAME, _VALUE = 14, 12  # columns
_UNLIMITED = 1 << 60
_MAX_UNKNOWN = 6

Entry = Tuple[str, str, str]  # name, value, what it means


def gc_text(state: GCState, queued: Queued, width: int, unicode: bool = True) -> Iterator[tokens.Pair]:
    """All of it."""
    yield from verdict_lines(of_collector(state), width, unicode)
    yield from _title(state, width, unicode)
    for group in (_collector(state, unicode), _heap(state), _work(state), _queues(queued, unicode)):
        yield tokens.NEWLINE
        for entry in group:
            for line in _lines(entry, width, unicode):
                yield from line
    lines = [*_unknown(state), *state.problems, *queued.problems]
    said = [("problem: ", line) for line in lines if not is_absent(line)]
    if len(said) < len(lines):
        said += [("note: ", f"what is not known {why}") for why in absences(lines)]
    said += [("note: ", line) for line in [*state.notes, *state.problems.left_out]]
    if said:
        yield tokens.NEWLINE
    for prefix, text in said:
        for line in paragraph(prefix, clean(text, unicode), width, unicode):
            yield from line


def _title(state: GCState, width: int, unicode: bool) -> Line:
    info = state.info
    what = {"live": "pid ", "core": "core of pid "}.get(info.kind, f"{info.kind} pid ")
    facts = [
        program(info.executable),
        f"{what}{info.pid or sizes.UNKNOWN}",
        info.go_version or "Go version ?",
    ]
    if state.has_green_tea:
        facts.append("Green Tea collector" if state.get("settings.green_tea") else "Green Tea off")
    text = glyphs(unicode).dot.join(clean(fact, unicode) for fact in facts)
    return Line(width, unicode).put(tokens.HEADING, text)


def _lines(entry: Entry, width: int, unicode: bool) -> Iterator[Line]:
    name, value, meaning = entry
    left = _NAME + max(_VALUE, cells(value)) + 2
    parts = wrap(meaning, max(20, width - left), 3, unicode) or [""]
    first = Line(width, unicode).put(tokens.NAME, name).skip_to(_NAME).put(tokens.SIZE, value)
    yield first.skip_to(left).put(tokens.QUIET, parts[0])
    for part in parts[1:]:
        yield Line(width, unicode).skip_to(left).put(tokens.QUIET, part)


def _collector(state: GCState, unicode: bool) -> Iterator[Entry]:
    yield "Phase", state.phase or sizes.UNKNOWN, _phase(state)
    completed = state.get("cycles.completed")
    forced = state.get("cycles.forced")
    text = f"completed, {sizes.count(forced)} forced" if completed else ""
    text += " (runtime.GC, FreeOSMemory)" if completed and forced else ""
    yield "Cycles", sizes.count(completed), text
    if completed:
        yield _last(state, unicode)
        yield _pauses(state)
    fraction = state.get("cpu_fraction")
    limiter = state.get("limited.cpu_limiter")
    text = "of the CPU time the program could have had since it started"
    text += "; the limiter holds the collector back" if limiter else ""
    yield "CPU", percent(fraction) if fraction is not None else sizes.UNKNOWN, text


def _phase(state: GCState) -> str:
    if state.phase == "off":
        if state.get("sweep.done") is None or state.get("sweep.done"):
            return "idle: no GC cycle running, sweep complete" if state.get("sweep.done") else ""
        return "idle: no GC cycle running, still sweeping after the last one"
    if state.phase == "mark":
        done, expected = state.get("mark.work_done"), state.get("mark.work_expected")
        return f"marking: {sizes.size(done)} scanned, {sizes.size(expected)} expected"
    return "the world is stopped to end marking" if state.phase == "mark termination" else ""


def _last(state: GCState, unicode: bool) -> Entry:
    ended = state.get("last.ended")
    age = state.age
    value = f"{waited(age, state.age_exact, unicode)} ago" if age is not None else sizes.UNKNOWN
    parts = [f"ended {moment(ended)}"] if ended is not None else []
    heap = [state.get(f"last.heap_{at}") for at in ("at_start", "at_end", "marked")]
    # During a cycle work.heap0 is that of the new one.
    if state.phase == "off" and None not in heap:
        sizes_ = " -> ".join(map(sizes.size, heap))
        parts.append(f"heap at start -> at end -> live: {sizes_}")
    if age is None:
        parts.append("how long ago: a core does not say when it was made")
    return "Last cycle", value, "; ".join(parts)


def _pauses(state: GCState) -> Entry:
    total, completed = state.get("pauses.total"), state.get("cycles.completed")
    last = state.get("last.pause")
    text = f"in the last cycle; {pause(total)} in all" if total is not None else "in the last cycle"
    if total is not None and completed:
        text += f", {pause(total // completed)} a cycle"
    return "Paused", pause(last) if last is not None else sizes.UNKNOWN, text


def _heap(state: GCState) -> Iterator[Entry]:
    live, marked = state.get("heap.live"), state.get("heap.marked")
    yield "Heap live", sizes.size(live), _since(live, marked)
    trigger, goal = state.get("heap.trigger"), state.get("heap.goal")
    yield "Trigger", _goal(trigger), _until(state, live, trigger)
    yield "Goal", _goal(goal), _why_goal(state)
    yield "GOGC", _gogc(state), _gogc_meaning(state)
    yield _limit(state)


def _since(live: Optional[int], marked: Optional[int]) -> str:
    if marked is None:
        return ""
    newer = (
        f", up to {sizes.size(live - marked)} allocated since" if live is not None and live >= marked else ""
    )
    return f"{sizes.size(marked)} survived the last GC{newer}"


def _goal(n: Optional[int]) -> str:
    return sizes.UNKNOWN if n is None else "none" if n >= _UNLIMITED else sizes.size(n)


def _until(state: GCState, live: Optional[int], trigger: Optional[int]) -> str:
    if state.get("settings.enabled") is False:
        return "the collector is not enabled yet: the program is starting"
    if live is None or trigger is None:
        return ""
    if state.phase in ("mark", "mark termination"):
        return f"this cycle began at {sizes.size(state.get('heap.triggered'))}"
    if trigger >= _UNLIMITED:
        return "no size of the heap starts a cycle: only runtime.GC does"
    if live >= trigger:
        return "reached: the next allocation that looks starts a cycle"
    return f"the next cycle starts when the heap has grown by {sizes.size(trigger - live)}"


def _why_goal(state: GCState) -> str:
    goal, limit = state.get("heap.goal"), state.get("heap.goal_of_limit")
    if goal is None or goal >= _UNLIMITED:
        return ""
    if goal == limit and state.get("settings.memory_limit_set"):
        return "set by the memory limit"
    if goal == state.get("heap.minimum"):
        return "the least goal there is at this GOGC"
    if goal != state.get("heap.goal_of_gogc"):
        return "raised, so that the sweep or the cycle that has begun can end"
    marked, stacks, globals_ = map(
        sizes.size, map(state.get, ("heap.marked", "roots.stacks", "roots.globals"))
    )
    gogc = sizes.count(state.get("settings.gogc"))
    return f"GOGC={gogc}: live {marked} + {gogc}% of (live + stacks {stacks} + globals {globals_})"


def _gogc(state: GCState) -> str:
    if state.get("settings.gogc_off"):
        return "off"
    gogc = state.get("settings.gogc")
    return sizes.UNKNOWN if gogc is None else f"{gogc}%"


def _gogc_meaning(state: GCState) -> str:
    if not state.get("settings.gogc_off"):
        return ""
    if state.get("settings.memory_limit_set"):
        return "only the memory limit starts cycles"
    return "and no memory limit: garbage stays until runtime.GC is called"


def _limit(state: GCState) -> Entry:
    counted = sizes.size(state.get("limited.bytes"))
    if state.get("settings.memory_limit_set") is False:
        return "Memory limit", "none", f"GOMEMLIMIT not set ({counted} would count against it)"
    limit, ready = state.get("settings.memory_limit"), state.get("limited.bytes")
    text = f"{counted} count against it"
    if limit is not None and ready is not None:
        text += f", {sizes.share(ready, limit)}" + ("; it is exceeded" if ready > limit else "")
    return "Memory limit", sizes.size(limit), text


def _work(state: GCState) -> Iterator[Entry]:
    yield _sweep(state)
    yield _scavenger(state)
    yield _workers(state)
    yield _assists(state)


def _sweep(state: GCState) -> Entry:
    done, swept, pages = (state.get(f"sweep.{n}") for n in ("done", "pages_swept", "pages_in_use"))
    if done is None:
        return "Sweep", sizes.UNKNOWN, ""
    generation = f"generation {sizes.count(state.get('sweep.generation'))}"
    if done:
        return "Sweep", "done", f"{generation}; {sizes.plural(pages, 'page')} in use"
    spans = sizes.plural(state.get("sweep.spans_left"), "span")
    text = f"of {sizes.plural(pages, 'page')}; {spans} left; {generation}"
    ratio = state.get("sweep.pages_per_byte")
    if ratio:
        text += f"; allocating sweeps {ratio * (1 << 20):.1f} pages a MiB"
    return "Sweep", sizes.share(swept, pages), text


_SCAVENGER = {
    "waiting": "waiting",
    "sleeping": "sleeping",
    "running": "at work",
    "about to run": "about to run",
    "not started": "not started",
}


def _scavenger(state: GCState) -> Entry:
    returned, free = state.get("scavenger.returned"), state.get("scavenger.free")
    parts = [f"{sizes.size(returned)} returned to the OS, {sizes.size(free)} free and kept"]
    for name, why in (("gogc_goal", "GOGC"), ("limit_goal", "the memory limit")):
        goal = state.get(f"scavenger.{name}")
        if goal is not None and goal != NEVER:
            what = "heap" if name == "gogc_goal" else "all memory"
            parts.append(f"returns {what} above {sizes.size(goal)} ({why})")
    return "Scavenger", _SCAVENGER.get(state.scavenger or "", sizes.UNKNOWN), "; ".join(parts)


def _workers(state: GCState) -> Entry:
    started, running = state.get("workers.started"), state.get("workers.running")
    text = f"mark workers at work, {sizes.count(started)} started"
    if state.workers:
        modes = ", ".join(f"{count} {mode}" for mode, count in sorted(state.workers.items()))
        text += f": {modes}"
    needed = state.get("workers.dedicated_needed")
    if state.phase == "mark" and needed:
        text += f"; {sizes.count(needed)} more wanted"
    return "Workers", sizes.count(running), text


def _assists(state: GCState) -> Entry:
    waiting = state.get("assist.waiting")
    text = f"{'goroutine waits' if waiting == 1 else 'goroutines wait'} in the assist queue"
    ratio = state.get("assist.work_per_byte")
    if state.phase == "mark" and ratio is not None:
        text += f"; allocating a byte scans {ratio:.3g} bytes; {duration(state.get('assist.time'))} spent"
    return "Assists", sizes.count(waiting), text


def _queues(queued: Queued, unicode: bool) -> Iterator[Entry]:
    queues = queued.queues
    if queues is None:
        return
    for name, waiting, work in (
        ("Finalizers", queues.finalizers, FINALIZER),
        ("Cleanups", queues.cleanups, CLEANUP),
    ):
        busy = [at_work(worker, unicode) for worker in queued.workers if worker.work == work]
        text = f"{'waits' if waiting == 1 else 'wait'} to be run" if waiting else "none waiting"
        yield name, sizes.count(waiting), "; ".join([text, *busy])


def _unknown(state: GCState) -> List[str]:
    """Why values are not known, the same reason once."""
    reasons: Dict[str, str] = {}
    for name, reason in state.unknown().items():
        reasons.setdefault(reason, name)
    lines = sorted((f"{name}: {reason}" for reason, name in reasons.items()), key=is_absent)
    if len(lines) > _MAX_UNKNOWN:
        rest = len(lines) - _MAX_UNKNOWN
        lines = [*lines[:_MAX_UNKNOWN], f"{rest} more reasons: --format json has them"]
    return lines
