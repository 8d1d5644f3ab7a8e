"""Mutated dumps, for `addrspace-gdb diff` and `compare`."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, List, Tuple

HOSTILE: Tuple[Any, ...] = (None, True, -1, 0, 1 << 63, 1 << 64, 10**40, 1.5, 1e308, "", "0x", "0x0", "-0x1")
HOSTILE += (
    "0xffffffffffffffff",
    "0x10000000000000000",
    [],
    {},
    [[]],
    [None],
    {"start": None},
    "\ud800",
    "\udcff",
)
HOSTILE += (
    "\u202e\x1b[2J\n\0",
    "A" * 70_000,
    "live",
    "heap",
    "goroutine 18446744073709551615",
    "goroutine 1",
)
_RAW = (
    b"\0",
    b"\xff\xfe",
    b"{",
    b"]",
    b'"',
    b"\\u",
    b"NaN",
    b"-",
    b"1e999",
    b",",
    b"\xc3",
    b"9" * 5000,
    b"[" * 9999,
)


def mutate(rng: random.Random, path: Path) -> str:
    """Change the dump at `path`: as a document, as a text, or both."""
    said = []
    how = rng.choice(("document", "document", "text", "both"))
    if how != "text":
        document = json.loads(path.read_bytes())
        for _ in range(rng.choice((1, 1, 2, 6))):
            said.append(_in_document(rng, document))
        path.write_text(json.dumps(document), encoding="ascii")
    if how != "document":
        said.append(_in_text(rng, path))
    return "; ".join(said)


def _in_document(rng: random.Random, document: Any) -> str:
    """Change one place of the document."""
    holder, key = _place(rng, document)
    where = f"{key!r} of {type(holder).__name__}"
    old = holder[key]
    how = rng.choice(("hostile", "hostile", "delete", "another", "repeat", "shuffle", "number"))
    if how == "delete":
        del holder[key]
    elif how == "another":
        other, its = _place(rng, document)
        holder[key] = json.loads(json.dumps(other[its]))
    elif how == "repeat" and isinstance(old, list) and old:
        holder[key] = old * rng.choice((2, 50))
    elif how == "shuffle" and isinstance(old, list):
        rng.shuffle(old)
    elif how == "number" and type(old) is int:
        holder[key] = rng.choice((old + 1, -old, old << 32, old * 10**30, float(old)))
    else:
        holder[key] = rng.choice(HOSTILE)
    return f"{how} at {where}"


def _place(rng: random.Random, document: Any) -> Tuple[Any, Any]:
    """A container and a key or index in it, at any depth; each level is as likely as the next."""
    holder, key = document, rng.choice(sorted(document)) if document else "schema"
    document.setdefault(key, None) if isinstance(document, dict) else None
    while isinstance(holder[key], (dict, list)) and holder[key] and rng.random() < 0.8:
        holder = holder[key]
        key = rng.choice(sorted(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))
    return holder, key


def _in_text(rng: random.Random, path: Path) -> str:
    """Change bytes, whatever they stand for."""
    text = bytearray(path.read_bytes())
    how = rng.choice(("cut", "bytes", "insert", "remove", "utf-16", "bom", "empty", "nested", "twice"))
    if how == "cut":
        del text[rng.randrange(len(text) or 1) :]
    elif how == "bytes":
        for _ in range(rng.choice((1, 10))):
            text[rng.randrange(len(text))] = rng.randrange(256)
    elif how == "insert":
        at = rng.randrange(len(text))
        text[at:at] = rng.choice(_RAW)
    elif how == "remove":
        at = rng.randrange(len(text))
        del text[at : at + rng.choice((1, 20, 3000))]
    elif how == "twice":
        text += bytes(text)
    else:
        text = bytearray(_whole(how, bytes(text)))
    path.write_bytes(text)
    return f"text: {how}"


def _whole(how: str, text: bytes) -> bytes:
    if how == "utf-16":
        return text.decode("ascii", "replace").encode("utf-16")
    if how == "bom":
        return b"\xef\xbb\xbf" + text
    return b"" if how == "empty" else b'{"schema":' * 3000 + text


def commands(rng: random.Random, dumps: List[str]) -> List[str]:
    """The arguments of one command on two dumps."""
    rng.shuffle(dumps)
    command = [rng.choice(("diff", "compare")), *dumps]
    if command[0] == "compare" and rng.random() < 0.5:
        command += rng.sample(("0x401000", "0", "0xffffffffffffffff", "4198400", "0xc000000000"), 2)
    if command[0] == "diff" and rng.random() < 0.3:
        command += ["--limit", rng.choice(("1", "all", "5"))]
    return command + rng.choice(([], ["--format", "json"], ["--ascii", "--width", "40"], ["--width", "1000"]))
