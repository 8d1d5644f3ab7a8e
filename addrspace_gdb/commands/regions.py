"""`addrspace regions`: every region of the partition, filtered."""

from __future__ import annotations

import re
from typing import Callable, List, Optional, Tuple

from addrspace_gdb.commands.addrspace import verdict
from addrspace_gdb.commands.options import Parser, add_output, split
from addrspace_gdb.commands.session import Command, Session, check_writable, deliver
from addrspace_gdb.commands.values import limit_value
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.space.diagram.rows import build
from addrspace_gdb.space.regions.region import AREAS, UNMAPPED_AREAS, Region
from addrspace_gdb.views.documents.form import addrspace_json, dumps
from addrspace_gdb.views.kit.render import render
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
        description="List every region of the address space, one a row, lowest address first.",
        epilog=_EPILOG,
    )
    made.add_argument(
        "filters", nargs="*", metavar="FILTER", help="which regions (default: all that is mapped)"
    )
    add_output(made, ["text", "json"])
    made.add_argument("--summary", action="store_true", help="one row for each area and kind")
    made.add_argument("--limit", type=limit_value, metavar="N", help="at most N rows")
    return made


def run(session: Session, line: str) -> Optional[str]:
    """List regions of the selected inferior."""
    # Permissions such as "---" look like options.
    permissions, words = partition_words(split(line))
    arguments = parser().parse_args(words)
    arguments.filters += permissions
    check_writable(arguments.output)
    areas = [word for word in arguments.filters if word in AREAS]
    keep = [_filter(word, session) for word in arguments.filters if word not in AREAS]
    space = build(session.reading())
    everything = sorted(space.regions + space.unmapped) if _wants_unmapped(areas, keep) else space.regions
    found = [
        region
        for region in everything
        if (not areas or region.area in areas) and all(one(region) for one in keep)
    ]
    if not found and arguments.filters:
        raise ProblemError(f"no region matches {printable(' '.join(arguments.filters))!r}")
    left_out = 0
    if arguments.limit is not None:
        left_out = max(0, len(found) - arguments.limit)
        found = found[: arguments.limit]
    settings = session.settings
    if arguments.format == "json":
        mapped = [region for region in found if region.area not in UNMAPPED_AREAS]
        space.unmapped = [region for region in found if region.area in UNMAPPED_AREAS]
        space.regions = mapped
        deliver(session, dumps(addrspace_json(space)), arguments.output)
        return verdict(space)
    color = settings.color and arguments.output is None
    width = settings.width if arguments.output is None else None
    if arguments.summary:
        tokens = regions_summary(found, settings.unicode)
    else:
        tokens = regions_table(found, width, settings.unicode, space.target.pointer_size)
    text = render(tokens, color, settings.style)
    if left_out:
        text += f"{left_out:,} more regions are not shown (--limit {arguments.limit})\n"
    deliver(session, text, arguments.output)
    return verdict(space)


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
        return _Holds(session.target().evaluate(word[1:] if word.startswith("@") else word))
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


def words() -> List[str]:
    """What completion offers."""
    return ["--format", "--output", "--summary", "--limit", "resident", *AREAS]


COMMAND = Command("addrspace regions", parser().help_text(), run, words)
