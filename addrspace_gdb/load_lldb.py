"""Imported by lldb: `command script import /path/to/addrspace_gdb/load_lldb.py`.

Prints nothing when all is well, else one line.
"""

import glob
import importlib
import importlib.util
import os
import shlex
import sys
from typing import Any, Optional

_OLDEST = 14


def _too_old(version: str) -> Optional[str]:
    """Why this lldb, or the Python in it, is too old; None if it is not."""
    newer = "take a newer one from your distribution, or: pip install lldb-for-pwndbg"
    words = version.split()
    number = words[2].partition(".")[0] if words[:2] == ["lldb", "version"] and len(words) > 2 else ""
    if number.isdecimal() and int(number) < _OLDEST:
        return f"lldb {words[2]} is too old, {_OLDEST} or newer is needed; {newer}"
    if sys.version_info < (3, 9):  # noqa: UP036
        python = ".".join(str(part) for part in sys.version_info[:2])
        return f"the Python {python} in this lldb is too old, 3.9 or newer is needed; {newer}"
    return None


def _without_its_module(debugger: Any) -> Optional[str]:
    """Why the objects that lldb hands over have no methods, and what helps; None if they have: Debian's 14
    looks for its own Python module in a folder that there is not."""
    if hasattr(debugger, "GetVersionString"):
        return None
    root = os.path.dirname(os.path.dirname(os.path.realpath("/proc/self/exe")))
    python = ".".join(str(part) for part in sys.version_info[:2])
    place = os.path.join(root, "lib", f"python{python}", "dist-packages")
    line = "this lldb's Python does not find lldb's own module"
    return f"{line}; start lldb with PYTHONPATH={shlex.quote(place)}" if os.path.isdir(place) else line


def _missing(parent: str) -> Optional[str]:
    """Which dependencies cannot be found, and how to get them for a package in the folder `parent`."""
    # Module name, and the distribution that brings it: as in pyproject.toml.
    needed = {"pygments": "pygments<2.22", "tabulate": "tabulate<0.10", "elftools": "pyelftools<0.33"}
    venv = os.path.join(glob.escape(parent), ".venv", "lib", "python3*", "site-packages")
    length = len(sys.path)
    # Last on the path, so that what lldb brings itself wins.
    sys.path.extend(folder for folder in [parent, *glob.glob(venv)] if folder not in sys.path)
    importlib.invalidate_caches()
    missing = [module for module in needed if importlib.util.find_spec(module) is None]
    if not missing:
        return None
    del sys.path[length:]
    setup = os.path.join(parent, "scripts", "demo")
    if os.path.exists(setup):
        how = shlex.quote(setup)
    else:
        wanted = " ".join(shlex.quote(needed[module]) for module in missing)
        how = f"python3 -m pip install --target {shlex.quote(parent)} {wanted}"
    return f"missing in lldb's Python: {', '.join(missing)}; to get what is missing run: {how}"


def _load(debugger: Any, version: str) -> Optional[str]:
    """Register the commands of the package that this file is in; the reason if that cannot be."""
    package = os.path.dirname(os.path.realpath(__file__))
    if "addrspace_gdb.debugger.lldb.commands" not in sys.modules:
        problem = _too_old(version) or _missing(os.path.dirname(package))
        if problem:
            return problem
        # By its place, not by its name: another copy may come first on the path.
        spec = importlib.util.spec_from_file_location("addrspace_gdb", os.path.join(package, "__init__.py"))
        if spec is None or spec.loader is None:
            return f"{package} is not a Python package"
        sys.modules["addrspace_gdb"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    present = os.path.dirname(os.path.realpath(sys.modules["addrspace_gdb"].__file__ or ""))
    if present != package:
        return f"already loaded from {present}"
    from addrspace_gdb.debugger.lldb import commands

    commands.register(debugger)
    return None


def __lldb_init_module(debugger: Any, _internal: Any) -> None:
    """Load, and tell any failure in one line on stderr; after it, the import may be tried again."""
    try:
        problem = _without_its_module(debugger) or _load(debugger, str(debugger.GetVersionString()))
    except Exception as error:  # noqa: BLE001  whatever it is, it is said in one line
        problem = f"cannot load: {type(error).__name__}: {error}"
        for name in [name for name in sys.modules if name.partition(".")[0] == "addrspace_gdb"]:
            del sys.modules[name]
    if problem:
        sys.stderr.write("addrspace-gdb: " + " ".join(problem.split()) + "\n")
