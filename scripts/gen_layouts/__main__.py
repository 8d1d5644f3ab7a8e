"""scripts/gen-layouts: builds a small program with a toolchain for each GOARCH and writes what DWARF says."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple

import toolchains
from harness.toolchains import go_environment

from gen_layouts.dwarf import Tables, read_program
from gen_layouts.wanted import ARCHES, EXPERIMENTS, PROGRAM

FOLDER = Path(__file__).parents[2] / "addrspace_gdb" / "goruntime" / "layouts"
# The first and a late release of each minor version: the table stands for both and all between them.
RELEASES = (
    ("1.19", "1.19.13"),
    ("1.20", "1.20.14"),
    ("1.21.0", "1.21.13"),
    ("1.22.0", "1.22.10"),
    ("1.23.0", "1.23.9"),
    ("1.24.0", "1.24.11"),
    ("1.25.0", "1.25.5"),
    ("1.26.0", "1.26.6"),
    ("1.27.0", "1.27.3"),
)
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
    status = 0
    for first, last in RELEASES:
        minor = ".".join(last.split(".")[:2])
        if options.minors and minor not in options.minors:
            continue
        if options.experiments:
            _tell_experiments(last)
            continue
        text = table_of(minor, first, last)
        path = FOLDER / f"go{minor}.json"
        same = path.exists() and path.read_text() == text
        if not options.check:
            path.write_text(text)
        elif not same:
            status = 1
        print(f"{path.name}: {'same' if same else 'changed'}", flush=True)
    return status


def table_of(minor: str, first: str, last: str) -> str:
    """The JSON text of a minor version's table. ValueError if its releases differ."""
    number = int(minor.split(".")[1])
    builds = [Build(arch, "") for arch in ARCHES]
    builds += [Build(arch, e) for e in EXPERIMENTS.get(number, ()) for arch in ARCHES]
    read = {(last, build): None for build in builds}
    read.update({(first, Build(arch, "")): None for arch in _BOTH_ENDS})
    with ThreadPoolExecutor(2) as pool:
        found: Dict[Tuple[str, Build], Tables] = dict(
            zip(read, pool.map(lambda key: program_of(key[0], key[1]), read))
        )
    for arch in _BOTH_ENDS:
        old, new = found[first, Build(arch, "")], found[last, Build(arch, "")]
        _tell_differences(f"{first} and {last} on {arch}", old, new)
    return written(minor, [first, last], {build: found[last, build] for build in builds})


def program_of(version: str, build: Build) -> Tables:
    """What a program of that version says. FetchError, CalledProcessError."""
    go = toolchains.fetch(version) / "bin" / "go"
    environment = go_environment()
    environment.update(GOARCH=build.arch, GOOS="linux", CGO_ENABLED="0", GOEXPERIMENT=build.experiment)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "main.go").write_text(PROGRAM)
        command = [str(go), "build", "-o", "program", "main.go"]
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
    folder = toolchains.fetch(version) / "src" / "internal" / "goexperiment"
    names = sorted(p.name[len("exp_") : -len("_on.go")] for p in folder.glob("exp_*_on.go"))
    usual = program_of(version, Build("amd64", ""))
    for name in names:
        for setting in (name, f"no{name}"):
            try:
                _tell_differences(f"{version}: {setting}", usual, program_of(version, Build("amd64", setting)))
            except subprocess.CalledProcessError:
                print(f"{version}: {setting}: cannot be built", file=sys.stderr)


def written(minor: str, releases: Sequence[str], found: Dict[Build, Tables]) -> str:
    """One line a type: its text for each group of builds that share it."""
    groups = _groups(found)
    types = {n: _shared({b: t.types[n] for b, t in found.items() if n in t.types}, groups) for n in _all(found)}
    names = sorted({name for tables in found.values() for name in tables.variables})
    variables = {
        n: _shared({b: t.variables[n] for b, t in found.items() if n in t.variables}, groups) for n in names
    }
    some = found[Build("amd64", "")]
    lines = [f'"go": {json.dumps(minor)}', f'"releases": {json.dumps(list(releases))}']
    lines.append(f'"groups": {json.dumps(groups)}')
    lines.append(f'"experiments": {json.dumps(sorted({b.experiment for b in found if b.experiment}))}')
    lines.append(f'"size_classes": {json.dumps(some.sizes)}')
    lines.append(f'"wait_reasons": {json.dumps(some.reasons)}')
    for title, part in (("variables", variables), ("types", types)):
        rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(texts)}" for name, texts in part.items())
        lines.append(f'"{title}": {{\n{rows}\n}}')
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
