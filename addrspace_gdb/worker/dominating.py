"""Kernels over the finished graph: what is reached, and who dominates whom (semi-NCA: Georgiadis, Tarjan and
Werneck, "Finding Dominators in Practice", 2006).

`index` and `edges` are the graph: the edges of node n are edges[index[n]:index[n + 1]].
"""

from __future__ import annotations

from addrspace_gdb.worker.arrays import Ints, kernel
from addrspace_gdb.worker.spans import span_of_number


@kernel
def reach(index: Ints, edges: Ints, start: int, found: Ints, queue: Ints) -> int:
    """Breadth first from `start`: the nodes that are reached, in that order; found, which is to hold -1
    everywhere, becomes 0 for them. How many there are."""
    count = 1
    queue[0] = start
    found[start] = 0
    at = 0
    while at < count:
        node = queue[at]
        at += 1
        for j in range(index[node], index[node + 1]):
            to = edges[j]
            if found[to] < 0:
                found[to] = 0
                queue[count] = to
                count += 1
    return count


@kernel
def number_nodes(
    index: Ints, edges: Ints, start: int, number: Ints, node_of: Ints, parent: Ints, stack: Ints, at: Ints
) -> int:
    """Depth first from `start`: the number of each node, which is to be -1 everywhere, and its parent's; how
    many there are."""
    number[start] = 0
    node_of[0] = start
    parent[0] = 0
    count, depth = 1, 0
    stack[0] = start
    at[0] = index[start]
    while depth >= 0:
        node = stack[depth]
        j, end = at[depth], index[node + 1]
        while j < end and number[edges[j]] >= 0:
            j += 1
        if j == end:
            depth -= 1
            continue
        to = edges[j]
        at[depth] = j + 1
        number[to] = count
        node_of[count] = to
        parent[count] = number[node]
        count += 1
        depth += 1
        stack[depth] = to
        at[depth] = index[to]
    return count


@kernel
def count_into(index: Ints, edges: Ints, number: Ints, node_of: Ints, count: int, into: Ints) -> None:
    """How many edges lead to each numbered node, summed up: into[i] is where those of i begin."""
    for i in range(count):
        node = node_of[i]
        for j in range(index[node], index[node + 1]):
            into[number[edges[j]] + 1] += 1
    for i in range(count):
        into[i + 1] += into[i]


@kernel
def turn_round(
    index: Ints, edges: Ints, number: Ints, node_of: Ints, count: int, at: Ints, sources: Ints
) -> None:
    """The numbers that the edges come from; `at` is a copy of what `count_into` made."""
    for i in range(count):
        node = node_of[i]
        for j in range(index[node], index[node + 1]):
            to = number[edges[j]]
            sources[at[to]] = i
            at[to] += 1


@kernel
def best_of(node: int, linked: int, above: Ints, label: Ints, semi: Ints, stack: Ints) -> int:
    """The node of the least semidominator on the linked path above `node`, which becomes shorter."""
    if above[node] < linked:
        return label[node]  # type: ignore[no-any-return]
    top, at = 0, node
    while above[at] >= linked:
        stack[top] = at
        top += 1
        at = above[at]
    best, upper = label[at], at
    while top > 0:
        top -= 1
        at = stack[top]
        above[at] = above[upper]
        if semi[best] < semi[label[at]]:
            label[at] = best
        else:
            best = label[at]
        upper = at
    return label[node]  # type: ignore[no-any-return]


@kernel
def dominate(
    parent: Ints,
    into: Ints,
    sources: Ints,
    count: int,
    above: Ints,
    label: Ints,
    semi: Ints,
    stack: Ints,
    dominator: Ints,
) -> None:
    """The immediate dominator of each number; above and dominator are to be copies of parent, label and semi
    0, 1, 2 ... That of 0 is itself."""
    for i in range(count - 1, 0, -1):
        least = parent[i]
        for j in range(into[i], into[i + 1]):
            found = semi[best_of(sources[j], i + 1, above, label, semi, stack)]
            least = min(least, found)
        semi[i] = least
    for i in range(1, count):
        at = dominator[i]
        while at > semi[i]:
            at = dominator[at]
        dominator[i] = at


@kernel
def add_up(dominator: Ints, count: int, bytes_: Ints, objects: Ints) -> None:
    """Make of what each number has itself what it keeps with all that it dominates."""
    for i in range(count - 1, 0, -1):
        bytes_[dominator[i]] += bytes_[i]
        objects[dominator[i]] += objects[i]


@kernel
def add_groups(
    top: int,
    begin: Ints,
    children: Ints,
    group_of: Ints,
    bytes_: Ints,
    objects: Ints,
    place: Ints,
    within: Ints,
    kept: Ints,
    counts: Ints,
) -> None:
    """Add to kept[g] and counts[g] what the numbers of group g keep at or below `top`: each of them but those
    that lie below another one of theirs, whose it is already. group_of: -1 for those in none. `place` has
    room for two numbers for each level, `within` is zeroes, by group, and is so again."""
    depth = 0
    place[0] = top
    place[1] = begin[top]
    while depth >= 0:
        at = place[2 * depth]
        j = place[2 * depth + 1]
        group = group_of[at]
        if j == begin[at] and group >= 0:
            if within[group] == 0:
                kept[group] += bytes_[at]
                counts[group] += objects[at]
            within[group] += 1
        if j < begin[at + 1]:
            place[2 * depth + 1] = j + 1
            depth += 1
            place[2 * depth] = children[j]
            place[2 * depth + 1] = begin[children[j]]
        else:
            if group >= 0:
                within[group] -= 1
            depth -= 1


@kernel
def count_children(dominator: Ints, count: int, begin: Ints) -> None:
    """begin[i] becomes where i's children begin in the list that `list_children` makes."""
    for i in range(1, count):
        begin[dominator[i] + 1] += 1
    for i in range(count):
        begin[i + 1] += begin[i]


@kernel
def list_children(dominator: Ints, count: int, at: Ints, children: Ints) -> None:
    """The children of all; `at` is a copy of what `count_children` made."""
    for i in range(1, count):
        children[at[dominator[i]]] = i
        at[dominator[i]] += 1


@kernel
def largest(children: Ints, begin: int, end: int, bytes_: Ints, found: Ints) -> int:
    """The children that keep most, the largest first, as many as `found` has room for; how many."""
    count, room = 0, len(found)
    for j in range(begin, end):
        child = children[j]
        size = bytes_[child]
        if count == room and size <= bytes_[found[count - 1]]:
            continue
        at = count if count < room else room - 1
        while at > 0 and bytes_[found[at - 1]] < size:
            found[at] = found[at - 1]
            at -= 1
        found[at] = child
        if count < room:
            count += 1
    return count


@kernel
def iota(column: Ints, first: int) -> None:
    """Make it `first`, and one more each time."""
    for i in range(len(column)):
        column[i] = first + i


@kernel
def count_owned(above: Ints, below: Ints, begin: Ints) -> None:
    """begin[k] becomes how many edges the owners before k have; those to -1 are none."""
    for j in range(len(above)):
        if below[j] >= 0:
            begin[above[j] + 1] += 1
    for k in range(1, len(begin)):
        begin[k] += begin[k - 1]


@kernel
def list_owned(above: Ints, below: Ints, begin: Ints, to: Ints, count: int, index: Ints, first: int) -> None:
    """Put those edges behind the `count` that there are, and where those of each owner begin behind those of
    the `first` objects."""
    owners = len(begin) - 1
    for k in range(owners):
        index[first + k] = count + begin[k]
    index[first + owners] = count + begin[owners]
    for j in range(len(above)):
        if below[j] >= 0:
            to[count + begin[above[j]]] = below[j]
            begin[above[j]] += 1


@kernel
def weigh(
    node_of: Ints, first: Ints, sizes: Ints, spans: Ints, objects: int, bytes_: Ints, counts: Ints
) -> None:
    """Bytes of each numbered node's own, and 1 if it is an object. `first` and `sizes` are of the spans, and
    `spans` what finds them (fill_spans)."""
    for i in range(len(bytes_)):
        node = node_of[i]
        if node < objects:
            bytes_[i] = sizes[span_of_number(node, first, spans)]
            counts[i] = 1


@kernel
def kept_by(number: Ints, first: int, bytes_: Ints, objects: Ints, kept: Ints, counts: Ints) -> None:
    """What nodes keep from `first` on, as many as there is room for; nothing if they are not reached."""
    for k in range(len(kept)):
        at = number[first + k]
        if at >= 0:
            kept[k] = bytes_[at]
            counts[k] = objects[at]
