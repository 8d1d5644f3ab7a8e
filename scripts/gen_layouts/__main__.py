"""scripts/gen-layouts: builds a small program with a toolchain for each GOARCH and writes what DWARF says."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import toolchains
from harness.toolchains import go_environment

from addrspace_gdb.goruntime.versions import NEWEST, OLDEST, RELEASES, Release
from gen_layouts.dwarf import Tables, read_program
from gen_layouts.wanted import (
    ARCHES,
    BUBBLES,
    MODULE,
    NO_BUBBLES,
    NOT_SINCE,
    PROGRAM,
    SINCE,
    unknown_experiments,
)

FOLDER = Path(__file__).parents[2] / "addrspace_gdb" / "goruntime" / "layouts"
_SCALARS = ("groups", "experiments", "unknown_experiments", "size_classes", "wait_reasons")
Table = Dict[str, Any]
_BOTH_ENDS = ("amd64", "386")  # what is built with the first release too, to compare


class Build(NamedTuple):
    """A way to build: `experiment` is a setting of GOEXPERIMENT, empty for the default."""

    arch: str
    experiment: str

    def __str__(self) -> str:
        return f"{self.arch}+{self.experiment}" if self.experiment else self.arch


def main() -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="gen-layouts", description=__doc__)
    parser.add_argument("minors", metavar="1.N", nargs="*", help="only these versions (default: all)")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a table would change")
    parser.add_argument("--experiments", action="store_true", help="tell which experiments change a layout")
    options = parser.parse_args()
    if options.experiments:
        for release in RELEASES:
            if not options.minors or f"1.{release.minor}" in options.minors:
                _tell_experiments(release.last)
        return 0
    changed = False
    for minor in range(OLDEST, NEWEST + 1):
        if not options.minors or f"1.{minor}" in options.minors:
            changed = _write(minor, options.check) or changed
    return 1 if changed and options.check else 0


def _write(minor: int, check: bool) -> bool:
    """Write the tables of a minor version, or only look; whether one is different from before."""
    base: Optional[Table] = None
    changed = False
    for release in RELEASES:
        if release.minor != minor:
            continue
        table = table_of(release)
        path = FOLDER / (f"go1.{minor}.json" if base is None else f"go{release.first}.json")
        text = _text(table if base is None else _different(table, base))
        base = base or table
        same = path.exists() and path.read_text() == text
        changed = changed or not same
        if not check:
            path.write_text(text)
        print(f"{path.name}: {'same' if same else 'changed'}", flush=True)
    return changed


def table_of(release: Release) -> Table:
    """What the releases from the first to the last share. Tells if these two differ."""
    first, last = release.first, release.last
    builds = [Build(arch, "") for arch in ARCHES]
    builds += [Build(arch, e) for e in release.experiments for arch in ARCHES]
    read = {(last, build): None for build in builds}
    read.update({(first, Build(arch, "")): None for arch in _BOTH_ENDS})
    with ThreadPoolExecutor(2) as pool:
        found: Dict[Tuple[str, Build], Tables] = dict(
            zip(read, pool.map(lambda key: program_of(key[0], key[1]), read))
        )
    for arch in _BOTH_ENDS:
        old, new = found[first, Build(arch, "")], found[last, Build(arch, "")]
        _tell_differences(f"{first} and {last} on {arch}", old, new)
    return tabled(release, {build: found[last, build] for build in builds})


def program_of(version: str, build: Build) -> Tables:
    """What a program of that version says. FetchError, CalledProcessError."""
    go = toolchains.fetch(version, toolchains.OTHER) / "bin" / "go"
    environment = go_environment()
    environment.update(GOARCH=build.arch, GOOS="linux", CGO_ENABLED="0", GOEXPERIMENT=build.experiment)
    with tempfile.TemporaryDirectory() as folder:
        sources = {"main.go": PROGRAM, "go.mod": MODULE}
        sources.update(
            {"bubbles.go": BUBBLES, "none.go": NO_BUBBLES, "since.go": SINCE, "before.go": NOT_SINCE}
        )
        for name, text in sources.items():
            (Path(folder) / name).write_text(text)
        command = [str(go), "build", "-o", "program", "."]
        subprocess.run(command, cwd=folder, env=environment, check=True)
        return read_program(Path(folder) / "program")


def _tell_differences(what: str, one: Tables, other: Tables) -> None:
    names = [n for n in (*one.types, *other.types) if one.types.get(n) != other.types.get(n)]
    names += [n for n in (*one.variables, *other.variables) if one.variables.get(n) != other.variables.get(n)]
    if one.reasons != other.reasons or one.sizes != other.sizes:
        names.append("the constants")
    if names:
        print(f"{what} differ in {', '.join(sorted(set(names)))}", file=sys.stderr, flush=True)


def _tell_experiments(version: str) -> None:
    """Build with each experiment turned round, and tell which layouts change."""
    folder = toolchains.fetch(version, toolchains.OTHER) / "src" / "internal" / "goexperiment"
    names = sorted(p.name[len("exp_") : -len("_on.go")] for p in folder.glob("exp_*_on.go"))
    usual = program_of(version, Build("amd64", ""))
    for name in names:
        for setting in (name, f"no{name}"):
            try:
                _tell_differences(
                    f"{version}: {setting}", usual, program_of(version, Build("amd64", setting))
                )
            except subprocess.CalledProcessError:
                print(f"{version}: {setting}: cannot be built", file=sys.stderr)


def tabled(release: Release, found: Dict[Build, Tables]) -> Table:
    """The table of what several builds say: for each name its text for each group of builds that share it."""
    groups = _groups(found)
    names = sorted({name for tables in found.values() for name in tables.variables})
    some = found[Build("amd64", "")]
    return {
        "releases": [release.first, release.last],
        "groups": groups,
        "experiments": sorted({b.experiment for b in found if b.experiment}),
        "unknown_experiments": list(unknown_experiments(release.minor)),
        "size_classes": some.sizes,
        "wait_reasons": some.reasons,
        "variables": {
            n: _shared({b: t.variables[n] for b, t in found.items() if n in t.variables}, groups)
            for n in names
        },
        "types": {
            n: _shared({b: t.types[n] for b, t in found.items() if n in t.types}, groups) for n in _all(found)
        },
    }


def _different(table: Table, base: Table) -> Table:
    """What is different from `base`; a name that has gone has no text."""
    made: Table = {key: value for key, value in table.items() if key in ("releases", *_SCALARS)}
    for part in ("variables", "types"):
        new, old = table[part], base[part]
        made[part] = {n: new.get(n, {}) for n in sorted({*new, *old}) if new.get(n) != old.get(n)}
    return made


def _text(table: Table) -> str:
    """JSON with one line for each name."""
    lines = [f"{json.dumps(key)}: {json.dumps(table[key])}" for key in ("releases", *_SCALARS)]
    for part in ("variables", "types"):
        rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(texts)}" for name, texts in table[part].items())
        lines.append(f'"{part}": {{\n{rows}\n}}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _all(found: Dict[Build, Tables]) -> List[str]:
    return sorted({name for tables in found.values() for name in tables.types})


def _groups(found: Dict[Build, Tables]) -> Dict[str, str]:
    """Names for builds that mostly agree: all, and the usual ones of 32 and of 64 bits."""
    wide = [b for b in found if not b.experiment and found[b].variables["runtime.allglen"] == "u64"]
    narrow = [b for b in found if not b.experiment and b not in wide]
    return {"64": " ".join(map(str, wide)), "32": " ".join(map(str, narrow))}


def _shared(texts: Dict[Build, str], groups: Dict[str, str]) -> Dict[str, str]:
    """Group of builds to text. An experiment is named only where it differs from its architecture's usual."""
    builds: Dict[str, List[str]] = {}
    for build, text in texts.items():
        if build.experiment and texts.get(Build(build.arch, "")) == text:
            continue
        builds.setdefault(text, []).append(str(build))
    made = {}
    for text, names in builds.items():
        for group in ("64", "32"):
            members = groups[group].split()
            if set(members) <= set(names):
                names = [group] + [n for n in names if n not in members]
        made[" ".join(sorted(names))] = text
    return dict(sorted(made.items()))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (toolchains.FetchError, subprocess.CalledProcessError) as error:
        sys.exit(f"gen-layouts: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
