"""Profiles for a person: the functions with most of them, and stacks folded for flame graphs."""

from __future__ import annotations

from collections import Counter
from typing import Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple

from addrspace_gdb.common import sizes
from addrspace_gdb.space.profiles.model import Profile
from addrspace_gdb.views.kit.table import Cells, Column, table
from addrspace_gdb.views.kit.text import clean, clip, clip_name
from addrspace_gdb.views.kit.tokens import NAME, QUIET, SIZE, TEXT, Pair

_COLUMNS = (
    Column("flat", "right", SIZE),
    Column("flat%", "right", QUIET),
    Column("cum", "right", SIZE),
    Column("cum%", "right", QUIET),
    Column("function", "left", NAME),
)


class Use(NamedTuple):
    """What is in a function itself, and in it and all that it called."""

    function: str
    flat: int
    cumulative: int


class Top(NamedTuple):
    """The functions of a profile, and what all samples come to."""

    uses: List[Use]  # most first
    total: int
    samples: int


def shown_value(profile: Profile, wanted: str) -> int:
    """Which value of a sample is shown: the `wanted` one by its type, else the one that pprof shows first."""
    names = [type_.type for type_ in profile.types]
    name = wanted or profile.default
    return names.index(name) if name in names else len(names) - 1


def top(profile: Profile, value: int) -> Top:
    """Add up one value by function."""
    flat: Counter[str] = Counter()
    cumulative: Counter[str] = Counter()
    names = _Names(profile)
    total = count = 0
    for sample in profile.samples():
        number = sample.values[value]
        count += 1
        if not number:
            continue
        total += number
        stack = [name for at in sample.locations for name in names[at]]
        if stack:
            flat[stack[0]] += number
            for name in set(stack):
                cumulative[name] += number
    uses = [Use(name, flat[name], whole) for name, whole in cumulative.items()]
    uses.sort(key=lambda use: (-abs(use.flat), -abs(use.cumulative), use.function))
    return Top(uses, total, count)


class _Names(Dict[int, Sequence[str]]):
    """The functions of a location, innermost first."""

    def __init__(self, profile: Profile) -> None:
        super().__init__()
        self._made = profile.made

    def __missing__(self, number: int) -> Sequence[str]:
        functions, location = self._made.functions, self._made.locations[number - 1]
        shown = [functions[function - 1].name for function, _ in location.lines]
        found = self[number] = [name or f"{location.address:#x}" for name in shown]
        return found


def worded(unit: str) -> Callable[[int], str]:
    """How numbers of a unit are written."""
    if unit == "bytes":
        return sizes.size
    return _time if unit == "nanoseconds" else sizes.count


def _time(number: int) -> str:
    for name, factor in (
        ("h", 3600 * 10**9),
        ("min", 60 * 10**9),
        ("s", 10**9),
        ("ms", 10**6),
        ("µs", 10**3),
    ):
        if abs(number) >= factor:
            return f"{number / factor:.2f} {name}"
    return f"{number} ns"


def top_lines(
    profile: Profile, found: Top, value: int, limit: int, width: int, unicode: bool
) -> Iterator[Pair]:
    """The list, under what it is a list of."""
    type_ = profile.types[value]
    write = worded(type_.unit)
    head = f"{profile.kind}: {type_.type}, {write(found.total)} in {sizes.plural(found.samples, 'sample')}"
    yield TEXT, clip(clean(head, unicode), width, unicode) + "\n"
    rows: List[Cells] = []
    for use in found.uses[:limit]:
        shares = [sizes.share(abs(part), abs(found.total)) for part in (use.flat, use.cumulative)]
        name = clean(use.function, unicode)
        rows.append((write(use.flat), shares[0], write(use.cumulative), shares[1], name))
    rows = [(*(clean(cell, unicode) for cell in row[:-1]), row[-1]) for row in rows]
    if rows:
        yield from table(_COLUMNS, _clipped(rows, width, unicode))
    left = len(found.uses) - limit
    if left > 0:
        yield QUIET, f"{sizes.plural(left, 'more function')}; --limit all shows them\n"


def _clipped(rows: List[Cells], width: int, unicode: bool) -> List[Cells]:
    used = sum(2 + max(len(cell) for cell in column) for column in list(zip(*rows))[:-1]) + 4
    return [(*row[:-1], clip_name(row[-1], max(20, width - used), unicode)) for row in rows]


def folded(profile: Profile, value: int) -> Iterator[str]:
    """A line for each stack, from its outermost function to the innermost, and its number: what flame graph
    tools read. Stacks without a number are left out."""
    names = _Names(profile)
    found: Counter[Tuple[int, ...]] = Counter()
    for sample in profile.samples():
        found[tuple(sample.locations)] += sample.values[value]
    lines: Counter[str] = Counter()
    for locations, number in found.items():
        stack = [_frame(name) for at in locations for name in names[at]]
        lines[";".join(reversed(stack))] += number
    for line in sorted(lines):
        if lines[line]:
            yield f"{line} {lines[line]}\n"


def _frame(name: str) -> str:
    """A name that is one frame: a semicolon would end it."""
    return clean(name).replace(";", ":")
