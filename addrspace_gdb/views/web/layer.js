// A moment's heap as rows of cells: which rows there are, and the colours of their cells.
import { eachLit } from "./lit.js";
import { Pages } from "./pages.js";

export const COLUMNS = 64; // cells in a row
const LIT = 1e6; // how much more a lit page weighs
const MAP_ROWS = 1 << 20;

export class Layer {
  constructor(space) {
    this.space = space;
    this.pages = new Pages(space);
    this.colored = new Map();
    this.lit = this.mask = null;
  }

  /** The numbers of the rows that have anything but reserved pages, with so many pages in a cell. */
  rows(pagesInCell) {
    const inRow = pagesInCell * COLUMNS;
    const found = [];
    let last = -1;
    this.space.eachUse((page, pages, use) => {
      if (use === "reserved" || found.length > MAP_ROWS) return;
      const end = Math.floor((page + pages - 1) / inRow);
      for (let row = Math.max(last + 1, Math.floor(page / inRow)); row <= end; row += 1)
        found.push((last = row));
    });
    return found;
  }

  /** Colour anew: what a code of `mode` looks like is in `table`, and of what is not lit in `dimmed`. */
  paint(mode, table, dimmed, pagesInCell, lit) {
    this.light(lit);
    this.dimmed = dimmed;
    this.codes = this.pages.codes[mode] || this.pages.codes.use;
    this.table = table;
    this.inCell = pagesInCell;
    this.colored = new Map();
  }

  /** Note which pages are lit; null: all are. */
  light(lit) {
    if (lit === this.lit) return;
    this.lit = lit;
    this.mask = lit === null ? null : new Uint8Array(this.pages.total);
    if (lit !== null)
      eachLit(this.space, lit, (page, pages) => {
        const at = this.pages.dense(page);
        if (at >= 0) this.mask.fill(1, at, at + pages);
      });
  }

  /** How many pages are lit. */
  get litPages() {
    return this.mask ? this.mask.reduce((sum, one) => sum + one, 0) : 0;
  }

  /** The colours of a row's cells, four bytes each: of many pages the mean. */
  colors(row) {
    let made = this.colored.get(row);
    if (made) return made;
    const { inCell, codes, mask } = this;
    const first = row * inCell * COLUMNS;
    const sums = new Float64Array(COLUMNS * 4);
    for (const range of this.pages.ranges) {
      const low = Math.max(first, range.first);
      const high = Math.min(first + inCell * COLUMNS, range.first + range.pages);
      for (let page = low; page < high; page += 1) {
        const place = range.at + page - range.first;
        const dim = mask !== null && !mask[place];
        const color = (dim ? this.dimmed : this.table)[codes[place]];
        const weight = mask === null || dim ? 1 : LIT; // one lit page of many must be seen
        const at = 4 * Math.floor((page - first) / inCell);
        sums[at] += weight * color[0];
        sums[at + 1] += weight * color[1];
        sums[at + 2] += weight * color[2];
        sums[at + 3] += weight;
      }
    }
    made = new Uint8ClampedArray(COLUMNS * 4);
    for (let at = 0; at < sums.length; at += 4) {
      const many = sums[at + 3];
      if (!many) continue;
      for (let part = 0; part < 3; part += 1) made[at + part] = sums[at + part] / many;
      made[at + 3] = 255;
    }
    this.colored.set(row, made);
    return made;
  }
}
