"""What is at an address: the answer's parts, one for each sort of place. Pure data; sizes in bytes."""

from __future__ import annotations

from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.space.graph.holding import Held
from addrspace_gdb.space.regions.region import Region
from addrspace_gdb.target.protocol import Value


class Object(NamedTuple):
    """An address in a span of the heap. Fields of slots are None where the span has none there."""

    arena: int
    span: Tuple[int, int]
    mspan: int
    holds: str  # "small objects", "large object", "user arena" ...
    size_class: Optional[int]
    noscan: Optional[bool]
    slot: Optional[int]
    base: Optional[int]  # of the slot
    size: Optional[int]  # of the slot
    offset: Optional[int]  # of the address in the slot
    state: Optional[str]  # "live", "since", "dead", "free", as Parts has it
    marked: Optional[bool]
    header: int  # bytes of the slot that are the runtime's (malloc header)
    type: Optional[str]
    room: Optional[int]  # how many of `type` the slot has room for
    said_by: str  # who says so: "malloc header", "largeType", "interface"; empty where the type is not known
    what: str  # "the g of goroutine 17", "a closure of main.f.func1" ...; empty
    field: Optional[str]  # path in the type, by debug information: ".Next"
    problem: Optional[str]
    # Where it was allocated, if the heap profile has a sample of it: function, file and line of each frame
    # that is not the runtime's, innermost first.
    allocated: Sequence[Tuple[str, str, int]] = ()


class FrameHit(NamedTuple):
    """A frame on a stack. `part` says what of it the address is."""

    level: int  # physical frames, innermost 0
    function: Optional[str]
    file: str
    line: int
    sp: int
    cfa: Optional[int]
    part: str  # "return address", "saved frame pointer", "locals", "arguments and results"
    name: Callable[[], Tuple[Optional[str], int]]  # `variable` and `within`, by debug information

    @property
    def variable(self) -> Optional[str]:
        """The variable that lies there. It is looked up when it is asked for: that needs no process."""
        return self.name()[0]

    @property
    def within(self) -> int:
        """Offset of the address in the variable."""
        return self.name()[1]


class OnStack(NamedTuple):
    """An address in stack memory. `goid` or `m` say whose; neither: nobody's."""

    kind: str  # as the region's: "goroutine", "g0 stack", "free stack (pool)" ...
    goid: Optional[int]
    m: Optional[int]
    lo: int
    hi: int
    sp: Optional[int]
    use: str  # "frame", "below sp", "above the frames", "stale", "not walked"
    frame: Optional[FrameHit]
    problem: Optional[str]


class InSymbol(NamedTuple):
    """A symbol of the program or a library."""

    name: str
    offset: int
    package: Optional[str]
    section: str
    file: Optional[str]
    type: Optional[str]
    size: Optional[int]
    field: Optional[str]  # ".Inner.B", "[10]"
    text: Optional[str]  # what stands there, of string literals
    whole: bool  # the text is the string asked for; else it may run into the next, for they have no ends
    seen: str  # "the func value of main.work"; empty


class InCode(NamedTuple):
    """A Go function, with what is inlined at the instruction, innermost first."""

    function: str
    entry: int
    offset: int
    chain: List[Tuple[str, str, int]]  # function as Go prints it, file, line


class InType(NamedTuple):
    """A type descriptor or an itab."""

    sort: str  # "type descriptor", "itab"
    address: int
    offset: int
    name: Optional[str]
    kind: Optional[str]
    interface: Optional[str]  # of an itab


class InRuntime(NamedTuple):
    """Memory of the runtime outside the heap."""

    owner: str  # "span structures", "mark bits" ...
    start: int
    end: int
    detail: str


class Gap(NamedTuple):
    """Nothing is mapped at the address."""

    field: Optional[int]  # offset of a field of a nil pointer
    below: Optional[Region]
    above: Optional[Region]
    hint: str  # why there may be nothing


class Where(NamedTuple):
    """Everything about one address: of the parts from `heap` on at most two are there, the others None."""

    value: Value
    region: Region  # of what is not mapped, too
    mapping: Optional[Mapping]
    resident: Optional[bool]  # the page; None: not known, or not mapped
    said: Optional[str]  # type, as the expression or the interface says
    heap: Optional[Object] = None
    stack: Optional[OnStack] = None
    code: Optional[InCode] = None
    type: Optional[InType] = None
    symbol: Optional[InSymbol] = None
    runtime: Optional[InRuntime] = None
    gap: Optional[Gap] = None
    holding: Optional[Held] = None  # the object's type and who holds it, where that was asked for
    held: Optional[Where] = None  # where the pointer lies that led here, if the expression is one in memory

    @property
    def address(self) -> int:
        """The address."""
        return self.value.address
