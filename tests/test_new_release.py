"""What is kept by hand about the runtime, against the source of the newest Go at hand.

A new release shifts numbers and renames functions. Its toolchain has the source in it, so this is read there,
not remembered: each test names what the source contradicts.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Callable, Dict, Iterator, NamedTuple, Set, Tuple

import pytest
from harness.toolchains import NEWEST, Unavailable, toolchain, toolchains

from addrspace_gdb.goruntime import funcid, moduledata, proc, specials, versions
from addrspace_gdb.goruntime.layouts import known_minors, layouts_of
from addrspace_gdb.goruntime.stripped import small_checks
from addrspace_gdb.goruntime.stripped import variables as roots

# Names that the tables keep for older releases, and the N of the Go 1.N that did without them.
GONE = {
    "extraMCount": 21,
    "fingRunning": 20,
    "tickspersecond": 22,
    "(*synctestGroup).changegstatus": 25,
    "runfinq": 25,
    "parsedebugvars": 25,
    "typelinks": 27,
    "itablinks": 27,
}
# Those of newer releases, and the N of the Go 1.N that brought them.
SINCE = {
    **dict.fromkeys(("gcrash", "ticksPerSecond"), 22),
    **dict.fromkeys(("isIdleInSynctest", "vgetrandomAlloc"), 24),
    **dict.fromkeys(("bubbleGen", "gcCleanups", "runFinalizers"), 25),
    "epclntab": 26,
    **dict.fromkeys(("typedesclen", "itaboffset", "itabsize"), 27),
}
CONSTANTS = {
    "itabInitSize": small_checks._FEWEST_ITABS,
    "capacityPerProc": small_checks._CPU_OF_P,
    "sweepDrainedMask": small_checks._DRAINED,
    "_Gscan": proc.GSCAN,
}


class Source(NamedTuple):
    """The runtime's source in one release."""

    version: str
    minor: int
    text: str  # all of package runtime but its tests, and internal/abi/symtab.go

    def block(self, begins: str, ends: str = "}") -> str:
        """What stands between the lines `begins`, a pattern, and `ends`; empty if there is no such thing."""
        found = re.search(rf"^{begins}\n(.*?)^{re.escape(ends)}$", self.text, re.MULTILINE | re.DOTALL)
        return found.group(1) if found else ""

    def is_there(self, name: str) -> bool:
        """Whether this release is to have what the tables keep under `name`."""
        return SINCE.get(name, 0) <= self.minor < GONE.get(name, 1 << 30)


def _read(goroot: Path, version: str) -> Source:
    runtime = goroot / "src" / "runtime"
    files = [path for path in sorted(runtime.glob("*.go")) if not path.name.endswith("_test.go")]
    files.append(goroot / "src" / "internal" / "abi" / "symtab.go")
    minor = int(version.split(".")[1])
    return Source(version, minor, "\n".join(path.read_text(encoding="utf-8") for path in files))


@pytest.fixture(scope="module")
def source() -> Source:
    """That of the newest toolchain on this machine, the newest supported one or PATH's if it is newer."""
    known = toolchains()
    try:
        known.append(toolchain(NEWEST))
    except Unavailable as problem:
        if not known:
            pytest.skip(str(problem))
    newest = max(known, key=lambda go: go.release)
    return _read(newest.goroot, newest.version)


def _without_comment(line: str) -> str:
    return line.partition("//")[0].strip()


def _numbered(source: Source, first: str) -> Dict[str, int]:
    """The constants that iota counts, from the one called `first` on, which is 0."""
    block = re.search(rf"^\t{first}\b.*?= iota.*?^\)$", source.text, re.MULTILINE | re.DOTALL)
    lines = block.group(0).split("\n") if block else []
    names = [re.match(r"\w+", _without_comment(line)) for line in lines]
    return {name.group(): number for number, name in enumerate(filter(None, names))}


def status_contradictions(source: Source) -> Iterator[str]:
    """proc.STATUS, proc.GSCAN and the numbers beside them: runtime2.go and traceback.go."""
    numbers = _numbered(source, "_Gidle")
    words = re.findall(r'(_G\w+): *"(.*)",', source.block(r"var gStatusStrings = \[\.\.\.\]string\{"))
    theirs = {numbers.get(name, -1): word for name, word in words}
    for number in sorted({*theirs, *proc.STATUS}):
        if theirs.get(number) != proc.STATUS.get(number):
            ours, word = proc.STATUS.get(number), theirs.get(number)
            yield f"proc.STATUS[{number}] is {ours!r}, in the source {word!r}"
    named = {
        "_Grunning": proc.RUNNING,
        "_Gsyscall": proc.SYSCALL,
        "_Gwaiting": proc.WAITING,
        "_Gdead": proc.DEAD,
        "_Gcopystack": proc.COPYSTACK,
        "_Gleaked": proc.LEAKED,
        "_Gdeadextra": proc.DEAD_EXTRA,
    }
    for name, number in named.items():
        if numbers.get(name) != number:
            yield f"proc: {name} is {number}, in the source {numbers.get(name)}"


def reason_contradictions(source: Source) -> Iterator[str]:
    """The reasons to wait in the table of the version (layouts/): runtime2.go."""
    numbers = _numbered(source, "waitReasonZero")
    words = source.block(r"var waitReasonStrings = \[\.\.\.\]string\{")
    theirs = {numbers.get(name, -1): word for name, word in re.findall(r'(\w+): *"(.*)",', words)}
    layouts = layouts_of(f"go{source.version}", "amd64")[0]
    ours = dict(enumerate(layouts.wait_reasons)) if layouts is not None else {}
    for number in sorted({*theirs, *ours}):
        if theirs.get(number) != ours.get(number):
            yield f"wait reason {number} is {ours.get(number)!r}, in the source {theirs.get(number)!r}"


def funcid_contradictions(source: Source) -> Iterator[str]:
    """funcid.kinds: internal/abi/symtab.go."""
    numbers = _numbered(source, "FuncIDNormal")
    usual = {"FuncIDNormal": funcid.NORMAL, "FuncIDWrapper": funcid.WRAPPER}
    theirs = [usual.get(name, name.replace("FuncID_", "")) for name in numbers]
    ours = list(funcid.kinds(source.minor))
    for number in range(max(len(theirs), len(ours))):
        one, other = ours[number : number + 1], theirs[number : number + 1]
        if one != other:
            yield f"funcid: {number} is {one}, in the source {other}"


def module_contradictions(source: Source) -> Iterator[str]:
    """The fields of moduledata that are read: symtab.go."""
    fields: Dict[str, str] = {}
    for line in source.block(r"type moduledata struct \{").split("\n"):
        found = re.fullmatch(r"((?:\w+, )*\w+) +(\S.*)", _without_comment(line))
        if found:
            fields.update(dict.fromkeys(found.group(1).split(", "), found.group(2)))
    kinds = (
        (moduledata._SCALARS, r"uintptr|uint8|bool|\*\w+", "a number"),
        (moduledata._SLICES, r"\[\].+", "a slice"),
        (moduledata._STRINGS, r"string", "a string"),
    )
    for names, form, kind in kinds:
        for name in names:
            if source.is_there(name) != (name in fields):
                yield f"moduledata: {name} is {'not ' if name not in fields else ''}in the source"
            elif name in fields and not re.fullmatch(form, fields[name]):
                yield f"moduledata: {name} is read as {kind}, in the source it is {fields[name]}"


def _functions(source: Source) -> Set[str]:
    """Names of package runtime's functions as the linker writes them, and the names it lends to others."""
    form = r"^func (?:\((?:\w+ )?(\*?)(\w+)(?:\[\w+\])?\) )?(\w+)"
    found = {
        f"({star}{type_}).{name}" if star else f"{type_}.{name}" if type_ else name
        for star, type_, name in re.findall(form, source.text, re.MULTILINE)
    }
    return found | set(re.findall(r"^//go:linkname \w+ (\S+)", source.text, re.MULTILINE))


def _variables(source: Source) -> Set[str]:
    """Names of package runtime's variables."""
    names = re.findall(r"^var ((?:\w+, )*\w+)", source.text, re.MULTILINE)
    for block in re.findall(r"^var \(\n(.*?)^\)", source.text, re.MULTILINE | re.DOTALL):
        names += re.findall(r"^\t((?:\w+, )*\w+)", block, re.MULTILINE)
    return {name for group in names for name in group.split(", ")}


def root_contradictions(source: Source) -> Iterator[str]:
    """The variables that are found without symbols, and the functions that lead to them (variables.py)."""
    functions, variables = _functions(source), _variables(source)
    tables: Dict[str, Tuple[str, ...]] = {**roots.WHOLE, **roots.PARTS}
    tables.update({name: users for name, (_, users) in roots.FIELDS.items()})
    for name in tables:
        if source.is_there(name) != (name in variables):
            yield f"roots: the source has {'the' if name in variables else 'no'} variable {name}"
    for table in (tables, roots.OTHERS):
        for name, users in table.items():
            for user in users if source.is_there(name) else ():
                declared = re.sub(r"(\.func\d+)+$", "", user)
                if source.is_there(user) != (declared in functions):
                    has = "the" if declared in functions else "no"
                    yield f"roots: {name}: the source has {has} function {user}"


def _number(text: str) -> float:
    """The value of a constant; -1 if it is written in another way than they are today."""
    shift = re.fullmatch(r"1 << (\d+)", text)
    if shift:
        return 1 << int(shift.group(1))
    if re.fullmatch(r"0x[0-9a-f]+", text):
        return int(text, 16)
    return float(text) if re.fullmatch(r"\d+(e\d+)?", text) else -1


def constant_contradictions(source: Source) -> Iterator[str]:
    """Constants that the checks of stripped programs rely on."""
    for name, ours in CONSTANTS.items():
        found = re.search(rf"^(?:const |\t){name} *= (.+)", source.text, re.MULTILINE)
        text = _without_comment(found.group(1)) if found else ""
        if _number(text) != ours:
            yield f"{name} is {ours}, in the source {text or 'nothing'}"
    backlog = re.search(r"^\tprintBacklog +\[(\d+)\]byte", source.text, re.MULTILINE)
    if backlog is None or int(backlog.group(1)) != small_checks._BACKLOG:
        yield f"printBacklog has {small_checks._BACKLOG} bytes, in the source {backlog and backlog.group(1)}"


def special_contradictions(source: Source) -> Iterator[str]:
    """specials.FROM_25: mheap.go."""
    found = dict(re.findall(r"^\t_KindSpecial(\w+) *= (\d+)$", source.text, re.MULTILINE))
    theirs = {int(number): name.lower() for name, number in found.items()}
    ours = {n: alloc.lower()[len("special") : -len("alloc")] for n, (_, alloc) in specials.FROM_25.items()}
    for number in sorted({*theirs, *ours}):
        if theirs.get(number) != ours.get(number) and not (number == 10 and source.minor < 26):
            yield f"special {number} is {ours.get(number)!r}, in the source {theirs.get(number)!r}"


Check = Callable[[Source], Iterator[str]]
CHECKS = (
    status_contradictions,
    reason_contradictions,
    funcid_contradictions,
    module_contradictions,
    root_contradictions,
    constant_contradictions,
    special_contradictions,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_newest_source_contradicts_no_table(check: Check, source: Source) -> None:
    found = list(check(source))
    assert not found, f"Go {source.version}:\n" + "\n".join(found)


# What a release might do, and what must be said then.
CHANGES: Dict[str, Tuple[Check, str, str, str]] = {
    "a status added": (
        status_contradictions,
        "\t_Gpreempted // 9",
        "\t_Gpreempted // 9\n\t_Gresting",
        "proc.STATUS[10] is 'leaked', in the source None",
    ),
    "a status in other words": (
        status_contradictions,
        '_Gwaiting:   "waiting"',
        '_Gwaiting:   "parked"',
        "proc.STATUS[4] is 'waiting', in the source 'parked'",
    ),
    "a reason to wait": (
        reason_contradictions,
        "\twaitReasonIOWait  ",
        "\twaitReasonNew\n\twaitReasonIOWait  ",
        "wait reason 2 is 'IO wait', in the source None",
    ),
    "a special function": (
        funcid_contradictions,
        "\tFuncID_gogo\n",
        "\tFuncID_going\n\tFuncID_gogo\n",
        "funcid: 9 is ['gogo'], in the source ['going']",
    ),
    "a field gone": (module_contradictions, "pctab ", "pcTab ", "moduledata: pctab is not in the source"),
    "a field of another type": (
        module_contradictions,
        "pluginpath string",
        "pluginpath *byte",
        "moduledata: pluginpath is read as a string, in the source it is *byte",
    ),
    "a function renamed": (
        root_contradictions,
        "\nfunc allgadd(",
        "\nfunc addToAllgs(",
        "roots: allglen: the source has no function allgadd",
    ),
    "a variable gone": (
        root_contradictions,
        "allglen uintptr",
        "lenOfAllgs uintptr",
        "roots: the source has no variable allglen",
    ),
    "a constant": (
        constant_contradictions,
        "itabInitSize = 512",
        "itabInitSize = 256",
        "itabInitSize is 512, in the source 256",
    ),
    "an array": (
        constant_contradictions,
        "[512]byte",
        "[1024]byte",
        "printBacklog has 512 bytes, in the source 1024",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_contradiction_is_named(change: str, source: Source) -> None:
    check, old, new, wanted = CHANGES[change]
    assert old in source.text, f"Go {source.version} has no {old!r}: change the example"
    assert wanted in list(check(source._replace(text=source.text.replace(old, new))))


def test_every_release_has_its_table() -> None:
    assert known_minors() == list(range(versions.OLDEST, versions.NEWEST + 1))
    for release in versions.RELEASES:
        for version in (release.first, release.last):
            layouts, guessed = layouts_of(f"go{version}", "amd64")
            assert layouts is not None and not guessed
            assert layouts._table["releases"] == [release.first, release.last]
            assert tuple(layouts._table["experiments"]) == tuple(sorted(release.experiments))


def test_the_readme_names_the_releases() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert f"| Go | 1.{versions.OLDEST} to 1.{versions.NEWEST}" in readme
