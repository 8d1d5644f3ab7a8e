"""The page itself: one HTML file with its style, its script and its data in it, which loads nothing.

What comes from the target is data in script elements that are not run: JSON without any `<`, and base64. The
script of the page makes text nodes of it, never markup. A Content-Security-Policy in the file allows the one
script and the one style by their hashes, and nothing else: no request, no frame, no form.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import Iterator, List, Sequence

from addrspace_gdb import __version__
from addrspace_gdb.common.escape import printable
from addrspace_gdb.views.documents.form import encode
from addrspace_gdb.views.web.moment import Moment

HERE = os.path.dirname(__file__)
# In the order in which they stand in the page: each uses those before it.
MODULES = (
    *("format", "data", "where", "colors", "dom", "state", "table"),
    *("icicle", "ladder", "pages", "lit", "layer", "modes", "pagemap"),
    *("moments", "card", "trees", "tables", "search", "app"),
)
_IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=const |let |function |async |class )", re.MULTILINE)


def page(moments: Sequence[Moment], title: str) -> Iterator[str]:
    """The file, in pieces."""
    style, script = _read("page.css"), bundle()
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    yield (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f'<meta name="generator" content="addrspace-gdb {__version__}">\n'
        f"<title>{escape(printable(title))}</title>\n<style>{style}</style>\n</head>\n<body>\n{_read('page.html')}"
    )
    for number, moment in enumerate(moments):
        data, columns = as_data(encode(moment.document)), moment.packed.blob()
        yield f'<script type="application/json" id="moment{number}">{data}</script>\n'
        yield f'<script type="application/octet-stream" id="columns{number}">{columns}</script>\n'
    yield f'<script type="module">{script}</script>\n</body>\n</html>\n'


def as_data(json: str) -> str:
    """JSON for a script element: the parser of HTML looks for `<` there and for nothing else."""
    return json.replace("<", "\\u003c")


def bundle() -> str:
    """All modules as one: names are their own throughout, so that imports and exports can go."""
    parts: List[str] = []
    for name in MODULES:
        text = _read(f"{name}.js")
        parts.append(f"// {name}.js\n" + _EXPORT.sub("", _IMPORT.sub("", text)))
    return "\n" + "\n".join(parts)


def _read(name: str) -> str:
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return file.read()


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
