# Sourced by gdb: `source /path/to/addrspace_gdb/load.py`. Prints nothing when all is well, else one line.
#
# A gdb without Python reads this file as gdb commands. For it the next lines complete a word (to
# nothing), print the reason, and open a block that the end of the file closes; for Python they are
# one string. So nothing above them may be Python only, a __future__ import neither, and this file
# must be readable for Pythons older than the package needs.
complete = """
echo addrspace-gdb: this gdb has no Python; one that has it: apt-get install gdb, or pip install gdb-for-pwndbg\n
if 0
"""  # noqa: E501

import glob
import importlib
import importlib.util
import os
import re
import shlex
import sys
from typing import Optional

import gdb

# gdb runs this file in its __main__ module, which belongs to the user; hence the names' prefix.


def _addrspace_gdb_too_old() -> Optional[str]:
    """Why this gdb, or the Python in it, is too old; None if it is not."""
    newer = "take a newer gdb from your distribution, or: pip install gdb-for-pwndbg"
    version = re.search(r"(\d+)\.\d+", gdb.VERSION)
    if version and int(version.group(1)) < 12:
        return f"gdb {gdb.VERSION} is too old, 12 or newer is needed; {newer}"
    if sys.version_info < (3, 9):  # noqa: UP036
        python = ".".join(str(part) for part in sys.version_info[:2])
        return f"the Python {python} in this gdb is too old, 3.9 or newer is needed; {newer}"
    return None


def _addrspace_gdb_missing(parent: str) -> Optional[str]:
    """Which dependencies cannot be found, and how to get them for a package in the folder `parent`."""
    # Module name, and the distribution that brings it: as in pyproject.toml.
    needed = {"pygments": "pygments<2.22", "tabulate": "tabulate<0.10", "elftools": "pyelftools<0.33"}
    venv = os.path.join(glob.escape(parent), ".venv", "lib", "python3*", "site-packages")
    length = len(sys.path)
    # Last on the path, so that what gdb brings itself wins.
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
    return f"missing in gdb's Python: {', '.join(missing)}; to get what is missing run: {how}"


def _addrspace_gdb_load(this_file: str) -> Optional[str]:
    """Register the commands of the package that `this_file` is in; the reason if that cannot be."""
    package = os.path.dirname(os.path.realpath(this_file))
    if "addrspace_gdb.debugger.gdb.commands" in sys.modules:
        present = os.path.dirname(os.path.realpath(sys.modules["addrspace_gdb"].__file__ or ""))
        return None if present == package else f"already loaded from {present}"
    problem = _addrspace_gdb_too_old() or _addrspace_gdb_missing(os.path.dirname(package))
    if problem:
        return problem
    # By its place, not by its name: another copy may come first on the path.
    spec = importlib.util.spec_from_file_location("addrspace_gdb", os.path.join(package, "__init__.py"))
    if spec is None or spec.loader is None:
        return f"{package} is not a Python package"
    sys.modules["addrspace_gdb"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    from addrspace_gdb.debugger.gdb import commands

    commands.register()
    return None


def _addrspace_gdb_source(this_file: str) -> None:
    """Load, and tell any failure in one line on stderr; after it, sourcing may be tried again."""
    try:
        problem = _addrspace_gdb_load(this_file)
    except Exception as error:  # noqa: BLE001  whatever it is, it is said in one line
        problem = f"cannot load: {type(error).__name__}: {error}"
        for name in [name for name in sys.modules if name.partition(".")[0] == "addrspace_gdb"]:
            del sys.modules[name]
    if problem:
        gdb.write("addrspace-gdb: " + " ".join(problem.split()) + "\n", gdb.STDERR)


_addrspace_gdb_source(__file__)
del complete
