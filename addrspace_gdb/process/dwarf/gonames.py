"""Names of types: debug information has them with the paths of packages, Go prints them with their names.

"*net/http.Client" is "*http.Client". Arguments of a generic type keep their paths, also where Go prints them:
"atomic.Pointer[net/http.Client]".
"""

from __future__ import annotations

import re
from typing import Callable, Iterator, List, Mapping, Optional, Tuple

# A name with what stands before it, or anything else that is no part of one.
_PIECE = re.compile(r"[\w%~@+./·-]+|.", re.DOTALL)
_NAME = re.compile(r"[\w%~@+./·-]+")
_OF_PACKAGE = re.compile(r"((?:\[\.\.\.\])*)\w+(?=\.\w)")
_FIELD = re.compile(r"(?<=[{;] )[\w%~@+./·-]+(?= [^}\"])")  # of a struct; not what is embedded
_ESCAPED = re.compile(r"%([0-9a-f]{2})")  # objabi.PathToPrefix: a dot in the last part of a path, and quotes
_MAJOR = re.compile(r"v[0-9]+")  # the last element of a path that is no package's name
# What the compiler calls the entries of maps, map.group[K]V: no arguments follow, and no package is before.
_OF_MAPS = ("map", "map.bucket", "map.group", "noalg.map.group", "noalg.map.bucket")
_SHAPED = "go.shape."  # of the one body of code for several types; Go prints such arguments as [...]
_OF_MODULE = re.compile(r"\.v[0-9]+$")


class TypeNames:
    """Makes those of one program."""

    def __init__(self, packages: Mapping[str, str]) -> None:
        """`packages`: their names by path. What is not among them is called by the end of its path."""
        self._packages = {unescaped(path): name for path, name in packages.items()}

    def short(self, name: str) -> str:
        """As reflect.Type's String has it."""
        fields = _FIELD.sub(lambda match: split(match.group())[1], name)
        return "".join(_arguments(fields, self._qualified))

    def _qualified(self, piece: str) -> str:
        path, name = split(piece)
        if not path or not name:
            return piece
        path = unescaped(path)
        return f"{self._packages.get(path) or _guessed(path)}.{name}"


def without_shapes(name: str) -> str:
    """The name with [...] for arguments that code of a generic type knows by their form alone."""
    return "".join(_arguments(name, lambda piece: piece)) if _SHAPED in name else name


def unescaped(path: str) -> str:
    """The path of a package as it is imported."""
    return _ESCAPED.sub(lambda match: chr(int(match.group(1), 16)), path)


def split(name: str) -> Tuple[str, str]:
    """The path before a name, with what is escaped in it, and the rest; "" for no path."""
    folder, slash, rest = name.rpartition("/")
    package, dot, own = rest.partition(".")
    return (folder + slash + package, own) if dot else ("", name)


def package_of(name: str) -> Optional[str]:
    """The path of the package of a named type; None for one that has no name of its own."""
    before = name.partition("[")[0]
    if not _NAME.fullmatch(before) or before in _OF_MAPS:
        return None
    return unescaped(split(before)[0]) or None


def with_path(name: str, package: Optional[str]) -> str:
    """A named type, or an array of it, with the path of its package."""
    match = _OF_PACKAGE.match(name)
    if not package or match is None:
        return name
    return f"{match.group(1)}{package}{name[match.end() :]}"


def _arguments(name: str, other: Callable[[str], str]) -> Iterator[str]:
    """The pieces of a name, arguments of a generic type as one; `other` makes the others."""
    depth, before, arguments = 0, "", ""  # brackets of arguments that are open
    for piece in _PIECE.findall(name):
        if depth or (piece == "[" and _is_generic(before)):
            depth += (piece == "[") - (piece == "]")
            arguments += piece
            if not depth:
                yield "[...]" if _SHAPED in arguments else arguments
                arguments = ""
        else:
            yield other(piece)
        before = piece
    yield arguments


def _is_generic(before: str) -> bool:
    """Whether a bracket behind that begins the arguments of a type."""
    return before not in ("", *_OF_MAPS) and (before[-1].isalnum() or before[-1] in "_·")


def _guessed(path: str) -> str:
    """The name of a package by the end of its path."""
    parts: List[str] = path.split("/")
    while len(parts) > 1 and _MAJOR.fullmatch(parts[-1]):
        parts.pop()
    return _OF_MODULE.sub("", parts[-1])
