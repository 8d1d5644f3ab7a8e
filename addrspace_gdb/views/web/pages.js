// What is known of each page of a moment's heap, a byte a page and colouring.

const NONE = 255; // a code: nothing is known of the page, or it is not of the heap

export const MOST_TYPES = 12; // types with colours of their own
export const OTHER_TYPE = 30; // codes of the others, and of what has no type that is known
export const UNKNOWN_TYPE = 31;

export const USES = ["objects", "stacks", "other", "free", "returned", "reserved"];
export const USE_WORDS = { other: "GC work and the like", returned: "returned to the OS" };
/** Codes of all pages of a moment's heap, one array a mode. */
export class Pages {
  constructor(space) {
    this.ranges = [];
    let total = 0;
    for (const [first, pages] of space.heapRanges()) {
      this.ranges.push({ first, pages, at: total });
      total += pages;
    }
    this.total = total;
    this.codes = { use: new Uint8Array(total).fill(NONE) };
    space.eachUse((page, pages, use) => this.fill("use", page, pages, USES.indexOf(use)));
    if (space.columns["span.page"]) this.addSpans(space);
    if (space.columns["span.bits"] || space.columns["span.live"]) this.addAges(space);
    if (space.columns["span.type"]) this.addTypes(space);
    if (space.columns["res.page"]) this.addResident(space);
  }

  addSpans(space) {
    for (const mode of ["occupancy", "class", "scan"])
      this.codes[mode] = new Uint8Array(this.total).fill(NONE);
    const kinds = space.told.heap.span_kinds;
    const starts = space.columns["span.page"];
    const lengths = space.columns["span.pages"];
    const used = space.columns["span.used"];
    const of = space.columns["span.kind"];
    for (let at = 0; at < starts.length; at += 1) {
      const kind = kinds[of[at]];
      if (!kind.slots) continue;
      this.fill("occupancy", starts[at], lengths[at], Math.round((100 * used[at]) / kind.slots));
      this.fill("class", starts[at], lengths[at], kind.size_class);
      this.fill("scan", starts[at], lengths[at], kind.noscan ? 1 : 0);
    }
  }

  /** How much of what is taken survived the last collection, in percent. */
  addAges(space) {
    this.codes.age = new Uint8Array(this.total).fill(NONE);
    const starts = space.columns["span.page"];
    const lengths = space.columns["span.pages"];
    for (let at = 0; at < starts.length; at += 1) {
      const age = space.ageOf(at);
      if (age === null || !age.used) continue;
      const code = Math.round((100 * Math.min(age.survived, age.used)) / age.used);
      this.fill("age", starts[at], lengths[at], code);
    }
  }

  /** What most objects of a span are: the types that fill most have numbers of their own. */
  addTypes(space) {
    this.codes.type = new Uint8Array(this.total).fill(NONE);
    this.types = space.told.heap.types.filter((name) => name !== null).slice(0, MOST_TYPES);
    const codeOf = space.told.heap.types.map((name) => {
      const at = this.types.indexOf(name);
      return name === null ? UNKNOWN_TYPE : at < 0 ? OTHER_TYPE : at;
    });
    const starts = space.columns["span.page"];
    const lengths = space.columns["span.pages"];
    const of = space.columns["span.type"];
    for (let at = 0; at < starts.length; at += 1) {
      if (of[at]) this.fill("type", starts[at], lengths[at], codeOf[of[at] - 1]);
    }
  }

  addResident(space) {
    const codes = (this.codes.resident = new Uint8Array(this.total));
    const starts = space.columns["res.page"];
    const lengths = space.columns["res.pages"];
    for (let at = 0; at < starts.length; at += 1) {
      for (let part = starts[at]; part < starts[at] + lengths[at]; part += 1) {
        const dense = this.dense(Math.floor(part / 2));
        if (dense >= 0) codes[dense] += 1;
      }
    }
  }

  /** What has changed since another moment: 0 nothing, 1 came into use, 2 is no longer, 3 has another use. */
  addChange(before) {
    const codes = (this.codes.change = new Uint8Array(this.total).fill(NONE));
    const isUsed = (use) => use <= 2;
    for (const range of this.ranges) {
      for (let page = 0; page < range.pages; page += 1) {
        const now = this.codes.use[range.at + page];
        const then = before.use(range.first + page);
        const same = now === then;
        codes[range.at + page] = same ? 0 : isUsed(now) ? (isUsed(then) ? 3 : 1) : isUsed(then) ? 2 : 0;
      }
    }
  }

  /** Where a page is in the arrays; -1 if it is not of the heap. */
  dense(page) {
    const range = this.ranges.find((one) => page >= one.first && page < one.first + one.pages);
    return range === undefined ? -1 : range.at + page - range.first;
  }

  /** The page at a place in the arrays. */
  page(at) {
    const range = this.ranges.find((one) => at >= one.at && at < one.at + one.pages);
    return range.first + at - range.at;
  }

  use(page) {
    const at = this.dense(page);
    return at < 0 ? NONE : this.codes.use[at];
  }

  fill(mode, page, pages, code) {
    const at = this.dense(page);
    if (at >= 0) this.codes[mode].fill(code, at, Math.min(this.total, at + pages));
  }
}
