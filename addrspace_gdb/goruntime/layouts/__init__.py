"""Struct layouts of the runtime for programs without DWARF, one table for each Go minor version.

The tables are data that scripts/gen-layouts takes from real toolchains; how a type is written there is said
in scripts/gen_layouts/dwarf.py.
"""

from __future__ import annotations

import json
import os
import re
from functools import lru_cache, partial
from typing import Any, Dict, FrozenSet, List, Optional, Sequence, Tuple

from addrspace_gdb.goruntime.buildinfo import parse_version
from addrspace_gdb.target.layout import Type

_FOLDER = os.path.dirname(__file__)
_NEWEST_PATCH = 999
_KINDS = {"u": "uint", "i": "int", "f": "float"}


def _tables() -> Dict[int, List[int]]:
    """N of every Go 1.N with a table, and the patch releases from which on there is another."""
    found: Dict[int, List[int]] = {}
    for name in os.listdir(_FOLDER):
        matched = re.fullmatch(r"go1\.(\d+)(?:\.(\d+))?\.json", name)
        if matched:
            found.setdefault(int(matched.group(1)), []).append(int(matched.group(2) or 0))
    return found


def _load(name: str) -> Dict[str, Any]:
    with open(os.path.join(_FOLDER, f"{name}.json"), encoding="ascii") as file:
        loaded: Dict[str, Any] = json.load(file)
    return loaded


def known_minors() -> List[int]:
    """N of every Go 1.N that there is a table for, ascending."""
    return sorted(_tables())


@lru_cache(maxsize=4)
def _table(minor: int, patch: int) -> Dict[str, Any]:
    """The table for a release: the minor version's, with what changed in a patch release up to this one."""
    table = _load(f"go1.{minor}")
    newer = max(first for first in _tables()[minor] if first <= patch)
    if newer:
        for key, value in _load(f"go1.{minor}.{newer}").items():
            if isinstance(value, dict):
                table[key].update(value)
            else:
                table[key] = value
    return table


class Layouts:
    """The types and variables of one build. A name that it lacks is None."""

    def __init__(self, minor: int, patch: int, arch: str, experiments: FrozenSet[str] = frozenset()) -> None:
        self.minor, self.arch = minor, arch
        self._table = _table(minor, patch)
        groups: Dict[str, str] = self._table["groups"]
        arches = " ".join(groups.values()).split()
        self.known = arch in arches and not experiments & set(self._table["unknown_experiments"])
        self._word = 4 if arch in groups["32"].split() else 8
        self._usual = {arch} | {name for name, members in groups.items() if arch in members.split()}
        turned = sorted(experiments & set(self._table["experiments"]))
        self._turned = {f"{arch}+{name}" for name in turned}
        self._types: Dict[str, Optional[Type]] = {}

    @property
    def size_classes(self) -> Sequence[int]:
        """Object size of each size class (class_to_size)."""
        sizes: Sequence[int] = self._table["size_classes"]
        return sizes

    @property
    def wait_reasons(self) -> Sequence[str]:
        """waitReasonStrings."""
        reasons: Sequence[str] = self._table["wait_reasons"]
        return reasons

    def type(self, name: str) -> Optional[Type]:
        """A struct, or an array that has a name, by its DWARF name (`runtime.mspan`)."""
        if name not in self._types:
            text = self._pick(self._table["types"].get(name, {}))
            named = self._parse if text and text.startswith("[") else partial(self._struct, name)
            self._types[name] = named(text) if text is not None else None
        return self._types[name]

    def load(self) -> None:
        """Read every type's fields now, which is else done when the first of them is asked for."""
        for name in self._table["types"]:
            found = self.type(name)
            if found is not None:
                len(found.fields)

    def variable(self, name: str) -> Optional[Type]:
        """The type of a variable by its linker name (`runtime.mheap_`)."""
        text = self._pick(self._table["variables"].get(name, {}))
        return self._parse(text) if text is not None else None

    @property
    def names(self) -> Tuple[List[str], List[str]]:
        """Every type and every variable that some build of this version has."""
        return list(self._table["types"]), list(self._table["variables"])

    def _pick(self, texts: Dict[str, str]) -> Optional[str]:
        """The text for this build. Two experiments that change one type differently leave it unknown."""
        turned = [text for builds, text in texts.items() if self._turned & set(builds.split())]
        if turned:
            return turned[0] if len(turned) == 1 else None
        return next((text for builds, text in texts.items() if self._usual & set(builds.split())), None)

    def _struct(self, name: str, text: str) -> Type:
        size, *fields = text.split(" ")

        def load() -> Dict[str, Tuple[int, Type]]:
            made = {}
            for item in fields:
                field, _, rest = item.partition("@")
                offset, _, type_ = rest.partition(":")
                made[field] = int(offset), self._parse(type_)
            return made

        return Type(name, int(size), "struct", load_fields=load)

    def _parse(self, text: str) -> Type:
        word = self._word
        if text == "string":
            return self._header(text, {"str": "*", "len": "int"})
        if text == "[]":
            return self._header(text, {"array": "*", "len": "int", "cap": "int"})
        if text == "int":
            return Type(text, word, "int")
        if text == "bool":
            return Type(text, 1, "bool")
        if text == "func":
            return Type(text, 0, "pointer")
        if text.startswith("*"):
            pointed = text[1:]
            load = (lambda: {"*": (0, self._parse(pointed))}) if pointed else None
            return Type(text, word, "pointer", load_fields=load)
        if text.startswith("["):
            count, _, element = text[1:].partition("]")
            of = self._parse(element)
            return Type(text, int(count) * of.size, "array", element=of, count=int(count))
        number = re.fullmatch(r"([uif])(8|16|32|64)", text)
        if number:
            return Type(text, int(number.group(2)) // 8, _KINDS[number.group(1)])
        if text.startswith("?"):
            return Type(text, int(text[1:]), "other")
        return self.type(text) or Type(text, 0, "other")

    def _header(self, name: str, fields: Dict[str, str]) -> Type:
        types = [(field, self._parse(text)) for field, text in fields.items()]
        made = {field: (index * self._word, type_) for index, (field, type_) in enumerate(types)}
        return Type(name, len(made) * self._word, "struct", load_fields=lambda: made)


def layouts_of(version: str, arch: str) -> Tuple[Optional[Layouts], bool]:
    """The table for the program's version, and whether it is a guess: the newest table for a newer Go.

    None for a Go older than the tables, and for an architecture they lack.
    """
    minor, patch, experiments = parse_version(version)
    known = known_minors()
    if minor is None or not known or minor < known[0]:
        return None, False
    newer = minor > known[-1]
    found = Layouts(known[-1] if newer else minor, _NEWEST_PATCH if newer else patch, arch, experiments)
    return (found if found.known else None), newer
