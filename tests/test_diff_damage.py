"""`addrspace snapshot`, `diff` and `compare` on damaged cores: an answer, or one line that says why not."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import full_matrix
from test_addrspace_fuzz import Pristine, assert_all_well, pristine  # noqa: F401

COMMANDS = (
    "addrspace snapshot x",
    "addrspace diff x",
    "addrspace diff x now --format json",
    "addrspace compare 1 1",
    "addrspace compare 1 1 0xc000000000 0x401000 $sp --format json",
    "addrspace --format json --stacks --output /dev/null",
)
SEEDS = [21] if not full_matrix() else list(range(21, 41))
TARGETED = 3 if not full_matrix() else 1


@pytest.mark.parametrize("seed", SEEDS)
def test_random_damage_is_survived(pristine: Pristine, tmp_path: Path, seed: int) -> None:  # noqa: F811
    assert_all_well(pristine.fuzz(tmp_path, seed=seed, count=60, commands=COMMANDS), 60)


def test_targeted_damage_is_survived(pristine: Pristine, tmp_path: Path) -> None:  # noqa: F811
    assert_all_well(pristine.fuzz(tmp_path, skip=1, step=2 * TARGETED, commands=COMMANDS), 30)
