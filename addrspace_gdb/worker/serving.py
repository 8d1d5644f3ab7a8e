"""What the worker does when it is told: reads a heap, then answers what is asked of it."""

from __future__ import annotations

import gc
import os
import socket
from threading import Lock
from typing import IO, Any, Callable, Dict, List, Optional, Sequence

from addrspace_gdb.common.later import Later
from addrspace_gdb.common.messages import ClosedError, Column, Message, receive, send
from addrspace_gdb.common.problems import ProblemError, problem_of
from addrspace_gdb.worker import counting
from addrspace_gdb.worker.arrays import COMPILED, COMPILED_IN, Ints, filled, of_bytes, zeros
from addrspace_gdb.worker.budget import Budget
from addrspace_gdb.worker.debuginfo import read_variables
from addrspace_gdb.worker.graph import Graph
from addrspace_gdb.worker.holding import Holders, Way, Ways
from addrspace_gdb.worker.leaking import leaked
from addrspace_gdb.worker.majority import commonest_shapes
from addrspace_gdb.worker.noting import Noting
from addrspace_gdb.worker.spans import Heap, objects_at, put_states, total
from addrspace_gdb.worker.stacks import roots_of
from addrspace_gdb.worker.stream import Memory, Words
from addrspace_gdb.worker.summing import summed
from addrspace_gdb.worker.tree import Dominators, Rooted
from addrspace_gdb.worker.typed import Typed
from addrspace_gdb.worker.warming import warm

_FEW = 1 << 20  # objects whose types are worked out at once for all questions, without numba
REACHED, TREE, HELD, TYPED = "reached", "tree", "held", "typed"
_BEGUN = {"types": REACHED, "retained": TREE, "holders": HELD}  # by what will be asked, once roots are there


class Server:
    """One conversation: `heap`, then `roots`, then any questions; and again with other roots."""

    def __init__(self, incoming: IO[bytes], outgoing: IO[bytes], descriptors: int) -> None:
        """`descriptors`: a socket by which files are handed over."""
        self._in, self._out, self._descriptors = incoming, outgoing, descriptors
        self._lock = Lock()
        self._memory: Optional[Memory] = None
        self._graph: Optional[Graph] = None
        self._rooted: Optional[Rooted] = None
        self._want = ""  # what will be asked, which is begun before it is
        self._later: Dict[str, Later[Any]] = {}
        self._words: List[int] = []
        self._shapes: Optional[Message] = None
        self._word = 8
        self._ways: Dict[int, Ways] = {}  # by object
        self._answers: Dict[str, Callable[[Message], None]] = {
            "warm": self._warm,
            "heap": self._heap,
            "stacks": self._stacks,
            "roots": self._roots,
            "totals": self._totals,
            "states": self._states,
            "children": self._children,
            "objects": self._objects,
            "owners": self._owners,
            "grouped": self._grouped,
            "find": self._find,
            "types": self._types,
            "span_types": self._span_types,
            "leaked": self._leaked,
            "shapes": self._put_shapes,
            "variables": self._variables,
            "holders": self._holders,
            "way": self._way,
            "paths": self._paths,
        }

    def serve(self) -> None:
        """Answer until the other side ends. ClosedError."""
        while True:
            said = receive(self._in)
            try:
                self._answers[said.header["do"]](said)
            except ClosedError:
                raise
            except MemoryError:
                self._say({"problem": "not enough memory for the graph of the heap"})
            except Exception as error:  # noqa: BLE001  whatever it is, it is said in one line
                if isinstance(error, OSError) and error.filename is None:  # nothing else is written here
                    error.filename = os.environ.get(COMPILED_IN)
                self._say({"problem": problem_of(error)})

    def _say(self, header: Dict[str, Any], columns: Optional[Dict[str, Column]] = None) -> None:
        send(self._out, header, columns or {})

    def _ask(self, header: Dict[str, Any], columns: Optional[Dict[str, Column]] = None) -> Message:
        with self._lock:  # threads that read ask too
            self._say(header, columns)
            return receive(self._in)

    def _warm(self, said: Message) -> None:
        """Compile what is not compiled yet, while nothing stands still for it."""
        if COMPILED:
            header = said.header
            warm(str(header["order"]), typed=bool(header.get("typed")), want=str(header.get("want", "")))
        self._say({"compiled": COMPILED})

    def _heap(self, said: Message) -> None:
        gc.freeze()  # what is there now stays
        gc.enable()
        header = said.header
        self._want = str(header.get("want", ""))
        extents = list(
            zip(*(said.column(name) for name in ("extent_starts", "extent_ends", "extent_offsets")))
        )
        self._memory = Memory(self._given() if header["given"] else -1, extents, self._read)
        self._word = int(header["word"])
        words = Words(self._memory, self._word, str(header["order"]))
        budget = Budget(header["memory"], bool(header.get("typed")), bool(header["tree"]))
        self._graph = Graph(said, words, self._types_of, budget)
        self._graph.limit(budget)
        reading = self._graph.read()
        next(reading)
        seeds: Dict[str, Column] = {}
        if self._graph.noting is not None:
            self._words = self._graph.noting.words()
            seeds = {
                "types": _column(self._graph.types.addresses),
                "words": _column(self._words),
                "functions": _column(self._graph.noting.functions()),
            }
        self._say({"done": "stream"}, seeds)
        for _ in reading:
            pass

    def _given(self) -> int:
        """The open memory, or core, that the other side hands over."""
        with socket.socket(fileno=self._descriptors) as stream:
            _, found, _, _ = socket.recv_fds(stream, 1, 1)
        if not found:
            raise ProblemError("the worker was not given the memory")
        return found[0]

    def _read(self, address: int, size: int) -> bytes:
        return self._ask({"want": "memory", "address": address, "size": size}).columns["memory"][1]

    def _types_of(self, addresses: Sequence[int]) -> Message:
        return self._ask({"want": "types"}, {"types": _column(addresses)})

    @property
    def _made(self) -> Rooted:
        assert self._rooted is not None
        return self._rooted

    def _stacks(self, said: Message) -> None:
        """Roots and who they are of, by what was copied of stacks."""
        self._say(*roots_of(said))

    def _roots(self, said: Message) -> None:
        assert self._graph is not None and self._memory is not None
        graph = self._graph
        self._end_all()
        for of_other_roots in (REACHED, TREE, HELD):
            self._later.pop(of_other_roots, None)
        self._rooted = Rooted(graph, said)
        self._say(
            {
                "edges": graph.count,
                "wild": int(graph.edges.wild[0]),
                "lost": graph.lost(self._memory.holes),
                "unknown_types": graph.types.unknown,
                "owners_at": self._made.start,
            }
        )
        if self._want in _BEGUN:
            self._begin(_BEGUN[self._want])

    def _begin(self, what: str) -> None:
        """Work something out beside other work, if nobody has."""
        works: Dict[str, Callable[[], Any]] = {
            REACHED: self._made.reached,
            TREE: lambda: Dominators(self._made),
            HELD: self._hold,
            TYPED: self._type,
        }
        if what not in self._later:
            self._later[what] = Later(works[what])

    def _result(self, what: str) -> Any:
        self._begin(what)
        return self._later[what].found

    def _end_all(self) -> None:
        """What follows changes what is worked with."""
        for one in self._later.values():
            one.end()

    def _totals(self, said: Message) -> None:
        """How much there is, and how much of it is reached."""
        heap = self._made.graph.heap
        count, size = total(heap, self._reached, False)
        reached, kept = total(heap, self._reached, True)
        totals = {"objects": count, "bytes": size, "reached": reached, "reached_bytes": kept}
        self._say({name: int(value) for name, value in totals.items()})

    @property
    def _reached(self) -> Ints:
        """By node: not below 0 if it is reached."""
        found: Ints = self._dominators.number if TREE in self._later else self._result(REACHED)
        return found

    @property
    def _dominators(self) -> Dominators:
        found: Dominators = self._result(TREE)
        return found

    @property
    def _typed(self) -> Typed:
        found: Typed = self._result(TYPED)
        return found

    def _type(self) -> Typed:
        graph = self._made.graph
        assert graph.noting is not None
        return self._types_in(graph, graph.noting)

    def _types_in(self, graph: Graph, noting: Noting) -> Typed:
        assert self._shapes is not None
        return Typed(graph, noting, self._shapes, self._words)

    def _types(self, said: Message) -> None:
        """How many objects there are of each type, and what is odd about them."""
        typed = self._typed
        header = {
            "conflicts": typed.conflicts,
            "misplaced": typed.misplaced,
            "by_sites": typed.by_sites,
            "site_conflicts": typed.site_conflicts,
            "examples": typed.examples,
            "places": typed.places,
        }
        self._say(header, typed.counted(self._reached))

    def _span_types(self, said: Message) -> None:
        """Of each span: where it starts, and what most of its objects are, as `commonest` says."""
        heap = self._made.graph.heap
        found = commonest_shapes(heap.state, heap.first, heap.sizes, self._typed)
        self._say({}, {"starts": heap.starts, "shapes": found})

    def _put_shapes(self, said: Message) -> None:
        """What types are made of, once for all."""
        self._shapes = said
        self._say({"done": "shapes"})
        if self._want in _BEGUN:
            self._begin(TYPED)

    def _variables(self, said: Message) -> None:
        """The variables of packages and their types, by the debug information in a file."""
        found = read_variables(str(said.header["path"]))
        self._say(found._asdict())

    def _hold(self) -> Holders:
        noting = self._made.graph.noting
        assert noting is not None
        return Holders(self._made, noting, self._word)

    def _ways_to(self, node: int) -> Ways:
        if node not in self._ways:
            every = COMPILED or self._made.graph.objects <= _FEW
            if every:
                self._begin(TYPED)
            held: Holders = self._result(HELD)
            # One at a time: each is as long as the graph.
            held.search(node)  # while types are worked out
            self._ways = {node: Ways(held, node, self._typed if every else None, self._types_in)}
        return self._ways[node]

    def _holders(self, said: Message) -> None:
        """The object `node`, and a way to it from every root that leads there, the nearest first."""
        node = int(said.header["node"])
        ways = self._ways_to(node)
        rows = ways.all()
        columns = {name: _column([row[at] for row in rows]) for at, name in enumerate(Way._fields)}
        self._say({"object": ways.step(node, -1)}, columns)

    def _way(self, said: Message) -> None:
        """The objects on the ways to `node`, by the `first` of each."""
        ways = self._ways_to(int(said.header["node"]))
        self._say({"ways": [ways.steps(int(first)) for first in said.header["first"]]})

    def _paths(self, said: Message) -> None:
        """The dominator tree by roots and types; `own` and `shared` are labels of the owners."""
        header = said.header
        self._say({}, summed(self._made, self._dominators, self._typed, header["own"], header["shared"]))

    def _states(self, said: Message) -> None:
        """Of every slot: 0 free, 1 an object that nothing leads to, 2 one that is reached."""
        heap = self._made.graph.heap
        states = zeros(len(heap.state), "B")
        put_states(heap.state, self._reached, states)
        columns = {"starts": heap.starts, "slots": heap.slots}
        self._say({}, {**columns, "states": states})

    def _children(self, said: Message) -> None:
        """Of each of the `nodes`: what it keeps, and the largest of what is directly below it; of those that
        are among `shared` only objects."""
        tree, most, shared = self._dominators, int(said.header["most"]), {*said.header["shared"]}
        rows = []
        for node in said.header["nodes"]:
            found: List[int] = []
            count = 0
            if tree.number[node] >= 0 and node in shared:
                found, count = tree.objects_below(node, most, self._made.start)
            elif tree.number[node] >= 0:
                found, count = tree.children(node, most)
            rows.append({"kept": tree.kept(node), "children": found, "count": count})
        self._say({"rows": rows})

    def _owners(self, said: Message) -> None:
        """What each owner keeps."""
        rooted = self._made
        self._say({}, self._dominators.kept_by(rooted.start, rooted.owners))

    def _leaked(self, said: Message) -> None:
        """Which of the goroutines that are blocked nothing can wake; the graph is another afterwards."""
        self._end_all()
        self._say({}, {"places": _column(leaked(self._made, said))})

    def _grouped(self, said: Message) -> None:
        """What the objects of each group of shapes keep, below `nodes`, or of all."""
        rooted, of_shapes = self._made, of_bytes(said.column("groups"), "q")
        groups = filled(rooted.nodes, -1, "i")
        typed = self._typed
        counting.put_groups(typed.found.shapes, typed.shapes.slots, rooted.graph.heap, of_shapes, groups)
        nodes = said.header["nodes"] or [rooted.start]
        kept, counts = self._dominators.grouped(nodes, groups, int(said.header["many"]))
        self._say({}, {"bytes": kept, "objects": counts})

    def _find(self, said: Message) -> None:
        """The objects that hold those `addresses`, -1 for none."""
        addresses = of_bytes(said.column("addresses"), "q")
        found = zeros(len(addresses))
        objects_at(addresses, found, self._made.graph.heap)
        self._say({}, {"nodes": found})

    def _objects(self, said: Message) -> None:
        """Where those objects are, their bytes, and the type that stands before them; with types also the
        shape, and 1 for several values of it."""
        self._say({"rows": [self._object(int(number)) for number in said.header["objects"]]})

    def _object(self, number: int) -> List[int]:
        graph = self._made.graph
        heap, s = graph.heap, span_of(graph.heap, number)
        size, type_ = int(heap.sizes[s]), int(graph.type_of[number])
        address = int(heap.starts[s]) + (number - int(heap.first[s])) * size
        found = [address, size, graph.types.addresses[type_ - 1] if type_ else 0]
        if graph.noting is None:
            return found
        typed = self._typed
        shape = int(typed.found.shapes[number])
        return [*found, shape, int(shape > 0 and typed.shapes.slots[shape] != size)]


def _column(addresses: Sequence[int]) -> Ints:
    column = zeros(len(addresses))
    for at, address in enumerate(addresses):
        column[at] = address
    return column


def span_of(heap: Heap, number: int) -> int:
    """The span of an object."""
    low, high = 0, len(heap.sizes)
    while low < high:
        middle = (low + high) >> 1
        if heap.first[middle + 1] <= number:
            low = middle + 1
        else:
            high = middle
    return low
