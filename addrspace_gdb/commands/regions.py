"""`addrspace regions`: every region of the partition, filtered."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from functools import cached_property
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from addrspace_gdb.commands.addrspace import verdict_on
from addrspace_gdb.commands.command import Command, Look, document, drawn
from addrspace_gdb.commands.options import Parser, add_output, split
from addrspace_gdb.commands.session import Session
from addrspace_gdb.commands.values import limit_value
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.space.diagram.rows import build
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.space.regions.model import AddressSpace
from addrspace_gdb.space.regions.region import AREAS, UNMAPPED_AREAS, Region
from addrspace_gdb.views.documents.form import addrspace_json
from addrspace_gdb.views.kit.tokens import TEXT, Pair
from addrspace_gdb.views.regions import regions_summary, regions_table

Filter = Callable[[Region], bool]

_PERMISSIONS = re.compile(r"^[r-][w-][x-][ps]?$")
_ADDRESS = re.compile(r"^(0x[0-9a-fA-F]+|\d+|[$&*(@].*)$")

_EPILOG = """\
A FILTER is one of
  an area          heap, goroutine-stacks, runtime, code, globals, shared-libs, free ...
  permissions      rw-p, r-x, --- (the last character may be left out)
  resident         regions with bytes in memory
  an address       0xc000010000, $sp, &main.table, @EXPRESSION: the region that holds it
  anything else    part of the kind, the label or the file name
Several filters must all hold; several areas are alternatives."""


def parser() -> Parser:
    """The command's arguments."""
    made = Parser(
        prog="addrspace regions",
        description="List every region of the address space, one per row, lowest address first.",
        epilog=_EPILOG,
    )
    made.add_argument(
        "filters", nargs="*", default=[], metavar="FILTER", help="which regions (default: all that is mapped)"
    )
    add_output(made, ["text", "json"])
    made.add_argument("--summary", action="store_true", help="one row for each area and kind")
    made.add_argument("--limit", type=limit_value, metavar="N", help="at most N rows, or `all`")
    return made


def parse(line: str) -> argparse.Namespace:
    """Take apart what was typed: permissions such as "---" look like options."""
    permissions, words = partition_words(split(line))
    arguments = parser().parse_args(words)
    arguments.filters += permissions
    return arguments


class Answer:
    """What was read, and which regions are wanted."""

    def __init__(self, reading: Reading, arguments: argparse.Namespace, keep: List[Filter]) -> None:
        self.arguments = arguments
        self._reading, self._keep = reading, keep

    @cached_property
    def space(self) -> AddressSpace:
        """The partition."""
        return build(self._reading)

    @cached_property
    def found(self) -> List[Region]:
        """The regions that pass every filter. ProblemError if none does."""
        filters, keep, space = self.arguments.filters, self._keep, self.space
        areas = [word for word in filters if word in AREAS]
        everything = sorted(space.regions + space.unmapped) if _wants_unmapped(areas, keep) else space.regions
        found = [
            region
            for region in everything
            if (not areas or region.area in areas) and all(one(region) for one in keep)
        ]
        if not found and filters:
            raise ProblemError(f"no region matches {printable(' '.join(filters))!r}")
        return found

    @property
    def shown(self) -> List[Region]:
        """The first of them, as many as are wanted."""
        return self.found if self.arguments.limit is None else self.found[: self.arguments.limit]


def ask(session: Session, arguments: argparse.Namespace) -> Answer:
    """Read the selected inferior."""
    keep = [_filter(word, session) for word in arguments.filters if word not in AREAS]
    return Answer(session.reading(other_too=True), arguments, keep)


def draw(answer: Answer, look: Look) -> Iterator[Pair]:
    """The table, or its summary."""
    shown = answer.shown
    if answer.arguments.summary:
        yield from regions_summary(shown, look.width, look.unicode)
    else:
        yield from regions_table(shown, look.width, look.unicode, answer.space.target.pointer_size)
    left_out = len(answer.found) - len(shown)
    if left_out:
        yield TEXT, f"{left_out:,} more regions are not shown (--limit {answer.arguments.limit})\n"


def as_json(answer: Answer) -> Dict[str, Any]:
    """addrspace/1, with those regions only."""
    space, shown = answer.space, answer.shown
    mapped = [region for region in shown if region.area not in UNMAPPED_AREAS]
    unmapped = [region for region in shown if region.area in UNMAPPED_AREAS]
    return addrspace_json(replace(space, regions=mapped, unmapped=unmapped))


def verdict(answer: Answer) -> Optional[str]:
    """What is damaged."""
    return verdict_on(answer.space)


def partition_words(words: List[str]) -> Tuple[List[str], List[str]]:
    """The words that are permissions, and the others."""
    permissions = [word for word in words if _PERMISSIONS.match(word)]
    return permissions, [word for word in words if not _PERMISSIONS.match(word)]


def _wants_unmapped(areas: List[str], keep: List[Filter]) -> bool:
    """Unmapped space is listed when it is asked for by area, or when an address may lie in it."""
    return any(area in UNMAPPED_AREAS for area in areas) or any(isinstance(one, _Holds) for one in keep)


def _filter(word: str, session: Session) -> Filter:
    if _PERMISSIONS.match(word):
        return lambda region: region.permissions.startswith(word)
    if word == "resident":
        return lambda region: bool(region.resident)
    if _ADDRESS.match(word):
        return _Holds(session.target().evaluate(word.removeprefix("@")))
    text = word.lower()
    return lambda region: any(
        text in (part or "").lower() for part in (region.kind, region.label, region.file)
    )


class _Holds:
    """The region that holds an address."""

    def __init__(self, address: int) -> None:
        self.address = address

    def __call__(self, region: Region) -> bool:
        return region.start <= self.address < region.end


COMMAND = Command(
    "addrspace regions",
    parser,
    ask,
    {"text": drawn(draw), "json": document(as_json)},
    verdict,
    words=("resident", *AREAS),
    parse=parse,
    expressions=True,
)
