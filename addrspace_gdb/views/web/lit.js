// Which pages of the heap something is in that was chosen elsewhere: a node of a tree, a row of a table.
import { count, size } from "./format.js";
import { PAGE } from "./where.js";
import { USE_WORDS } from "./pages.js";

const USE_OF_NODE = {
  objects: "objects",
  "goroutine stacks": "stacks",
  "free pages": "free",
  "pages returned to the OS": "returned",
};

/** What is lit for a node of the tree of resident bytes, by its name; null for what has no pages of the heap. */
export function litByNode(name) {
  return name in USE_OF_NODE || name === "large objects" || /^objects of /.test(name) ? `node:${name}` : null;
}

/** In words. */
export function litWords(lit) {
  const [what, value] = parts(lit);
  if (what === "class") {
    const [element, scan] = value.split(",");
    const objects = element === "large" ? "large objects" : `objects of ${count(Number(element))} bytes`;
    return `${objects} ${scan === "scan" ? "with" : "without"} pointers`;
  }
  if (what === "stack") return "the stacks of some goroutines";
  if (what === "use") return USE_WORDS[value] || value;
  return value || "objects of no type that is known";
}

function parts(lit) {
  const at = lit.indexOf(":");
  return [lit.slice(0, at), lit.slice(at + 1)];
}

/** Calls `mark(first page, pages)` for all of `lit`: "node:NAME", "use:USE", "class:SIZE,SCAN", "type:NAME", "stack:NUMBER". */
export function eachLit(space, lit, mark) {
  const [what, value] = parts(lit);
  if (what === "stack") return eachStack(space, Number(value), mark);
  if (what === "use") return space.eachUse((page, pages, use) => use === value && mark(page, pages));
  if (what === "node" && Object.hasOwn(USE_OF_NODE, value))
    return space.eachUse((page, pages, use) => use === USE_OF_NODE[value] && mark(page, pages));
  const starts = space.columns["span.page"];
  const tests = new Map([
    ["node", ofNode],
    ["class", ofClass],
    ["type", ofType],
  ]);
  if (!starts || !tests.has(what)) return undefined;
  const fits = tests.get(what)(space, value);
  for (let at = 0; at < starts.length; at += 1)
    if (fits(at)) mark(starts[at], space.columns["span.pages"][at]);
  return undefined;
}

/** A test of spans by what their kind is. */
function byKind(space, test) {
  const fits = space.told.heap.span_kinds.map((kind) => kind.slots > 0 && test(kind));
  return (at) => fits[space.columns["span.kind"][at]];
}

function ofNode(space, name) {
  return byKind(space, (kind) =>
    kind.size_class ? name === `objects of ${size(kind.element)}` : name === "large objects",
  );
}

function ofClass(space, value) {
  const [element, scan] = value.split(",");
  return byKind(
    space,
    (kind) =>
      (kind.size_class ? String(kind.element) : "large") === element && (scan === "scan") === !kind.noscan,
  );
}

function ofType(space, name) {
  return (at) => space.typeOf(at) === name;
}

function eachStack(space, number, mark) {
  const of = space.columns["g.stack"] || [];
  for (let at = 0; at < of.length; at += 1) {
    if (of[at] !== number) continue;
    const lo = space.columns["g.lo"][at];
    const first = Math.floor(lo / PAGE);
    mark(first, Math.ceil((lo + space.columns["g.size"][at]) / PAGE) - first);
  }
}
