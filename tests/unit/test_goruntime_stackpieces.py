"""Stack memory cut among its owners, against every 64 bytes of it by themselves."""

from __future__ import annotations

import random
from typing import Dict, List, Tuple

import pytest

from addrspace_gdb.goruntime.stackpieces import (
    DEAD_GOROUTINE,
    FREE_POOL,
    GOROUTINE,
    KINDS,
    SYSTEM_STACK,
    UNCLAIMED,
    Piece,
    Pieces,
    StackSpan,
    cut,
    with_others,
)

_STEP = 64


def _scene(rng: random.Random, sound: bool) -> Tuple[List[StackSpan], List[Piece], Dict[int, str]]:
    """Places, owners by start, and free slots."""
    places: List[StackSpan] = []
    owners: List[Piece] = []
    at = 1 << 20
    free: Dict[int, str] = {}
    for number in range(60):
        element = rng.choice((256, 512, 1024))
        at += rng.choice((0, 0, 2048, 4096))
        for start in range(at, at + 2048, element):
            if number % 3 == 0 or rng.random() < 0.8:
                off = 0 if sound else rng.choice((0, 0, 0, 0, 64, -128))
                longer = 0 if sound else rng.choice((0, 0, 0, 64, 4096))
                kind = rng.choice((GOROUTINE, GOROUTINE, DEAD_GOROUTINE))
                owners.append(Piece(start + off, start + element + longer, kind, len(owners)))
            elif rng.random() < 0.5:
                free[start] = FREE_POOL
        places.append(StackSpan(at, at + 2048, element, free))
        at += 2048
    owners.append(Piece(at + 8192, at + 9000, SYSTEM_STACK, 1))
    return places, sorted(owners), free


def _owner_of_each(places: List[StackSpan], owners: List[Piece]) -> Dict[int, Tuple[str, int]]:
    """Kind and owner of each step: of owners that begin in a place the first that is not in another one."""
    found: Dict[int, Tuple[str, int]] = {}
    for place in places:
        reach = place.start
        for owner in owners:
            if place.start <= owner.start < place.end and owner.start >= reach:
                reach = min(owner.end, place.end)
                for at in range(owner.start, reach, _STEP):
                    found[at] = (owner.kind, owner.owner)
    return found


@pytest.mark.parametrize("sound", [True, False], ids=["sound", "damaged"])
@pytest.mark.parametrize("seed", range(8))
def test_every_byte_has_its_owner(seed: int, sound: bool) -> None:
    places, owners, free = _scene(random.Random(seed), sound)
    claims = Pieces()
    for owner in owners:
        claims.add(*owner)
    made, outside = cut(places, claims)
    pieces = list(made)
    expected = _owner_of_each(places, owners)
    at = iter(pieces)
    for place in places:
        reach = place.start
        while reach < place.end:
            piece = next(at)
            assert piece.start == reach and piece.end <= place.end
            reach = piece.end
            if piece.start in expected:
                kind, number = expected[piece.start]
                assert (piece.kind, piece.owner) == (kind, number)
            else:
                assert piece.kind == free.get(piece.start, UNCLAIMED) and piece.owner == 0
            same = {expected.get(step) for step in range(piece.start, piece.end, _STEP)}
            assert len(same) == 1
    assert next(at, None) is None
    held = [(place.start, place.end) for place in places]
    assert outside == [o for o in owners if not any(start <= o.start < end for start, end in held)]


def test_neighbours_of_one_kind_are_one() -> None:
    made, _ = cut(*_with_claims(3))
    joined = made.merged()
    assert sum(end - start for start, end, _ in joined) == sum(p.end - p.start for p in made)
    assert all(a[1] < b[0] or a[2] != b[2] for a, b in zip(joined, joined[1:]))
    for kind in KINDS:
        assert sum(made.mask(kind)) == sum(piece.kind == kind for piece in made)


def _with_claims(seed: int) -> Tuple[List[StackSpan], Pieces]:
    places, owners, _ = _scene(random.Random(seed), sound=True)
    claims = Pieces()
    for owner in owners:
        claims.add(*owner)
    return places, claims


@pytest.mark.parametrize("twice", [False, True])
def test_others_come_in_order(twice: bool) -> None:
    claims = Pieces()
    for start in range(0, 1000, 100):
        claims.add(start, start + 50, GOROUTINE, start)
    others = [Piece(450 - 50 * twice, 500, SYSTEM_STACK, 2), Piece(20, 30, SYSTEM_STACK, 1)]
    expected = sorted([*claims, *others])
    assert list(with_others(claims, others)) == expected
    assert list(with_others(claims, [])) == list(claims)


def test_nothing_at_all() -> None:
    made, outside = cut([], Pieces())
    assert not list(made) and not outside and not made.merged()
    made, _ = cut([StackSpan(4096, 8192, 2048, {})], Pieces())
    assert [(p.start, p.end, p.kind) for p in made] == [(4096, 6144, UNCLAIMED), (6144, 8192, UNCLAIMED)]
