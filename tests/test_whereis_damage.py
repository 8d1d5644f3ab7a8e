"""`addrspace whereis` and `addrspace fault` on cores that are damaged everywhere: no traceback, no hang."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import pytest
from harness import full_matrix
from harness.build import Builder
from harness.debuggers import gdbs
from harness.scenes import kernel_core
from harness.toolchains import Toolchain, Unavailable
from test_addrspace_fuzz import Pristine, assert_all_well

COMMANDS = [
    "addrspace whereis --table goroutine:1 *(void**)$rsp@64 &'runtime.mheap_' 'runtime.allgs' $pc",
    "addrspace fault",
    "addrspace whereis 'main.Unmapped' 'runtime.allgs'.array[0] 'addrspace.test/kit.Lite'.Objects",
    "addrspace whereis --format json --output /dev/null *(void**)$rsp@512",
]
SEEDS = [1] if not full_matrix() else list(range(1, 21))


@pytest.fixture(scope="module")
def crashed(
    go: Toolchain, build_program: Builder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pristine]:
    """The kernel's core of a nil dereference."""
    if not gdbs():
        pytest.skip("no gdb")
    folder = tmp_path_factory.mktemp("crashed")
    binary = build_program("crash", go)
    try:
        core = kernel_core(binary, folder, folder / "oracle", "segv").path
    except Unavailable as problem:
        pytest.skip(str(problem))
    yield Pristine(core, binary)
    core.unlink()


@pytest.mark.parametrize("seed", SEEDS)
def test_random_damage_is_survived(crashed: Pristine, tmp_path: Path, seed: int) -> None:
    assert_all_well(crashed.fuzz(tmp_path, seed=seed, count=60, commands=COMMANDS), 60)


def test_cycles_wild_pointers_and_absurd_lengths_are_survived(crashed: Pristine, tmp_path: Path) -> None:
    step = 1 if full_matrix() else 6
    assert_all_well(crashed.fuzz(tmp_path, skip=1 % step, step=step, commands=COMMANDS), 30)
