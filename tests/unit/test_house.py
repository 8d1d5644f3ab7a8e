"""The house's walls: an import runs down the floors, never up, and never in a circle.

Every import counts, those in functions and under TYPE_CHECKING too: who is only named is known as well.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Set

ROOT = Path(__file__).parents[2]
PACKAGE = "addrspace_gdb"

# From the roof to the ground: a file imports from its own floor and from those below.
FLOORS = (
    "load.py",
    "load_lldb.py",
    "__main__.py",
    "worker",  # a process of its own: it is started, not imported
    "debugger/gdb",
    "debugger/lldb",
    "debugger/shared",
    "shell",
    "shell/crash",
    "debugger/direct",
    "commands",
    "views/web",
    "views/documents",
    "views",
    "views/kit",
    "space/moments",
    "space/where",
    "space/profiles",
    "space/rss",
    "space/diagram",
    "space/goroutines",
    "space/counters",
    "space/graph",
    "space/heap",
    "space/reading",
    "space/regions",
    "goruntime/stripped",
    "goruntime",
    "process/dwarf",
    "process/glibc",
    "process",
    "target",
    "common",
    "",  # the package itself: its name and version
)
# Modules that only these may import.
KEPT_IN = {
    "gdb": ("debugger/gdb", "load.py"),
    "lldb": ("debugger/lldb",),
    "numpy": ("worker",),
    "numba": ("worker",),
}
ROOMS = (
    "worker",
    "debugger",
    "shell",
    "commands",
    "views",
    "space",
    "goruntime",
    "process",
    "target",
    "common",
)


class Import(NamedTuple):
    """`file` imports `what`; `module` is the file of the package that it is, "" for one from outside."""

    file: str
    line: int
    what: str
    module: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}"


class House:
    """The Python files of a package and what they import; files are paths within the package."""

    def __init__(self, package: Path) -> None:
        self.package = package
        self.files = sorted(str(path.relative_to(package)) for path in package.rglob("*.py"))
        self._modules = {self._dotted(file): file for file in self.files}
        self._rooms = {self._folder(file) for file in self.files if Path(file).name != "__init__.py"}
        self.imports = [found for file in self.files for found in self._imports(file)]

    def _dotted(self, file: str) -> str:
        parts = [self.package.name, *Path(file).with_suffix("").parts]
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @staticmethod
    def _folder(file: str) -> str:
        return "/".join(Path(file).parts[:-1])

    def room(self, file: str) -> str:
        """The floor's name. A folder with no other module is a module itself (goruntime/layouts)."""
        if file in FLOORS:
            return file
        folder = self._folder(file)
        return folder if folder in self._rooms else self._folder(folder)

    def _imports(self, file: str) -> Iterator[Import]:
        for node in ast.walk(ast.parse((self.package / file).read_text(encoding="utf-8"))):
            for name in self._named(node, file):
                module = self._module(name)
                if module != file:
                    yield Import(file, getattr(node, "lineno", 0), name, module)

    def _named(self, node: ast.AST, file: str) -> List[str]:
        """The dotted names that a statement, or a call of import_module, imports."""
        if isinstance(node, ast.Import):
            return [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            above = [self.package.name, *Path(file).parts][: -node.level] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            return [f"{base}.{alias.name}" for alias in node.names]
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
            constants = [n.value for n in ast.walk(node.args[0]) if isinstance(n, ast.Constant)]
            return [name.rstrip(".") for name in constants[:1] if isinstance(name, str)]
        return []

    def _module(self, name: str) -> str:
        """The file that a dotted name is in: it may be that of something in a module."""
        while name:
            if name in self._modules:
                return self._modules[name]
            name = name.rpartition(".")[0]
        return ""

    def faults(self) -> List[str]:
        """Every wall that does not hold, one line each."""
        return [*self._without_floor(), *self._up(), *self._escaped(), *self._circles()]

    def _without_floor(self) -> Iterator[str]:
        for file in self.files:
            if self.room(file) not in FLOORS:
                yield f"{file}: no floor is called {self.room(file)}"

    def _up(self) -> Iterator[str]:
        floor = {name: number for number, name in enumerate(FLOORS)}
        for one in self.imports:
            ours, theirs = self.room(one.file), self.room(one.module)
            if one.module and ours in floor and theirs in floor and floor[theirs] < floor[ours]:
                yield f"{one}: {ours or PACKAGE} stands below {theirs}"

    def _escaped(self) -> Iterator[str]:
        for one in self.imports:
            allowed = KEPT_IN.get(one.what.split(".")[0]) if not one.module else None
            if allowed is not None and self.room(one.file) not in allowed:
                yield f"{one}: only {' and '.join(allowed)} may import this"

    def _circles(self) -> Iterator[str]:
        """Files that cannot be put into an order, each with its imports of the others."""
        left: Dict[str, Set[str]] = {file: set() for file in self.files}
        for one in self.imports:
            if one.module:
                left[one.file].add(one.module)
        while True:
            free = {file for file, needed in left.items() if not needed & set(left)}
            free |= set(left) - set().union(*left.values()) if left else set()
            if not free:
                break
            left = {file: needed for file, needed in left.items() if file not in free}
        for one in self.imports:
            if one.file in left and one.module in left:
                yield f"{one}: part of a circle of files"


def test_imports_run_down_and_in_no_circle() -> None:
    house = House(ROOT / PACKAGE)
    assert len(house.files) > 200 and len(house.imports) > 1000
    assert not house.faults(), "\n".join(house.faults())


def test_every_room_is_where_the_floors_say() -> None:
    house = House(ROOT / PACKAGE)
    assert house.room("goruntime/layouts/__init__.py") == "goruntime"
    assert house.room("commands/__init__.py") == "commands"
    assert {house.room(file) for file in house.files} == set(FLOORS)


def test_texts_name_the_rooms_in_this_order() -> None:
    tops = [floor.split("/")[0] for floor in FLOORS if floor.split("/")[0] in ROOMS]
    assert sorted(set(tops)) == sorted(ROOMS) and list(dict.fromkeys(tops)) == list(ROOMS)
    told = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)/` \|", told, re.MULTILINE) == list(ROOMS)
    (space,) = re.findall(r"^\| `space/` \| .* from the ground: (.*)\. ", told, re.MULTILINE)
    in_space = [floor.partition("/")[2] for floor in FLOORS if floor.startswith("space/")]
    assert re.findall(r"`(\w+)`", space) == in_space[::-1]
    described = ast.get_docstring(ast.parse((ROOT / PACKAGE / "__init__.py").read_text(encoding="utf-8")))
    assert described is not None and re.findall(r"``(\w+)``", described) == list(ROOMS)


def _faults(package: Path, files: Dict[str, str]) -> List[str]:
    """The faults of a made-up package; folders get their __init__.py."""
    for name, text in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        for folder in [path.parent, *path.parent.parents]:
            if folder == package.parent:
                break
            (folder / "__init__.py").touch()
    return House(package).faults()


def _made(tmp_path: Path) -> Path:
    return tmp_path / PACKAGE


def test_a_sound_house_has_no_faults(tmp_path: Path) -> None:
    files = {
        "load.py": "import gdb\nfrom addrspace_gdb.debugger.gdb import commands\n",
        "debugger/gdb/commands.py": "import gdb\nfrom addrspace_gdb.space.heap.pages import page\n",
        "space/heap/pages.py": "from addrspace_gdb import __version__\nfrom ...process.elf import read\n",
        "process/elf.py": "import os\n",
        "goruntime/layouts/__init__.py": "from addrspace_gdb.goruntime.version import parse\n",
        "goruntime/version.py": "parse = int\n",
    }
    assert _faults(_made(tmp_path), files) == []


def test_an_import_that_runs_up_is_found_wherever_it_stands(tmp_path: Path) -> None:
    down = {
        "views/rss.py": "",
        "debugger/gdb/target.py": "",
        "space/where/fault.py": "",
        "common/sizes.py": "",
    }
    ups = {
        "process/top.py": "import os\n\nfrom addrspace_gdb.views.rss import draw\n",
        "process/function.py": "def f():\n    import addrspace_gdb.views.rss\n",
        "process/checking.py": "if TYPE_CHECKING:\n    from addrspace_gdb.debugger.gdb import target\n",
        "process/relative.py": "from ..views import rss\n",
        "process/called.py": "import importlib\nimportlib.import_module('addrspace_gdb.views.rss')\n",
        "space/heap/pages.py": "from addrspace_gdb.space.where.fault import fault\n",
        "common/words.py": "from addrspace_gdb.common import sizes\nimport addrspace_gdb.process.top\n",
    }
    found = _faults(_made(tmp_path), {**down, **ups})
    wanted = {
        "process/top.py:3",
        "process/function.py:2",
        "process/checking.py:2",
        "process/relative.py:1",
        "process/called.py:2",
        "space/heap/pages.py:1",
        "common/words.py:2",
    }
    assert {fault.split(": ")[0] for fault in found} == wanted
    assert all(" stands below " in fault for fault in found)


def test_a_circle_of_files_on_one_floor_is_found(tmp_path: Path) -> None:
    files = {
        "process/one.py": "from addrspace_gdb.process.two import b\n",
        "process/two.py": "def f():\n    from addrspace_gdb.process import three\n",
        "process/three.py": "if TYPE_CHECKING:\n    from addrspace_gdb.process.one import a\n",
        "process/user.py": "from addrspace_gdb.process.one import a\n",
        "process/used.py": "",
    }
    found = _faults(_made(tmp_path), files)
    assert [fault.split(": ")[0] for fault in found] == [
        "process/one.py:1",
        "process/three.py:2",
        "process/two.py:2",
    ]
    assert all("circle" in fault for fault in found)


def test_what_is_kept_in_one_room_is_found_elsewhere(tmp_path: Path) -> None:
    files = {
        "debugger/gdb/target.py": "import gdb\nimport gdb.unwinder\n",
        "commands/heap.py": "def run():\n    import gdb.types\n",
        "space/graph/kernels.py": "import numpy as np\n",
        "worker/kernels.py": "from numpy import zeros\n",
        "load.py": "import gdb\n",
        "shell/cli.py": "from addrspace_gdb.worker.kernels import run\n",
    }
    found = _faults(_made(tmp_path), files)
    assert [fault.split(": ")[0] for fault in found] == [
        "shell/cli.py:1",
        "commands/heap.py:2",
        "space/graph/kernels.py:1",
    ]


def test_a_folder_without_a_floor_is_found(tmp_path: Path) -> None:
    assert _faults(_made(tmp_path), {"attic/box.py": ""}) == [
        "attic/__init__.py: no floor is called attic",
        "attic/box.py: no floor is called attic",
    ]
