"""Watching without a process: trends by exact arithmetic, what is called the cause, and how it is told."""

from __future__ import annotations

import os
import re
import signal
import tracemalloc
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import jsonschema
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from addrspace_gdb.common import held_signals
from addrspace_gdb.common.line_file import LineFile
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.shell.cli import main
from addrspace_gdb.space.moments import sampled
from addrspace_gdb.space.moments.course import GROWS, Point, course
from addrspace_gdb.space.moments.sampled import PARTS, Crowd, Sample
from addrspace_gdb.space.moments.trends import Timeline, Trend, Trends
from addrspace_gdb.space.moments.watched import INTERRUPTED, TIME, Held, Moment, Watched
from addrspace_gdb.space.regions.model import TargetInfo
from addrspace_gdb.views.documents import schema as schemas
from addrspace_gdb.views.documents.watched import watched_json, watched_line
from addrspace_gdb.views.kit.render import render
from addrspace_gdb.views.kit.text import cells
from addrspace_gdb.views.openmetrics import exposition
from addrspace_gdb.views.watch_verdict import sentence
from addrspace_gdb.views.watched import Columns, ending, head, short

MIB = 1 << 20
INFO = TargetInfo("live", 42, '/srv/a "b"\\c\n', None, "amd64", 8, 4096, "go1.27.3")
LEAK, OTHER = (1, 2), (3, 4)  # crowds
CROWD = Crowd("main.(*client).watch", "chan receive", "main.(*client).run", "main.serve")


def trend_of(times: Sequence[float], values: Sequence[int]) -> Trend:
    line = Timeline()
    trend = Trend(line)
    for at, value in zip(times, values):
        line.tick(at)
        trend.add(value)
    return trend


def exact(times: Sequence[float], values: Sequence[int]) -> float:
    """Slope by fractions."""
    xs, ys = [Fraction(at) for at in times], [Fraction(value) for value in values]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    common = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys))
    return float(common / sum((x - mean_x) ** 2 for x in xs))


def test_the_line_is_the_one_that_fits_best() -> None:
    seed = Random(5)
    for _ in range(50):
        times = sorted({round(seed.uniform(0, 1e5), 3) for _ in range(seed.randint(2, 60))} | {0.0})
        values = [seed.randint(0, 1 << 40) for _ in times]
        trend = trend_of(times, values)
        assert trend.slope == pytest.approx(exact(times, values), rel=1e-6)
        assert trend.per_minute == 60 * trend.slope
        assert (trend.first, trend.growth) == (values[0], values[-1] - values[0])


def test_one_sample_and_a_flat_line_have_no_slope() -> None:
    assert trend_of([0.0], [7]).slope == 0.0
    flat = trend_of([0.0, 1.0, 2.0], [7, 7, 7])
    assert (flat.slope, flat.growth) == (0.0, 0)


def test_what_is_not_there_is_nothing() -> None:
    trends: Trends[str] = Trends()
    for at, values in enumerate(({"a": 5}, {"a": 5, "b": 1}, {"b": 4}, {"b": 9})):
        trends.add(float(at), values)
    known = dict(trends)
    assert known["b"].slope == pytest.approx(exact([0, 1, 2, 3], [0, 1, 4, 9]))
    assert (known["a"].last, known["a"].growth, trends.first("a"), trends.first("b")) == (0, -5, 5, 0)
    leader = trends.leader()
    assert leader is not None and (leader[0], leader[1].last, leader[1].growth) == ("b", 9, 9)


def test_memory_does_not_grow_with_the_samples() -> None:
    watched = Watched()
    tracemalloc.start()
    try:
        sizes = []
        for number in range(3000):
            crowds = {(number, one): 1 for one in range(20)}  # new ones at each sample
            watched.add(float(number), sample(crowds=crowds))
            if number in (1500, 2999):
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert sizes[1] < 1.3 * sizes[0]


# Samples


def sample(
    goroutines: int = 100,
    live: Optional[int] = 10 * MIB,
    crowds: Optional[Dict[Tuple[int, int], int]] = None,
    objects: Optional[Dict[int, int]] = None,
    sites: Optional[Dict[Tuple[str, str], int]] = None,
    cycles: int = 1,
    **parts: Optional[int],
) -> Sample:
    """A sample; `parts` are bytes of PARTS, 10 MiB where they are not given."""
    amounts = {name: parts.get(name, 10 * MIB) for name in PARTS}
    rss = None if None in amounts.values() else sum(amount or 0 for amount in amounts.values())
    crowds = {LEAK: goroutines} if crowds is None else crowds
    return Sample(
        figures={sampled.RSS: rss, sampled.LIVE: live, **amounts,
                 sampled.GOROUTINES: goroutines, sampled.THREADS: 5},
        cycles=cycles,
        crowds=crowds,
        makers=dict.fromkeys(crowds, ("main.(*client).run", "main.serve")),
        newest=goroutines,
        objects={64: MIB} if objects is None else objects,
        sites=sites or {},
        leading=(LEAK, CROWD),
        problems=[],
    )  # fmt: skip


def moment(samples: Sequence[Sample], end: Optional[str] = None, every: float = 10.0) -> Moment:
    watched = Watched()
    for number, one in enumerate(samples):
        watched.add(every * number, one)
    return Moment(INFO, watched, 1.8e9, Held(0.01, 0.02, 0.01 * len(samples), 10.0 * len(samples)), end)


def rising(part: str, count: int = 7, step: int = 5 * MIB, **more: Callable[[int], Any]) -> List[Sample]:
    found: List[Sample] = []
    for number in range(count):
        others: Dict[str, Any] = {name: make(number) for name, make in more.items()}
        found.append(sample(**{part: 10 * MIB + step * number, **others}))
    return found


def test_goroutines_that_pile_up_are_named() -> None:
    found = moment(rising("stacks", goroutines=lambda n: 100 + 600 * n), TIME)
    assert found.watched.cause == "stacks"
    assert sentence(found) == (
        "The growth, 30.0 MiB a minute, is goroutines in main.(*client).watch (chan receive): 3,600 more a"
        " minute, 3,700 now, created by main.serve; see `addrspace-gdb goroutine-stacks 42 --group stack`."
    )


def test_what_goroutines_hold_in_the_heap_is_theirs() -> None:
    both = [
        sample(goroutines=100 + 600 * n, stacks=(10 + 4 * n) * MIB, heap_in_use=(10 + 8 * n) * MIB)
        for n in range(5)
    ]
    assert moment(both).watched.cause == "stacks"
    assert sentence(moment(both)).startswith(
        "The growth, 72.0 MiB a minute, is goroutines in main.(*client).watch (chan receive), 33.3% of it: "
    )
    much = [
        sample(goroutines=100 + 60 * n, stacks=(10 + n) * MIB, heap_in_use=(10 + 50 * n) * MIB, cycles=n)
        for n in range(5)
    ]
    assert moment(much).watched.cause == "heap_in_use"
    assert sentence(moment(much)).endswith(
        " But goroutines grow, 360 more a minute, in main.(*client).watch: they may be what keeps it."
    )


def test_live_objects_and_garbage_are_told_apart() -> None:
    of = {
        "objects": lambda n: {64: MIB, 1024: n * MIB},
        "sites": lambda n: {("main.f", "/x/a.go:9"): n * MIB},
    }
    live = {"live": lambda n: (10 + 5 * n) * MIB, "cycles": lambda n: n}
    leak = sentence(moment(rising("heap_in_use", 7, 5 * MIB, **live, **of)))
    assert leak == (
        "The growth, 30.0 MiB a minute, is heap objects, most of it objects of 1.0 KiB, allocated in main.f"
        " (a.go:9): it survives the collector; `addrspace-gdb retained 42` says what keeps it."
    )
    swept = sentence(moment(rising("heap_in_use", cycles=lambda n: n)))
    assert "most of it does not survive the collector" in swept


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("c_heap", "is C's heap: Go's profiles do not see it"),
        ("mapped", "is memory that the program mapped itself (mmap); see `addrspace-gdb regions 42 "),
        ("heap_free", "is free heap that Go keeps, "),
        ("thread_stacks", "is thread stacks: 5 threads now, 5 at first"),
        ("runtime", "is Go's runtime; see `addrspace-gdb rss 42`."),
        ("files", "is libraries and mapped files; see "),
        ("stacks", "is stacks of goroutines that were there before; see "),
    ],
)
def test_every_part_can_be_the_cause(part: str, said: str) -> None:
    found = moment(rising(part))
    assert found.watched.cause == part
    assert said in sentence(found)


def test_what_stands_or_only_swings_does_not_grow() -> None:
    swings = [sample(heap_in_use=(10 + 8 * (n % 4)) * MIB) for n in range(33)]
    found = moment(swings)
    assert found.watched.cause is None
    assert sentence(found) == "No growth: RSS stayed between 100.0 MiB and 124.0 MiB (33 samples in 5m20s)."
    assert moment(rising("c_heap", step=1000)).watched.cause is None  # less than 1 MiB
    assert moment(rising("c_heap", step=-MIB)).watched.cause is None
    grown = [sample(live=(10 + n) * MIB, cycles=n) for n in range(9)]
    assert "No growth" in sentence(moment(grown)) and "But what survives" in sentence(moment(grown))
    leak = [sample(goroutines=100 + 50 * n) for n in range(9)]
    assert sentence(moment(leak)).endswith(
        " But goroutines grow, 300 more a minute, in main.(*client).watch."
    )


def test_a_heap_between_two_collections_is_not_known_to_grow() -> None:
    counts: Dict[str, Callable[[int], int]] = {
        "no collection has completed": lambda _: 7,
        "one collection only has completed": lambda n: 7 + int(n > 3),
    }
    for said, cycles in counts.items():
        found = moment(rising("heap_in_use", cycles=cycles), TIME)
        assert sentence(found) == (
            "Whether it grows cannot be said yet: RSS rose by 30.0 MiB in heap objects, but"
            f" {said} meanwhile, and it may be garbage; `addrspace-gdb gc 42` says when the next one comes."
        )
        verdict = watched_json(found, "x")["verdict"]
        assert (verdict["course"], verdict["cause"]) == (None, None)


def rss(*amounts: int) -> List[Sample]:
    """Samples of a program whose heap has so many MiB in use, and a collection between any two."""
    return [sample(heap_in_use=one * MIB, cycles=number) for number, one in enumerate(amounts)]


@pytest.mark.parametrize(
    ("amounts", "kind", "said"),
    [
        ((10, 10, 10, 34, 34, 34, 34), "rose", "rose once, by 24.0 MiB at about 30s, and"),
        ((10, 34, 34), "rose", "rose once, by 24.0 MiB at about 10s, and"),
        ((10, 20, 30, 34, 34, 34, 34, 34), "rose", "rose by 24.0 MiB until 30s, and"),
        ((10, 20, 30), "grows", "The growth, 60.0 MiB a minute, is heap objects"),
        ((10, 30, 20), None, "RSS rose from 100.0 MiB to 110.0 MiB, but unevenly: whether it goes on"),
        ((10, 10, 34), "stands", "No growth: RSS stayed between 100.0 MiB and 124.0 MiB"),
        ((10, 30), None, "Whether RSS grows is seen from the third sample on: it is "),
        ((60, 50, 40, 30, 20, 10), "stands", "RSS stayed between 100.0 MiB and 150.0 MiB"),
        ((10, 10, 10, 10, 20, 30, 40, 50, 60, 70), "grows", "The growth, "),
        (tuple(range(10, 60, 2)), "grows", "The growth, 12.0 MiB a minute, is heap objects"),
        (tuple(10 + n + 24 * (n % 4) // 3 for n in range(40)), "grows", "The growth, "),
        (tuple(10 + 24 * (n % 7) // 3 for n in range(19)), "stands", "No growth: "),
        ((10, 18, 26, 34, 10, 18, 26, 34), "stands", "No growth: "),
        ((10, 18, 26, 34, 14, 22, 30, 38), "stands", "No growth: "),
        ((10, 30, 22, 24, 48, 36), None, "RSS rose from 100.0 MiB to 126.0 MiB, but unevenly: "),
    ],
)  # fmt: skip
def test_growth_is_what_goes_on(amounts: Tuple[int, ...], kind: Optional[str], said: str) -> None:
    found = moment(rss(*amounts), TIME)
    assert said in sentence(found)
    verdict = watched_json(found, "x")["verdict"]
    assert (verdict["course"], verdict["cause"]) == (kind, "heap_in_use" if kind == "grows" else None)


def course_of(amounts: Sequence[int]) -> str:
    return course([Point(float(at), one, one) for at, one in enumerate(amounts)], 10).kind


def test_a_saw_tooth_has_no_growth_wherever_it_is_looked_at() -> None:
    for period in (2, 3, 5, 8, 13, 30):
        for shift in range(period):
            for count in range(2 * period, 4 * period):
                teeth = [600 * ((n + shift) % period) // period for n in range(count)]
                assert course_of(teeth) != GROWS, (period, shift, count)
                if count >= 3 * period:
                    rising = [one + 800 * n // period for n, one in enumerate(teeth)]
                    assert course_of(rising) == GROWS, (period, shift, count)


def test_growth_is_seen_whatever_times_nothing_was_measured_in() -> None:
    """A machine that slept, or that had no time for the watch: a third of the time has no sample."""
    steps = [(0, 10), (1, 14), (2, 18), (3, 22), (20, 26), (21, 30), (22, 34)]
    assert course([Point(float(at), one, one) for at, one in steps], 10).kind == GROWS
    once = [(0, 10), (1, 10), (2, 10), (20, 34), (21, 34), (22, 34)]
    assert course([Point(float(at), one, one) for at, one in once], 10).kind != GROWS


def test_a_long_watch_keeps_the_lows_and_highs() -> None:
    steady = [sample(c_heap=(10 + 8 * (n % 4)) * MIB) for n in range(3000)]
    leak = [sample(c_heap=(10 + 8 * (n % 4)) * MIB + (n << 16)) for n in range(3000)]
    assert (moment(steady).watched.cause, moment(leak).watched.cause) == (None, "c_heap")


def test_another_part_that_grows_is_seen_beside_a_heap_that_swings() -> None:
    found = moment([
        sample(heap_in_use=(10 + 40 * (n % 5)) * MIB, heap_free=(210 - 40 * (n % 5)) * MIB,
               c_heap=(10 + n) * MIB, cycles=n // 5)
        for n in range(14)
    ])  # fmt: skip
    assert found.watched.cause == "c_heap"


def test_one_sample_says_nothing_of_growth() -> None:
    assert sentence(moment([sample()])).startswith("One sample only: RSS 100.0 MiB, 100 goroutines.")


def test_what_is_not_known_is_not_nothing() -> None:
    found = moment([sample(stacks=None, live=None), sample(stacks=None, live=None)])
    document = watched_json(found, None)
    assert (document["figures"]["rss"], document["figures"]["heap_live"]) == (None, None)
    assert sentence(found).startswith("Which pages are in memory is not known")
    assert "?" in render(Columns(100).sample(found.watched, True))


# Its forms


def moments() -> List[Moment]:
    return [
        moment([sample()]),
        moment(rising("stacks", goroutines=lambda n: 100 + 600 * n), TIME),
        moment(rising("heap_in_use", count=40, step=900 * MIB), INTERRUPTED),
        moment([sample(stacks=None, live=None)] * 2),
        moment([sample(crowds={}, objects={})] * 3),
    ]


def test_documents_are_valid() -> None:
    validator = jsonschema.Draft202012Validator(schemas.schema("watch/1"))
    for one in moments():
        for verdict in (None, *([sentence(one)] if one.end else [])):
            validator.validate(watched_json(one, verdict))
            assert watched_line(one, verdict).count("\n") == 1


@pytest.mark.parametrize("width", [40, 72, 80, 100, 132, 220])
def test_lines_fit(width: int) -> None:
    for one in moments():
        columns = Columns(width)
        lines = [*head(one, 10, 600, width, True), *columns.heading(True), *columns.sample(one.watched, True)]
        text = render([*lines, *ending(one, width, True)])
        for line in text.splitlines()[: 3 if width < 72 else None]:
            assert cells(line) <= width, line
        heading, row = render(columns.heading(True)), render(columns.sample(one.watched, True))
        assert heading.split()[:2] == ["after", "RSS"] and len(row.split()) >= 2
        if width >= 100:
            assert "files" in heading
    assert ("growing most" in render(Columns(width).heading(True))) == (width >= 132)


def test_how_long_the_process_stood_still() -> None:
    for total, said in ((0.85, "850 ms in all, 2030 ms at most"), (127.348, "127.3 s in all, 2030 ms at")):
        one = moment(rising("stacks"), TIME)._replace(held=Held(0.4, 2.03, total, 4440.0))
        assert said in render(ending(one, 100, True)).replace("\n", " ")


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (616, "616"), (999, "999"), (1000, "1.0K"), (12.3 * MIB, "12.3M"), (394 * MIB, "394M"),
     (1023 * MIB, "1.0G"), (-5 * MIB, "-5.0M"), (None, "?")],
)  # fmt: skip
def test_short_sizes(number: Optional[int], text: str) -> None:
    assert short(None if number is None else int(number)) == text
    assert len(short(int(number or 0))) <= 5


def test_prometheus_reads_it() -> None:
    for one in moments():
        text = exposition(one)
        families = {family.name: family for family in openmetrics(text)}
        older = {found.name for family in prometheus(text) for found in family.samples}
        assert older == {found.name for family in families.values() for found in family.samples}
        up = families["addrspace_watch_up"].samples[0]
        assert up.labels == {"pid": "42", "program": 'a "b"\\c\\n'} and up.value == (one.end is None)
        if one.end is not None:
            assert len(families) == 1
            continue
        last = one.watched.last
        assert last is not None
        parts = {s.labels["part"]: s.value for s in families["addrspace_part_resident_bytes"].samples}
        assert parts == {name: last.figures[name] for name in PARTS if last.figures[name] is not None}
        assert families["addrspace_watch_samples"].samples[0].value == one.watched.samples
        assert "addrspace_watch_samples_total" in older
        for family in families.values():
            assert family.documentation and family.type in ("gauge", "counter")
            assert family.unit == (family.name.rpartition("_")[2] if family.unit else "")
    assert re.search(r'created_by="main\.serve"} 100\n', exposition(moments()[0]))


def test_groups_with_the_same_functions_are_one_sample() -> None:
    found = moment([sample(crowds={LEAK: 3, OTHER: 4})])
    lines = [
        line for line in exposition(found).splitlines() if line.startswith("addrspace_group_goroutines{")
    ]
    assert len(lines) == 1 and lines[0].endswith(" 7")


# Files


def test_lines_are_whole_or_not_there(tmp_path: Path) -> None:
    place = tmp_path / "lines"
    place.write_text("an older watch\n")
    file = LineFile(str(place))
    assert place.read_text() == "an older watch\n"
    file.write(b"one\n")
    file.write(b"two\n")
    assert place.read_text() == "one\ntwo\n"


def test_a_line_that_does_not_fit_leaves_those_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, write = tmp_path / "lines", os.write
    file = LineFile(str(place))
    file.write(b"first\n")

    def full(descriptor: int, data: bytes) -> int:
        if len(data) > 4:
            return write(descriptor, data[:4])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ProblemError, match="cannot write .*lines: No space left on device"):
        file.write(b"second\n")
    monkeypatch.undo()
    assert place.read_text() == "first\n"
    file.write(b"third\n")
    assert place.read_text() == "first\nthird\n"


class Ended(BaseException):
    """A signal came."""


@contextmanager
def ended_soon() -> Iterator[None]:
    """The block waits for ever, and is ended by a signal."""

    def end(_number: int, _frame: Optional[FrameType]) -> None:
        raise Ended

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        yield
        pytest.fail("it does not wait")
    except Ended:
        pass
    finally:
        signal.signal(signal.SIGALRM, before)


def test_waiting_for_a_reader_can_be_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a pipe that nobody opens, and of one that nobody empties."""
    monkeypatch.setattr(held_signals, "ENDING", (signal.SIGALRM,))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ended_soon():
        LineFile(str(pipe))
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        file = LineFile(str(pipe))
        file.write(b"short\n")
        assert os.read(reader, 100) == b"short\n"
        with ended_soon():
            file.write(bytes(1 << 20))
    finally:
        os.close(reader)


def test_a_file_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="cannot write .*: No such file or directory"):
        LineFile(str(tmp_path / "nosuch" / "lines")).write(b"x\n")


# Nonsense


@pytest.mark.parametrize("time", ["0s", "99ms", "-1s", "10", "ten", "1e9h", "9999999h", "9" * 500 + "h", ""])
@pytest.mark.parametrize("option", ["--every", "--for"])
def test_times_that_are_none(option: str, time: str, capfd: pytest.CaptureFixture[str]) -> None:
    wrong(capfd, f"{option}={time}", f"argument {option}: ")


@pytest.mark.parametrize("share", ["0", "-3", "101", "nan", "inf", "three", "3%%"])
def test_shares_that_are_none(share: str, capfd: pytest.CaptureFixture[str]) -> None:
    wrong(capfd, f"--at-most={share}", "argument --at-most: ")


def wrong(capfd: pytest.CaptureFixture[str], word: str, said: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["watch", "1", word])
    assert ended.value.code == 2
    text, errors = capfd.readouterr()
    assert text == "" and errors.startswith(f"addrspace-gdb: watch: {said}") and errors.count("\n") == 1
