"""Commands for `test_whereis.py`, sourced inside gdb beside this project.

whereis-places ORACLE FILE   ask for every place of the oracle, in one call and in small ones; write the JSON
whereis-random FILE COUNT    ask for random addresses, and compare with the partition by another way
"""

from __future__ import annotations

import json
import random
from typing import Any, Dict, List

import gdb

from addrspace_gdb.debugger.gdb import commands
from addrspace_gdb.debugger.gdb.session import GdbSession
from addrspace_gdb.space.diagram.rows import build
from addrspace_gdb.space.regions.region import Region
from addrspace_gdb.space.where.locator import Locator
from addrspace_gdb.target.protocol import Value

SMALL = 40  # addresses in one call that are told in full


def session() -> GdbSession:
    """The one that the commands use."""
    return next(one for one in commands._registered if isinstance(one, GdbSession))


def ask(addresses: List[int], path: str) -> List[Dict[str, Any]]:
    """The places that the command writes."""
    words = " ".join(map(hex, addresses))
    gdb.execute(f"addrspace whereis --format json --output {path}.part {words}")
    with open(path + ".part", encoding="ascii") as file:
        document: Dict[str, Any] = json.load(file)
    found: List[Dict[str, Any]] = document["places"]
    return found


def holders(regions: List[Region], addresses: List[int]) -> Dict[int, Region]:
    """The region of each address that lies in one: ascending addresses beside ascending regions."""
    found: Dict[int, Region] = {}
    at = 0
    for address in sorted(addresses):
        while at < len(regions) and regions[at].end <= address:
            at += 1
        if at < len(regions) and regions[at].start <= address:
            found[address] = regions[at]
    return found


class Places(gdb.Command):
    """whereis-places ORACLE FILE: every place of the oracle."""

    def __init__(self) -> None:
        super().__init__("whereis-places", gdb.COMMAND_DATA)

    def invoke(self, argument: str, from_tty: bool) -> None:
        oracle, path = argument.split()
        with open(oracle, encoding="utf-8") as file:
            addresses = [place["address"] for place in json.load(file)]
        few: List[Dict[str, Any]] = []
        for first in range(0, len(addresses), SMALL):
            few += ask(addresses[first : first + SMALL], path)
        many = ask(addresses * 2, path)[: len(addresses)]
        with open(path, "w", encoding="ascii") as out:
            json.dump({"few": few, "many": many}, out)


class Random(gdb.Command):
    """whereis-random FILE COUNT: random addresses."""

    def __init__(self) -> None:
        super().__init__("whereis-random", gdb.COMMAND_DATA)

    def invoke(self, argument: str, from_tty: bool) -> None:
        path, count = argument.split()
        reading = session().reading()
        space = build(reading, each_goroutine=True)
        everything = [*space.regions, *space.unmapped]
        chance = random.Random(6)
        addresses = [chance.getrandbits(64) for _ in range(int(count) // 4)]
        while len(addresses) < int(count):
            region = chance.choice(everything)
            addresses.append(chance.randrange(region.start, region.end))
            addresses += [region.start, region.end - 1]
        places = Locator(reading, session().target()).locate([Value("", one) for one in addresses])
        expected = {**holders(space.unmapped, addresses), **holders(space.regions, addresses)}
        wrong = [hex(a) for a, place in zip(addresses, places) if place.region != expected.get(a)]
        areas = sorted({place.region.area for place in places})
        parts = ("heap", "stack", "code", "type", "symbol", "runtime", "gap")
        told = [part for part in parts if any(getattr(place, part) is not None for place in places)]
        with open(path, "w", encoding="ascii") as out:
            result = {"count": len(places), "wrong": wrong, "areas": areas, "parts": told}
            json.dump(result, out)


Places()
Random()
