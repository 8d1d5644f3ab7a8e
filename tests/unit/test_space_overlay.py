"""Overlaying, cutting and partitioning claims, against a byte-by-byte model."""

from __future__ import annotations

import random
from typing import Dict, List, Optional

from addrspace_gdb.common.problems import Problems
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.process.residency import Residency
from addrspace_gdb.space.regions.overlay import cut, filled, normalise, overlay
from addrspace_gdb.space.regions.partition import area_totals, partition, total
from addrspace_gdb.space.regions.region import FOREIGN, HEAP, RUNTIME, Claim, Region

END = 64


def painted(claims: List[Claim]) -> Dict[int, Optional[str]]:
    """Kind of each byte; sorted and disjoint is asserted on the way."""
    bytes_: Dict[int, Optional[str]] = {}
    last = 0
    for claim in claims:
        assert last <= claim.start < claim.end
        last = claim.end
        bytes_.update(dict.fromkeys(range(claim.start, claim.end), claim.kind))
    return bytes_


def random_claims(source: random.Random, prefix: str) -> List[Claim]:
    """Disjoint claims within [0, END)."""
    cuts = sorted(source.sample(range(END + 1), source.randrange(0, 12)))
    pairs = list(zip(cuts, cuts[1:]))[:: source.choice((1, 2))]
    return [Claim(a, b, HEAP, f"{prefix}{source.randrange(3)}") for a, b in pairs]


def test_overlay_lets_the_upper_win_byte_by_byte() -> None:
    source = random.Random(7)
    for _ in range(2000):
        lower, upper = random_claims(source, "l"), random_claims(source, "u")
        expected = {**painted(lower), **painted(upper)}
        assert painted(overlay(lower, upper)) == expected


def test_normalise_sorts_joins_and_reports_overlaps() -> None:
    problems = Problems()
    made = normalise(
        [Claim(8, 12, HEAP, "b"), Claim(0, 4, HEAP, "a"), Claim(4, 8, HEAP, "a"), Claim(10, 14, HEAP, "c")],
        problems,
        "test",
    )
    assert made == [Claim(0, 8, HEAP, "a"), Claim(8, 12, HEAP, "b"), Claim(12, 14, HEAP, "c")]
    assert list(problems) == ["test: 1 ranges overlap others; counted once"]


def test_normalise_never_overlaps_whatever_comes() -> None:
    source = random.Random(11)
    for _ in range(500):
        wild = [
            Claim(a, a + source.randrange(0, 20), HEAP, str(source.randrange(2)))
            for a in (source.randrange(END) for _ in range(source.randrange(10)))
        ]
        covered = {byte for claim in wild for byte in range(claim.start, claim.end)}
        assert set(painted(normalise(wild))) == covered


def mapping(start: int, end: int) -> Mapping:
    return Mapping(start, end, "rw-p", None)


def test_cut_and_fill_cover_a_mapping_exactly() -> None:
    claims = [Claim(0, 10, HEAP, "a"), Claim(20, 30, HEAP, "b"), Claim(30, 50, HEAP, "c")]
    one, at = cut(claims, mapping(5, 25), 0)
    rest = Claim(0, 0, FOREIGN, "rest")
    assert [(c.start, c.end, c.kind) for c in filled(one, mapping(5, 25), rest)] == [
        (5, 10, "a"),
        (10, 20, "rest"),
        (20, 25, "b"),
    ]
    two, _ = cut(claims, mapping(25, 60), at)
    assert [(c.start, c.end, c.kind) for c in filled(two, mapping(25, 60), rest)] == [
        (25, 30, "b"),
        (30, 50, "c"),
        (50, 60, "rest"),
    ]


def test_partition_covers_every_mapping_and_joins_neighbours() -> None:
    source = random.Random(3)
    for _ in range(300):
        claims = random_claims(source, "k")
        cuts = sorted(source.sample(range(END + 1), 6))
        mappings = [mapping(a, b) for a, b in zip(cuts[::2], cuts[1::2])]
        regions = partition(mappings, claims, lambda m: Claim(m.start, m.end, FOREIGN, "rest"), Residency())
        for one in mappings:
            inside = [r for r in regions if one.start <= r.start < one.end]
            assert inside[0].start == one.start
            assert inside[-1].end == one.end
            for left, right in zip(inside, inside[1:]):
                assert left.end == right.start
                assert (left.area, left.kind) != (right.area, right.kind)
        assert sum(r.size for r in regions) == sum(m.size for m in mappings)


def test_totals_never_include_a_guess() -> None:
    assert total([1, 2, 3]) == 6
    assert total([1, None, 3]) is None
    regions = partition(
        [mapping(0, 8)],
        [Claim(0, 4, RUNTIME, "x")],
        lambda m: Claim(m.start, m.end, FOREIGN, "rest"),
        Residency(),
    )
    assert [(t.area, t.size, t.resident, t.regions) for t in area_totals(regions)] == [
        (RUNTIME, 4, 0, 1),
        (FOREIGN, 4, 0, 1),
    ]


def test_a_region_is_said_in_words() -> None:
    def said(kind: str, label: str) -> str:
        return Region(0, 1, HEAP, kind, label, "rw-p", 0, 0, None).words

    assert said("main thread stack", "thread 17") == "main thread stack, thread 17"
    assert said("goroutine", "goroutine 17") == "goroutine 17"
    assert said("malloc arena", "in use") == "malloc arena in use" and said("bss", "") == "bss"
