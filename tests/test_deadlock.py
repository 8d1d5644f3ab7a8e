"""A deadlock names what main waits for, and the others, as Go's own text has them."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, Dict

import pytest
from harness.build import Builder
from harness.command import cli
from harness.dumps import goroutine_dump_parse
from harness.scenes import kernel_core
from harness.toolchains import Toolchain, Unavailable

EACH_ONCE = True  # not every combination: tests/conftest.py

ALSO_STRIPPED = "$^"
MAIN = {
    "group": "main.(*pool).drain",
    "channel": "main.(*pool).work",
    "mutex": "main.(*pool).lock",
    "nothing": "main.main",
    "gone": None,
}


def document_of(core: Path, program: Path) -> Dict[str, Any]:
    done = cli("dump", core, "--exe", program, "--report", "fault", "--format", "json")
    found: Dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("how", list(MAIN))
@pytest.mark.parametrize("variant", ["plain", "stripped"])
def test_who_waits(
    how: str, variant: str, go: Toolchain, build_program: Builder, oracle_file: Path, tmp_path: Path
) -> None:
    binary = build_program("deadlock", go, variant)
    try:
        made = kernel_core(binary, tmp_path, oracle_file, how)
    except Unavailable as problem:
        pytest.skip(str(problem))
    document = document_of(made.path, binary.path)
    goroutines = goroutine_dump_parse(made.stderr)
    said = {one.goid: one for one in goroutines if any("main." in frame.function for frame in one.frames)}
    expected: Counter[Any] = Counter()
    for one in said.values():
        if one.goid != 1:
            expected[one.status, next(f.function for f in one.frames if f.function.startswith("main."))] += 1
    others = document["blocked"]["others"]
    assert {(one["state"], one["function"]): one["goroutines"] for one in others} == dict(expected)
    assert sum(one["goroutines"] for one in others) == 4
    main = document["blocked"]["main"]
    if how == "gone":
        assert main is None and 1 not in said
        ending = "; main ended by runtime.Goexit"
    else:
        assert (main["goid"], main["state"], main["function"]) == (1, said[1].status, MAIN[how])
        ending = f"; main waits in {MAIN[how]} ({main['state']})"
    assert document["cause"] == f"every goroutine waits for another one: nothing can go on{ending}"
    text = cli("dump", made.path, "--exe", binary.path, "--report", "fault").stdout
    assert re.search(r"^  others      3 wait in main\.\(\*pool\)\.work \(chan receive\)$", text, re.MULTILINE)
