// The heap page by page on a canvas: a cell is a page of 8 KiB, or a power of two of them.
import { count, hex, size } from "./format.js";
import { el, fill } from "./dom.js";
import { manyColor, rampColor, rgb, theme } from "./colors.js";
import { PAGE } from "./where.js";

const COLUMNS = 64; // cells in a row
const EDGE = 116; // pixels for the addresses at the left
const TOP = 8; // and above the first row
const NONE = 255; // a code: nothing is known of the page, or it is not of the heap
const ARENA_ROWS = 1 << 20; // rows at most

const USES = ["objects", "stacks", "other", "free", "returned", "reserved"];
const USE_WORDS = { other: "GC work and the like", returned: "returned to the OS" };
export const MODES = {
  use: "what pages are used for",
  occupancy: "how full spans are",
  class: "size class",
  scan: "pointers or none",
  resident: "in memory",
  change: "changed since the first moment",
};

/** Codes of all pages of a moment's heap, one array a mode. */
class Pages {
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
    if (space.columns["res.page"]) this.addResident(space);
  }

  addSpans(space) {
    for (const mode of ["occupancy", "class", "scan"]) this.codes[mode] = new Uint8Array(this.total).fill(NONE);
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

  use(page) {
    const at = this.dense(page);
    return at < 0 ? NONE : this.codes.use[at];
  }

  fill(mode, page, pages, code) {
    const at = this.dense(page);
    if (at >= 0) this.codes[mode].fill(code, at, Math.min(this.total, at + pages));
  }
}

/** The map in `box`. `says.hover(text)`, `says.chosen(address)` and `says.range(low, high)` are called. */
export class PageMap {
  constructor(box, canvas, legend, says) {
    Object.assign(this, { box, canvas, legend, says });
    this.spacer = box.querySelector(".spacer");
    this.mode = "use";
    this.pagesInCell = 1;
    this.selected = null; // an address
    this.brush = null; // two addresses
    this.known = new Map(); // pages of moments
    this.cells = document.createElement("canvas");
    this.waiting = false;
    this.listen();
  }

  setSpace(space, first) {
    this.space = space;
    this.pages = this.pagesOf(space);
    if (first && first !== space) this.pages.addChange(this.pagesOf(first));
    this.lay();
  }

  pagesOf(space) {
    if (!this.known.has(space)) this.known.set(space, new Pages(space));
    return this.known.get(space);
  }

  get modes() {
    return Object.keys(MODES).filter((mode) => mode in this.pages.codes);
  }

  setMode(mode) {
    this.mode = mode in this.pages.codes ? mode : "use";
    this.lay();
  }

  /** Cells as large as it takes for all to be seen at once. */
  fit() {
    this.pagesInCell = 1;
    const room = Math.max(8, Math.floor((this.box.clientHeight - 2 * TOP) / this.cell));
    while (this.pagesInCell < 1 << 20 && this.rowsFor(this.pagesInCell).length > room) this.pagesInCell *= 2;
    this.lay();
  }

  zoom(closer) {
    const middle = this.selected === null ? this.addressAt(this.box.scrollTop + this.box.clientHeight / 2) : this.selected;
    this.pagesInCell = closer ? Math.max(1, this.pagesInCell / 2) : this.pagesInCell * 2;
    if (!closer && this.rows.length <= 4) this.pagesInCell = Math.max(1, this.pagesInCell / 2);
    this.lay();
    if (middle !== null) this.show(middle);
  }

  get cell() {
    return Math.max(4, Math.floor((this.box.clientWidth - EDGE - 4) / COLUMNS));
  }

  rowsFor(pagesInCell) {
    const inRow = pagesInCell * COLUMNS;
    const found = [];
    let last = -1;
    this.space.eachUse((page, pages, use) => {
      if (use === "reserved" || found.length > ARENA_ROWS) return;
      const end = Math.floor((page + pages - 1) / inRow);
      for (let row = Math.max(last + 1, Math.floor(page / inRow)); row <= end; row += 1) found.push((last = row));
    });
    return found;
  }

  /** Lay the rows out anew. */
  lay() {
    this.rows = this.rowsFor(this.pagesInCell);
    this.colored = new Map();
    this.table = this.colorTable();
    this.spacer.style.height = `${this.rows.length * this.cell + 2 * TOP}px`;
    this.canvas.style.height = `${this.box.clientHeight}px`; // before anything asks where a cell is
    this.spacer.style.marginTop = `-${this.box.clientHeight}px`;
    this.drawLegend();
    this.ask();
  }

  ask() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  colorTable() {
    const made = new Array(256).fill(rgb(theme().none));
    const put = (code, color) => (made[code] = Array.isArray(color) ? color : rgb(color));
    if (this.mode === "use") USES.forEach((use, code) => put(code, theme().uses[use]));
    if (this.mode === "occupancy") for (let part = 0; part <= 100; part += 1) put(part, rampColor(part / 100));
    if (this.mode === "class") for (let code = 0; code < 128; code += 1) put(code, manyColor(code));
    if (this.mode === "scan") [theme().uses.objects, theme().uses.free].forEach((color, code) => put(code, color));
    if (this.mode === "resident") theme().resident.forEach((color, code) => put(code, color));
    if (this.mode === "change") {
      [theme().uses.returned, theme().grown, theme().shrunk, theme().uses.stacks].forEach((color, code) => put(code, color));
    }
    return made;
  }

  /** The colours of a row's cells: of many pages the mean. */
  colors(row) {
    let made = this.colored.get(row);
    if (made) return made;
    const inCell = this.pagesInCell;
    const first = row * inCell * COLUMNS;
    const sums = new Float64Array(COLUMNS * 4);
    const codes = this.pages.codes[this.mode];
    for (const range of this.pages.ranges) {
      const low = Math.max(first, range.first);
      const high = Math.min(first + inCell * COLUMNS, range.first + range.pages);
      for (let page = low; page < high; page += 1) {
        const color = this.table[codes[range.at + page - range.first]];
        const at = 4 * Math.floor((page - first) / inCell);
        sums[at] += color[0];
        sums[at + 1] += color[1];
        sums[at + 2] += color[2];
        sums[at + 3] += 1;
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

  draw() {
    const { cell, canvas } = this;
    const wide = this.box.clientWidth;
    const high = this.box.clientHeight;
    const scale = window.devicePixelRatio || 1;
    if (canvas.width !== wide * scale || canvas.height !== high * scale) {
      canvas.width = wide * scale;
      canvas.height = high * scale;
      canvas.style.width = `${wide}px`;
      canvas.style.height = `${high}px`;
    }
    const paint = canvas.getContext("2d");
    paint.setTransform(scale, 0, 0, scale, 0, 0);
    paint.fillStyle = theme().back;
    paint.fillRect(0, 0, wide, high);
    const top = this.box.scrollTop - TOP;
    const from = Math.max(0, Math.floor(top / cell));
    const shown = this.rows.slice(from, from + Math.ceil(high / cell) + 1);
    if (!shown.length) return this.drawEmpty(paint);
    const offset = from * cell - top;
    this.drawCells(paint, shown, offset);
    this.drawPatterns(paint, shown, offset);
    this.drawLabels(paint, shown, offset);
    this.drawMarks(paint);
    return undefined;
  }

  drawEmpty(paint) {
    paint.fillStyle = theme().ink;
    paint.font = "14px sans-serif";
    paint.fillText("No Go heap is known here.", 12, 24);
  }

  drawCells(paint, shown, offset) {
    const { cell, cells } = this;
    cells.width = COLUMNS;
    cells.height = shown.length;
    const small = cells.getContext("2d");
    const image = small.createImageData(COLUMNS, shown.length);
    shown.forEach((row, at) => image.data.set(this.colors(row), at * COLUMNS * 4));
    small.putImageData(image, 0, 0);
    paint.imageSmoothingEnabled = false;
    paint.drawImage(cells, EDGE, offset, COLUMNS * cell, shown.length * cell);
    if (cell < 6) return;
    paint.fillStyle = theme().back;
    for (let at = 0; at <= COLUMNS; at += 1) paint.fillRect(EDGE + at * cell - 1, offset, 1, shown.length * cell);
    for (let at = 0; at <= shown.length; at += 1) paint.fillRect(EDGE, offset + at * cell - 1, COLUMNS * cell, 1);
  }

  /** A mark in cells of single pages, so that uses are told apart in grey too. */
  drawPatterns(paint, shown, offset) {
    const { cell } = this;
    if (this.mode !== "use" || this.pagesInCell > 1 || cell < 6) return;
    paint.strokeStyle = theme().back;
    paint.lineWidth = 1;
    paint.beginPath();
    shown.forEach((row, at) => {
      const y = offset + at * cell;
      for (let column = 0; column < COLUMNS; column += 1) {
        const use = this.pages.use(row * COLUMNS + column);
        const x = EDGE + column * cell;
        if (use === 1 || use === 2) {
          paint.moveTo(x + 1, y + cell - 2);
          paint.lineTo(x + cell - 2, y + 1);
        }
        if (use === 2) {
          paint.moveTo(x + 1, y + 1);
          paint.lineTo(x + cell - 2, y + cell - 2);
        }
        if (use === 3) {
          paint.moveTo(x + cell / 2 - 1.5, y + cell / 2 - 0.5);
          paint.lineTo(x + cell / 2 + 0.5, y + cell / 2 - 0.5);
        }
      }
    });
    paint.stroke();
  }

  drawLabels(paint, shown, offset) {
    const { cell } = this;
    paint.fillStyle = theme().ink;
    paint.font = "12px ui-monospace, 'DejaVu Sans Mono', monospace";
    paint.textBaseline = "middle";
    const every = Math.max(1, Math.ceil(16 / cell));
    const inRow = this.pagesInCell * COLUMNS;
    shown.forEach((row, at) => {
      const broken = at > 0 && row !== shown[at - 1] + 1;
      const number = at + Math.round((this.box.scrollTop - TOP + offset) / cell);
      if (number % every === 0) paint.fillText(hex(row * inRow * PAGE), 2, offset + at * cell + cell / 2);
      if (broken) {
        paint.fillStyle = theme().grown;
        paint.fillRect(EDGE - 6, offset + at * cell - 1, COLUMNS * cell + 6, 1);
        paint.fillStyle = theme().ink;
      }
    });
  }

  drawMarks(paint) {
    if (this.brush) {
      paint.fillStyle = `${theme().ink}33`;
      const [low, high] = [Math.min(...this.brush), Math.max(...this.brush)];
      for (const [x, y, wide] of this.stripes(low, high)) paint.fillRect(x, y, wide, this.cell - 1);
    }
    const at = this.selected === null ? null : this.place(this.selected);
    if (at === null) return;
    paint.strokeStyle = theme().back;
    paint.lineWidth = 4;
    paint.strokeRect(at.x - 1.5, at.y - 1.5, this.cell + 2, this.cell + 2);
    paint.strokeStyle = theme().ink;
    paint.lineWidth = 2;
    paint.strokeRect(at.x - 1.5, at.y - 1.5, this.cell + 2, this.cell + 2);
  }

  /** Rows or parts of rows between two addresses, as [x, y, width] on the canvas. */
  stripes(low, high) {
    const bytes = this.pagesInCell * PAGE;
    const found = [];
    this.rows.forEach((row, at) => {
      const start = row * COLUMNS * bytes;
      const from = Math.max(0, Math.floor((low - start) / bytes));
      const to = Math.min(COLUMNS, Math.floor((high - start) / bytes) + 1);
      const y = TOP + at * this.cell - this.box.scrollTop;
      if (from < to && y > -this.cell && y < this.box.clientHeight) {
        found.push([EDGE + from * this.cell, y, (to - from) * this.cell - 1]);
      }
    });
    return found;
  }

  /** Where the cell of an address is on the canvas; null if no row has it. */
  place(address) {
    const cellNumber = Math.floor(address / (this.pagesInCell * PAGE));
    const row = Math.floor(cellNumber / COLUMNS);
    const at = this.rows.indexOf(row);
    if (at < 0) return null;
    return { x: EDGE + (cellNumber - row * COLUMNS) * this.cell, y: TOP + at * this.cell - this.box.scrollTop };
  }

  /** The first address of the row at a height in all rows; null below them. */
  addressAt(y) {
    const row = this.rows[Math.floor((y - TOP) / this.cell)];
    return row === undefined ? null : row * this.pagesInCell * COLUMNS * PAGE;
  }

  /** The first address of the cell at a point of the canvas; null where there is none. */
  hit(x, y) {
    const column = Math.floor((x - EDGE) / this.cell);
    const row = this.addressAt(y + this.box.scrollTop);
    if (row === null || column < 0 || column >= COLUMNS) return null;
    return row + column * this.pagesInCell * PAGE;
  }

  /** Scroll so that an address is seen. */
  show(address) {
    const at = this.place(address);
    if (at === null) return;
    if (at.y < 0 || at.y > this.box.clientHeight - this.cell) {
      this.box.scrollTop += at.y - this.box.clientHeight / 2;
    }
    this.ask();
  }

  select(address) {
    this.selected = address;
    if (address !== null) this.show(address);
    this.ask();
  }

  /** What a cell is, in a line. */
  words(address) {
    if (this.pagesInCell === 1) return `${hex(address)} ${this.space.whereis(address).what}`;
    const many = {};
    const first = address / PAGE;
    for (let page = first; page < first + this.pagesInCell; page += 1) {
      const use = USES[this.pages.use(page)];
      if (use) many[use] = (many[use] || 0) + PAGE;
    }
    const parts = Object.entries(many).map(([use, bytes]) => `${USE_WORDS[use] || use} ${size(bytes)}`);
    const end = address + this.pagesInCell * PAGE;
    const there = this.space.resident(address, end);
    const resident = there === null ? "" : `; resident ${size(there)}`;
    return `${hex(address)}-${hex(end)} ${parts.join(", ") || "not of the heap"}${resident}`;
  }

  listen() {
    const { canvas, box } = this;
    let pressed = null;
    const at = (event) => {
      const frame = canvas.getBoundingClientRect();
      return this.hit(event.clientX - frame.left, event.clientY - frame.top);
    };
    canvas.addEventListener("pointermove", (event) => {
      const address = at(event);
      if (address === null) return;
      if (pressed !== null && address !== pressed) {
        this.brush = [pressed, address];
        this.ask();
      }
      this.says.hover(this.words(address));
    });
    canvas.addEventListener("pointerdown", (event) => {
      pressed = at(event);
      if (pressed !== null) canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointerup", (event) => {
      const address = at(event);
      if (pressed !== null && this.brush && address !== pressed) this.finishBrush();
      else if (address !== null) this.says.chosen(address);
      pressed = null;
    });
    canvas.addEventListener("keydown", (event) => this.key(event));
    box.addEventListener("scroll", () => this.ask());
    new ResizeObserver(() => this.space && this.lay()).observe(box);
    box.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey) return;
        event.preventDefault();
        this.zoom(event.deltaY < 0);
      },
      { passive: false },
    );
  }

  finishBrush() {
    const [low, high] = [Math.min(...this.brush), Math.max(...this.brush) + this.pagesInCell * PAGE];
    this.brush = [low, high - 1];
    this.says.range(low, high);
  }

  key(event) {
    const bytes = this.pagesInCell * PAGE;
    const steps = { ArrowRight: bytes, ArrowLeft: -bytes, ArrowDown: COLUMNS * bytes, ArrowUp: -COLUMNS * bytes };
    if (event.key in steps) {
      event.preventDefault();
      const now = this.selected === null ? this.addressAt(this.box.scrollTop + TOP) : Math.floor(this.selected / bytes) * bytes;
      const next = this.selected === null ? now : this.neighbour(now, steps[event.key]);
      if (next !== null) this.says.chosen(next);
    }
    if (event.key === "+" || event.key === "=") this.zoom(true);
    if (event.key === "-") this.zoom(false);
    if (event.key === "0") this.fit();
  }

  /** The next cell that a row has, over gaps between rows. */
  neighbour(address, step) {
    const next = address + step;
    if (this.place(next) !== null) return next;
    const at = this.rows.findIndex((row) => row * this.pagesInCell * COLUMNS * PAGE > address);
    if (step > 0) return at < 0 ? null : this.rows[at] * this.pagesInCell * COLUMNS * PAGE;
    const last = (at < 0 ? this.rows.length : at) - 2;
    return last < 0 ? null : this.rows[last] * this.pagesInCell * COLUMNS * PAGE;
  }

  drawLegend() {
    const items = [];
    const add = (color, text) => items.push(el("li", {}, el("span", { class: "swatch", style: { background: color } }), text));
    const css = ([red, green, blue]) => `rgb(${red} ${green} ${blue})`;
    if (this.mode === "use") USES.slice(0, 5).forEach((use, code) => add(css(this.table[code]), USE_WORDS[use] || use));
    if (this.mode === "occupancy") [0, 50, 100].forEach((part) => add(css(this.table[part]), `${part}% of the slots`));
    if (this.mode === "class") add(css(this.table[0]), "large objects; every other colour is a size class");
    if (this.mode === "scan") ["with pointers", "without"].forEach((text, code) => add(css(this.table[code]), text));
    if (this.mode === "resident") ["no part", "half", "all of it"].forEach((text, code) => add(css(this.table[code]), text));
    if (this.mode === "change") ["as it was", "came into use", "no longer in use", "another use"].forEach((text, code) => add(css(this.table[code]), text));
    const scale = this.pagesInCell === 1 ? "a page of 8 KiB" : `${size(this.pagesInCell * PAGE)}, ${count(this.pagesInCell)} pages`;
    fill(this.legend, el("li", { class: "quiet" }, `a cell is ${scale}`), items);
  }
}
