"""The words for memory: one for each thing, with one meaning and one value in every command at one stop.

Help, README and the JSON documents are checked against this file (tests/unit/test_glossary_words.py), and the
figures that it names against one another on a real process (tests/test_glossary.py).
"""

from __future__ import annotations

from typing import NamedTuple, Tuple


class Term(NamedTuple):
    """A word, what it means, and how Go itself counts it.

    `fields` are keys of JSON documents (`heap/1 uses.returned`) that hold it; `never` are words for the same
    thing that no view, help or README has.
    """

    word: str
    meaning: str
    counter: str = ""
    fields: Tuple[str, ...] = ()
    never: Tuple[str, ...] = ()


TERMS = (
    Term(
        "resident",
        "in memory at this moment, as the kernel counts it; all of it is RSS. A core does not record it",
        "VmRSS of /proc/PID/status",
        ("addrspace/1 resident", "rss/1 resident", "arenas/1 resident", "heap/1 resident"),
        ("memory-resident", "in core"),
    ),
    Term(
        "kept",
        "what the process has and did not return to the OS, without reservations and files that are mapped"
        " for reading: all that a core can tell",
        "Sys - HeapReleased",
        ("rss/1 kept",),
    ),
    Term(
        "reserved",
        "addresses in the heap's arenas that Go has not begun to use; no memory stands behind them",
        "",
        ("heap/1 reserved", "arenas/1 reserved"),
        ("not grown into",),
    ),
    Term(
        "returned",
        "pages of the heap that Go gave back to the OS, and takes again when it needs them",
        "HeapReleased",
        ("heap/1 returned", "arenas/1 returned", "gc/1 returned"),
        ("scavenged pages", "released pages", "released to the OS"),
    ),
    Term(
        "free pages",
        "pages of the heap in which nothing lies and that Go keeps",
        "HeapIdle - HeapReleased",
        ("heap/1 free", "arenas/1 free", "gc/1 free"),
        ("idle pages", "pages kept free"),
    ),
    Term(
        "free slots",
        "room for objects in spans that hold other objects",
        "HeapInuse - HeapAlloc - tail waste",
        ("heap/1 free", "spans/1 free"),
        ("unused slots", "empty slots"),
    ),
    Term(
        "tail waste",
        "the end of a span, where no further object fits, and room that Go keeps there for pointer bits",
        "",
        ("heap/1 waste", "spans/1 waste"),
        ("slack bytes",),
    ),
    Term(
        "survived the last GC",
        "objects that the last collection found reachable",
        "",
        ("heap/1 live", "spans/1 live"),
        ("live at the last GC", "live at the last collection"),
    ),
    Term(
        "allocated since",
        "objects made after the last collection, reachable or not; `gc` has the collector's own count, which"
        " is up to a span a size class and P more",
        "with what survived, and what is dead and not swept, HeapAlloc",
        ("heap/1 since", "spans/1 since"),
    ),
    Term(
        "used",
        "of a goroutine's stack: from its stack pointer to its upper end",
        "",
        ("goroutine-stacks/1 used",),
    ),
    Term(
        "stacks in use",
        "spans of the heap that goroutine stacks are cut from, those that wait in the pools too",
        "StackInuse",
        ("memstats/1 memstats",),
    ),
)


def readme_table() -> str:
    """The table as the README has it."""
    rows = ["| word | means | Go counts it as |", "|---|---|---|"]
    rows += [f"| {one.word} | {one.meaning} | {one.counter or 'not at all'} |" for one in TERMS]
    return "\n".join(rows) + "\n"
