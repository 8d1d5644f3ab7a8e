"""Fuzzes the product: `scripts/fuzz --count 10000 --resume state`, and `--case 4711` to look at one case."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, Iterator, List, Optional, TextIO

from harness.debuggers import Gdb, gdbs
from harness.toolchains import Unavailable

from fuzzing.cases import ALL_KINDS, Outcome, carry_out, kind_of
from fuzzing.subjects import World, world


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="fuzz", description="Damage cores, programs and dumps; see that every command survives it."
    )
    add = parser.add_argument
    add("--count", type=int, default=1000, metavar="N", help="cases in all (default: %(default)s)")
    add("--seed", type=int, default=1, metavar="S", help="another seed is other damage (default: 1)")
    add("--jobs", type=int, default=1, metavar="N", help="cases at once (default: 1)")
    add("--resume", metavar="FILE", help="keep what is done in FILE, and do what is not in it yet")
    add("--only", choices=ALL_KINDS, metavar="KIND", help=f"only one kind: {', '.join(ALL_KINDS)}")
    add("--case", type=int, metavar="ID", help="one case again: its files are kept and its output is shown")
    add("--gdb", metavar="PATH", help="the gdb to take; default: the one on PATH")
    given = parser.parse_args()
    if given.count < 1 or given.jobs < 1:
        parser.error("--count and --jobs must be at least 1")
    return given


def main() -> int:
    """Status 0: no failures; 1: some, or it cannot be run."""
    given = arguments()
    try:
        made = world(_gdb(given.gdb))
    except Unavailable as problem:
        print(f"fuzz: {problem}", file=sys.stderr)
        return 1
    if given.case is not None:
        return replay(made, given.seed, given.case)
    done = _kept(given, made) if given.resume else {}
    wanted = [case for case in range(_enough(given)) if given.only in (None, kind_of(case))][: given.count]
    failed = sum(bool(done[case].failures) for case in wanted if case in done)
    left = [case for case in wanted if case not in done]
    try:
        with open(given.resume or os.devnull, "a", encoding="utf-8") as state:
            for number, outcome in enumerate(outcomes(made, given.seed, left, given.jobs), 1):
                failed += bool(outcome.failures)
                _tell(outcome, number, len(left), failed, state)
    except KeyboardInterrupt:
        print("\nfuzz: interrupted", file=sys.stderr)
        return 130
    print(f"{len(wanted)} cases with seed {given.seed}, {failed} failures")
    return 1 if failed else 0


def _enough(given: argparse.Namespace) -> int:
    return int(given.count * (len(ALL_KINDS) if given.only else 1))


def _gdb(wanted: Optional[str]) -> Gdb:
    known = gdbs()
    if wanted:
        path = Path(shutil.which(wanted) or wanted)
        return next((one for one in known if one.path == path), Gdb(path, path.name))
    if not known:
        raise Unavailable("no gdb on PATH")
    return known[0]


def _kept(given: argparse.Namespace, made: World) -> Dict[int, Outcome]:
    """What the state file has. Its first line says of what seed and files."""
    path, header = Path(given.resume), {"seed": given.seed, "world": made.digest}
    if not path.exists():
        path.write_text(json.dumps(header) + "\n")
    lines = path.read_text().splitlines()
    if json.loads(lines[0]) != header:
        raise SystemExit(f"fuzz: {path} is of another seed or other programs: {lines[0]}")
    found = {}
    for line in lines[1:]:
        try:
            one = Outcome(**json.loads(line))
        except (ValueError, TypeError):
            continue  # cut when the run before was killed: it is done again
        found[one.case] = one
    return found


def outcomes(made: World, seed: int, cases: List[int], jobs: int = 1) -> Iterator[Outcome]:
    """What comes of the cases, as they end; their files go away."""

    def one(case: int) -> Outcome:
        with tempfile.TemporaryDirectory(prefix="addrspace-fuzz-", ignore_cleanup_errors=True) as folder:
            return carry_out(made, seed, case, Path(folder))

    with ThreadPoolExecutor(jobs) as pool:
        try:
            yield from pool.map(one, cases)
        finally:
            pool.shutdown(cancel_futures=True)


def _tell(outcome: Outcome, number: int, count: int, failed: int, state: TextIO) -> None:
    """One more is done."""
    state.write(outcome.line())
    state.flush()
    if outcome.failures:
        print(f"case {outcome.case} ({outcome.kind}): {outcome.damage[:300]}\n  {outcome.asked}")
        for failure in outcome.failures:
            print(f"  FAILED {failure}")
        sys.stdout.flush()
    if sys.stderr.isatty():
        print(f"\r{number}/{count}, {failed} failures", end="", file=sys.stderr, flush=True)
    elif number % 100 == 0:
        print(f"{number}/{count}, {failed} failures", file=sys.stderr, flush=True)


def replay(made: World, seed: int, case: int) -> int:
    """One case, with everything it has to show."""
    folder = Path(tempfile.mkdtemp(prefix=f"addrspace-fuzz-{case}-"))
    outcome = carry_out(made, seed, case, folder)
    for name in ("stdout", "stderr", "results"):
        if (folder / name).exists():
            text = (folder / name).read_bytes()[:20_000].decode("utf-8", "backslashreplace")
            print(f"--- {name}\n{text}")
    print(
        f"--- case {case}: {outcome.damage}\n{outcome.asked}\n{outcome.seconds} s, {outcome.peak >> 20} MiB"
    )
    print(f"files: {folder} (the command line is in {folder / 'command'})")
    for failure in outcome.failures:
        print(f"FAILED {failure}")
    return 1 if outcome.failures else 0


if __name__ == "__main__":
    sys.exit(main())
