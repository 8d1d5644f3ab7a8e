"""Sorted, disjoint lists of claims: putting one over another, and cutting them to mappings.

Everything is one merge over sorted lists, so the cost grows linearly with claims and mappings.
"""

from __future__ import annotations

from typing import Iterable, Iterator, List, Optional, Sequence

from addrspace_gdb.common.problems import Problems
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.space.regions.region import Claim


def normalise(claims: Iterable[Claim], problems: Optional[Problems] = None, what: str = "") -> List[Claim]:
    """Sort; where two overlap the earlier one wins (told as a problem of `what`); join equal neighbours."""
    made: List[Claim] = []
    overlaps = 0
    for claim in sorted(claims):
        if made and claim.start < made[-1].end:
            if claim[2:] != made[-1][2:]:
                overlaps += 1
            if claim.end <= made[-1].end:
                continue
            claim = claim._replace(start=made[-1].end)
        if claim.start >= claim.end:
            continue
        if made and made[-1].end == claim.start and made[-1][2:] == claim[2:]:
            made[-1] = made[-1]._replace(end=claim.end)
        else:
            made.append(claim)
    if overlaps and problems is not None:
        problems.add(f"{what}: {overlaps} ranges overlap others; counted once")
    return made


def overlay(lower: Sequence[Claim], upper: Sequence[Claim]) -> List[Claim]:
    """Both lists as one: where they overlap `upper` wins and `lower` is cut around it."""
    if not lower or not upper:
        return list(lower or upper)
    made: List[Claim] = []
    add = made.append
    at, count = 0, len(upper)
    for claim in lower:
        start, end = claim.start, claim.end
        while at < count and upper[at].end <= start:
            add(upper[at])
            at += 1
        while at < count and upper[at].start < end:
            over = upper[at]
            if over.start > start:
                add(claim._replace(start=start, end=over.start))
            start = over.end
            if start >= end:
                break  # it may reach into the next lower claim: emitted when passed
            add(over)
            at += 1
        if start < end:
            add(claim if start == claim.start else claim._replace(start=start))
    made.extend(upper[at:])
    return made


def cut(claims: Sequence[Claim], mapping: Mapping, first: int) -> tuple[List[Claim], int]:
    """The claims inside `mapping`, cut to it, starting the search at index `first`.

    Returns them and the index to continue with for the next mapping.
    """
    at, count = first, len(claims)
    while at < count and claims[at].end <= mapping.start:
        at += 1
    inside: List[Claim] = []
    scan = at
    while scan < count and claims[scan].start < mapping.end:
        claim = claims[scan]
        if claim.start < mapping.start or claim.end > mapping.end:
            claim = claim._replace(start=max(claim.start, mapping.start), end=min(claim.end, mapping.end))
        inside.append(claim)
        scan += 1
    return inside, max(at, scan - 1)


def filled(inside: Sequence[Claim], mapping: Mapping, rest: Claim) -> Iterator[Claim]:
    """`inside` with every hole of the mapping given to `rest` (its addresses are ignored)."""
    at = mapping.start
    for claim in inside:
        if claim.start > at:
            yield rest._replace(start=at, end=claim.start)
        yield claim
        at = claim.end
    if at < mapping.end:
        yield rest._replace(start=at, end=mapping.end)
