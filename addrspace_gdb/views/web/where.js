// What is at an address: what `addrspace whereis` says, as far as it is in the file.
import { lastAtMost } from "./data.js";
import { count } from "./format.js";

export const PAGE = 8192; // bytes of a page of Go's heap
const OS_PAGE = 4096; // what residency is told in
export const STATES = ["live", "since", "dead", "free"];
const SAID = { live: "allocated", since: "allocated", dead: "dead", free: "free" };

const ONES = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll("0", "").length); // bits of a byte

// The uses of heap pages by the kinds of regions, for moments that have no pages (views of dumps).
const USE_OF_KIND = {
  "small objects": "objects",
  "large objects": "objects",
  "user arena": "objects",
  "stack span": "stacks",
  "free pages": "free",
  "page cache": "free",
  "returned pages": "returned",
  "base padding": "reserved",
  "freed user arena": "reserved",
  reserved: "reserved",
};

/** One moment of a process. */
export class Space {
  constructor(told, columns) {
    this.told = told;
    this.columns = columns;
    this.name = told.name;
    this.bits = this.bitOffsets();
    this.stacks = told.goroutine_stacks;
    this.goroutineAt = new Map();
    const goids = columns["g.goid"];
    if (goids) for (let at = 0; at < goids.length; at += 1) this.goroutineAt.set(goids[at], at);
  }

  /** Where in the slots' bits those of each span begin. */
  bitOffsets() {
    const bytes = this.columns["span.bits"];
    if (!bytes) return null;
    const kinds = this.columns["span.kind"];
    const offsets = new Uint32Array(bytes.length + 1);
    for (let at = 0; at < bytes.length; at += 1) {
      const twice = this.told.heap.span_kinds[kinds[at]].settled ? 1 : 2;
      offsets[at + 1] = offsets[at] + bytes[at] * twice;
    }
    return offsets;
  }

  get regionCount() {
    return this.columns["region.start"].length;
  }

  /** A region by its number. */
  region(at) {
    const [area, kind, label, permissions, file] = this.told.regions[this.columns["region.what"][at]];
    const start = this.columns["region.start"][at];
    const bytes = this.columns["region.size"][at];
    const resident = this.columns["region.resident"][at];
    return {
      start,
      end: start + bytes,
      size: bytes,
      area,
      kind,
      label,
      permissions,
      file,
      resident: resident === 0 ? null : resident - 1,
    };
  }

  regionAt(address) {
    const at = lastAtMost(this.columns["region.start"], address);
    const found = at < 0 ? null : this.region(at);
    return found !== null && address < found.end ? found : null;
  }

  /** The number of the span that has a page of the heap; -1 for none. */
  spanOfPage(page) {
    const starts = this.columns["span.page"];
    if (!starts) return -1;
    const at = lastAtMost(starts, page);
    return at >= 0 && page < starts[at] + this.columns["span.pages"][at] ? at : -1;
  }

  /** A span by its number. */
  span(at) {
    const kind = this.told.heap.span_kinds[this.columns["span.kind"][at]];
    const start = this.columns["span.page"][at] * PAGE;
    const bytes = this.columns["span.pages"][at] * PAGE;
    return {
      number: at,
      start,
      end: start + bytes,
      size: bytes,
      used: this.columns["span.used"][at],
      ...kind,
    };
  }

  /** What each slot of a span holds, one of STATES a slot; null where the file does not have it. */
  slotsOf(at) {
    const bytes = this.bits === null ? 0 : this.columns["span.bits"][at];
    const span = this.span(at);
    if (!bytes || !span.slots) return null;
    const bits = this.columns.slots;
    const from = this.bits[at];
    const free = this.columns["span.freeindex"][at];
    const is = (slot, base) => (bits[base + (slot >> 3)] >> (slot & 7)) & 1;
    const made = new Array(span.slots);
    for (let slot = 0; slot < span.slots; slot += 1) {
      if (is(slot, from)) made[slot] = "live";
      else if (span.settled) made[slot] = slot < free ? "since" : "free";
      else made[slot] = is(slot, from + bytes) ? "dead" : "free";
    }
    return made;
  }

  /** Of a span how many slots survived the last collection, and how many are taken; null where that is not known. */
  ageOf(at) {
    const counts = this.columns["span.live"];
    const used = this.columns["span.used"][at];
    if (counts) return counts[at] ? { survived: counts[at] - 1, used } : null;
    const bytes = this.bits === null ? 0 : this.columns["span.bits"][at];
    if (!bytes) return null;
    const bits = this.columns.slots;
    let survived = 0;
    for (let byte = this.bits[at]; byte < this.bits[at] + bytes; byte += 1) survived += ONES[bits[byte]];
    return { survived, used };
  }

  /** What most objects of a span are; null for none, "" where it is not known. */
  typeOf(at) {
    const numbers = this.columns["span.type"];
    if (!numbers || !numbers[at]) return null;
    return this.told.heap.types[numbers[at] - 1] ?? "";
  }

  /** Bytes of [start, end) in the heap that are in memory; null where that is not known. */
  resident(start, end) {
    const starts = this.columns["res.page"];
    if (!starts) return null;
    const lengths = this.columns["res.pages"];
    let at = Math.max(0, lastAtMost(starts, start / OS_PAGE));
    let total = 0;
    for (; at < starts.length && starts[at] * OS_PAGE < end; at += 1) {
      const low = Math.max(start, starts[at] * OS_PAGE);
      const high = Math.min(end, (starts[at] + lengths[at]) * OS_PAGE);
      if (low < high) total += high - low;
    }
    return total;
  }

  /** The piece of stack memory at an address; null for none. */
  pieceAt(address) {
    const starts = this.columns["piece.start"];
    if (!starts) return null;
    const at = lastAtMost(starts, address);
    if (at < 0 || address >= starts[at] + this.columns["piece.size"][at]) return null;
    const kind = this.told.pieces.kinds[this.columns["piece.kind"][at]];
    const owner = this.columns["piece.owner"][at];
    const end = starts[at] + this.columns["piece.size"][at];
    return { start: starts[at], end, kind, owner };
  }

  /** A goroutine by its goid; null if it is not in the file. */
  goroutine(goid) {
    const at = this.goroutineAt.get(goid);
    if (at === undefined) return null;
    const lo = this.columns["g.lo"][at];
    const stack = this.columns["g.stack"][at];
    return { goid, lo, hi: lo + this.columns["g.size"][at], stack, ...this.stackOf(stack) };
  }

  /** A stack that goroutines share: its function and frames, the innermost first. */
  stackOf(number) {
    const stack = this.stacks.stacks[number];
    const frames = stack.frames.map((text) => this.stacks.texts[text].split("\t")).reverse();
    return { function: stack.function, frames };
  }

  /** Everything about an address. */
  whereis(address) {
    const region = this.regionAt(address);
    const found = {
      address,
      area: region === null ? null : region.area,
      region,
      span: null,
      slot: null,
      stack: null,
    };
    const number = this.spanOfPage(Math.floor(address / PAGE));
    if (number >= 0) {
      found.span = this.span(number);
      found.slot = this.slotAt(number, address);
    }
    if (region !== null && (region.area === "goroutine-stacks" || region.area === "thread-stacks")) {
      found.stack = this.pieceAt(address);
    }
    found.what = this.words(found);
    return found;
  }

  slotAt(number, address) {
    const span = this.span(number);
    const states = this.slotsOf(number);
    if (!span.slots) return null;
    const slot = Math.floor((address - span.start) / span.element);
    if (slot >= span.slots) return { number: null, state: null, waste: true };
    const base = span.start + slot * span.element;
    return { number: slot, base, size: span.element, offset: address - base, state: states && states[slot] };
  }

  /** The one line, in the words of `whereis`. */
  words(found) {
    const { slot, span, stack, region } = found;
    if (slot !== null && slot.waste) return `${span.holds}; tail waste: behind the last slot of the span`;
    if (slot !== null) {
      const offset = slot.offset ? ` + ${count(slot.offset)}` : "";
      const scan = span.noscan ? "noscan" : "scan";
      const state = slot.state === null ? "" : `, ${SAID[slot.state]}`;
      return `${count(slot.size)}-byte slot${offset}, ${scan}${state}`;
    }
    if (stack !== null) {
      if (stack.kind === "goroutine") return `goroutine ${stack.owner}`;
      if (stack.kind === "dead goroutine") return `goroutine ${stack.owner} (dead)`;
      return stack.kind.startsWith("free") ? stack.kind : `${stack.kind} of m${stack.owner}`;
    }
    if (region === null) return "nothing is mapped";
    const kind = region.label.startsWith(region.kind) ? "" : region.kind;
    const file = region.file && region.area === "mapped-files" ? region.file.split("/").pop() : "";
    return [kind, region.label, file].filter(Boolean).join(" ") || region.area;
  }

  /** Ranges of heap pages, [first page, pages], that the map shows. */
  heapRanges() {
    if (this.told.heap) {
      const joined = [];
      for (const [low, high] of this.told.heap.arenas) {
        const first = Number(BigInt(low) / BigInt(PAGE));
        const pages = Number(BigInt(high) / BigInt(PAGE)) - first;
        const last = joined[joined.length - 1];
        if (last && last[0] + last[1] === first) last[1] += pages;
        else joined.push([first, pages]);
      }
      return joined;
    }
    const joined = [];
    for (let at = 0; at < this.regionCount; at += 1) {
      const { start, end, area } = this.region(at);
      if (area !== "heap" && area !== "goroutine-stacks") continue;
      const first = Math.floor(start / PAGE);
      const after = Math.ceil(end / PAGE);
      const last = joined[joined.length - 1];
      if (last && first <= last[0] + last[1]) last[1] = Math.max(last[1], after - last[0]);
      else joined.push([first, after - first]);
    }
    return joined;
  }

  /** Calls `mark(page, pages, use)` for every run of pages of one use. */
  eachUse(mark) {
    const pages = this.columns["run.page"];
    if (pages) {
      for (let at = 0; at < pages.length; at += 1) {
        mark(pages[at], this.columns["run.pages"][at], this.told.heap.use_names[this.columns["run.use"][at]]);
      }
      return;
    }
    for (let at = 0; at < this.regionCount; at += 1) {
      const { start, end, area, kind } = this.region(at);
      if (area !== "heap" && area !== "goroutine-stacks") continue;
      const use = area === "goroutine-stacks" ? "stacks" : USE_OF_KIND[kind] || "other";
      const first = Math.floor(start / PAGE);
      mark(first, Math.ceil(end / PAGE) - first, use);
    }
  }

  /** Totals of a range of heap addresses, which both begin and end with a page. */
  totals(start, end) {
    const uses = {};
    this.eachUse((page, pages, use) => {
      const low = Math.max(start, page * PAGE);
      const high = Math.min(end, (page + pages) * PAGE);
      if (low < high) uses[use] = (uses[use] || 0) + high - low;
    });
    const found = { start, end, uses, spans: 0, objects: 0, resident: this.resident(start, end) };
    const pages = this.columns["span.page"];
    if (!pages) return found;
    const kinds = this.told.heap.span_kinds;
    let at = Math.max(0, lastAtMost(pages, start / PAGE));
    for (; at < pages.length && pages[at] * PAGE < end; at += 1) {
      if ((pages[at] + this.columns["span.pages"][at]) * PAGE <= start) continue;
      found.spans += 1;
      if (kinds[this.columns["span.kind"][at]].slots) found.objects += this.columns["span.used"][at];
    }
    return found;
  }
}
