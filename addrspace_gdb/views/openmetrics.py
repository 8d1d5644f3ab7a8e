"""A watch for Prometheus: OpenMetrics text (openmetrics.io, 1.0), which is also the older text format that
node_exporter's textfile collector reads. So there are gauges and counters only, and no timestamps."""

from __future__ import annotations

import os
from typing import Dict, Iterable, Iterator, List, NamedTuple, Tuple, Union

from addrspace_gdb.common.escape import printable
from addrspace_gdb.space.moments import sampled
from addrspace_gdb.space.moments.watched import Moment

Number = Union[int, float]
Labels = Tuple[Tuple[str, str], ...]


class _Family(NamedTuple):
    """A metric: its name with its unit, its type, its help, and each sample's own labels and value."""

    name: str
    kind: str
    unit: str
    help: str
    samples: List[Tuple[Labels, Number]]


def exposition(moment: Moment) -> str:
    """Everything of the last sample; of a process that is no longer watched only that it is not."""
    families = [_up(moment)] if moment.end is not None else [_up(moment), *_families(moment)]
    own = _own(moment)
    return "".join(line for one in families for line in _lines(one, own)) + "# EOF\n"


def _own(moment: Moment) -> Labels:
    program = os.path.basename(moment.info.executable or "")
    return (("pid", str(moment.info.pid)), ("program", program))


def _lines(family: _Family, own: Labels) -> Iterator[str]:
    if not family.samples:
        return
    name = f"addrspace_{family.name}"
    yield f"# HELP {name} {family.help}\n"
    yield f"# TYPE {name} {family.kind}\n"
    if family.unit:
        yield f"# UNIT {name} {family.unit}\n"
    suffix = "_total" if family.kind == "counter" else ""
    for labels, value in family.samples:
        text = ",".join(f'{key}="{_escaped(label)}"' for key, label in (*own, *labels))
        yield f"{name}{suffix}{{{text}}} {value}\n"


def _escaped(text: str) -> str:
    """A label's value: what is printable, with the three escapes that the format has."""
    return printable(text).replace("\\", "\\\\").replace('"', '\\"')


def _up(moment: Moment) -> _Family:
    value = 0 if moment.end is not None else 1
    return _Family("watch_up", "gauge", "", "Whether the process is watched.", [((), value)])


def _families(moment: Moment) -> Iterable[_Family]:
    figures = _figures(moment)
    parts: List[Tuple[Labels, Number]] = [
        ((("part", name),), figures[name]) for name in sampled.PARTS if name in figures
    ]
    yield _one("resident_memory_bytes", "bytes", "Resident memory of the process.", figures, sampled.RSS)
    yield _Family("part_resident_bytes", "gauge", "bytes", "Resident memory by what it is for.", parts)
    yield _one("heap_live_bytes", "bytes", "Heap that survived the last collection.", figures, sampled.LIVE)
    yield _one("goroutines", "", "Goroutines that exist.", figures, sampled.GOROUTINES)
    yield _one("threads", "", "Threads of the process.", figures, sampled.THREADS)
    yield _crowds(moment)
    yield _objects(moment)
    held = moment.held
    yield _Family("watch_sample_timestamp_seconds", "gauge", "seconds", "When the last sample was taken.",
        [((), round(moment.time, 3))])  # fmt: skip
    yield _Family("watch_samples", "counter", "", "Samples that were taken.", [((), moment.watched.samples)])
    yield _Family("watch_stopped_seconds", "counter", "seconds", "For how long it stood still.",
        [((), round(held.total, 6))])  # fmt: skip


def _figures(moment: Moment) -> Dict[str, int]:
    last = moment.watched.last
    figures = last.figures.items() if last is not None else ()
    return {name: value for name, value in figures if value is not None}


def _one(name: str, unit: str, help_: str, figures: Dict[str, int], figure: str) -> _Family:
    samples: List[Tuple[Labels, Number]] = [((), figures[figure])] if figure in figures else []
    return _Family(name, "gauge", unit, help_, samples)


def _crowds(moment: Moment) -> _Family:
    samples: List[Tuple[Labels, Number]] = [
        ((("start_function", started or ""), ("created_by", made_by or "")), many)
        for (started, made_by), many in moment.watched.largest_crowds
    ]
    return _Family(
        "group_goroutines", "gauge", "", "Goroutines by who started them, the largest groups.", samples
    )


def _objects(moment: Moment) -> _Family:
    last = moment.watched.last
    objects = sorted(last.objects.items()) if last is not None else []
    samples: List[Tuple[Labels, Number]] = [
        ((("size", str(size) if size else "large"),), amount) for size, amount in objects if amount
    ]
    return _Family("object_bytes", "gauge", "bytes", "Allocated heap objects by the size of one.", samples)
