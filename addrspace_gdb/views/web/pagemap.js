// The heap page by page on a canvas: a cell is a page of 8 KiB, or a power of two of them.
import { hex, size } from "./format.js";
import { el, fill } from "./dom.js";
import { dimmed, theme } from "./colors.js";
import { litWords } from "./lit.js";
import { PAGE } from "./where.js";
import { USES, USE_WORDS } from "./pages.js";
import { COLUMNS, Layer } from "./layer.js";
import { MODES, colorTable, legend } from "./modes.js";

const EDGE = 116; // pixels for the addresses at the left
const MOST_LAYERS = 8; // moments whose pages are kept: each takes a byte a page and colouring
const TOP = 8; // and above the first row

/** The map in `box`. What it `says`: hover(text), chosen(address), range(low, high), light(lit). */
export class PageMap {
  constructor(box, canvas, legend, says) {
    Object.assign(this, { box, canvas, legend, says });
    this.spacer = box.querySelector(".spacer");
    this.mode = "use";
    this.pagesInCell = 1;
    this.selected = null; // an address
    this.brush = null; // two addresses
    this.known = new Map(); // layers of moments
    this.before = null; // the layer of the first moment, if another is shown
    this.lit = null; // what is shown alone
    this.wiped = 0; // columns of it that are shown
    this.cells = document.createElement("canvas");
    this.waiting = false;
    this.listen();
  }

  setSpace(space, first) {
    this.layer = this.layerOf(space);
    this.pages = this.layer.pages;
    this.before = first && first !== space ? this.layerOf(first) : null;
    if (this.before) this.pages.addChange(this.before.pages);
    this.lay();
  }

  layerOf(space) {
    const made = this.known.get(space) || new Layer(space);
    this.known.delete(space); // the one that was asked for last is the last of them
    this.known.set(space, made);
    if (this.known.size > MOST_LAYERS) this.known.delete(this.known.keys().next().value);
    return made;
  }

  /** Show so many columns at the left as they were at the first moment. */
  wipe(columns) {
    this.wiped = columns;
    this.lay();
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
    const middle =
      this.selected === null ? this.addressAt(this.box.scrollTop + this.box.clientHeight / 2) : this.selected;
    this.pagesInCell = closer ? Math.max(1, this.pagesInCell / 2) : this.pagesInCell * 2;
    if (!closer && this.rows.length <= 4) this.pagesInCell = Math.max(1, this.pagesInCell / 2);
    this.lay();
    if (middle !== null) this.show(middle);
  }

  get cell() {
    return Math.max(4, Math.floor((this.box.clientWidth - EDGE - 4) / COLUMNS));
  }

  /** The rows of what is shown: before it was wiped away, too. */
  rowsFor(pagesInCell) {
    const rows = this.layer.rows(pagesInCell);
    if (!this.wiping) return rows;
    return [...new Set([...rows, ...this.before.rows(pagesInCell)])].sort((one, other) => one - other);
  }

  /** Whether columns at the left show the moment before. */
  get wiping() {
    return this.before !== null && this.wiped > 0;
  }

  /** Lay the rows out anew. */
  lay() {
    this.rows = this.rowsFor(this.pagesInCell);
    const paint = (layer, mode) => {
      const table = colorTable(mode);
      layer.paint(mode, table, table.map(dimmed), this.pagesInCell, this.lit);
    };
    paint(this.layer, this.mode);
    if (this.wiping) {
      const mode = this.mode in this.before.pages.codes ? this.mode : "use"; // it has no changes
      paint(this.before, mode);
    }
    this.spacer.style.height = `${this.rows.length * this.cell + 2 * TOP}px`;
    this.canvas.style.height = `${this.box.clientHeight}px`; // before anything asks where a cell is
    this.spacer.style.marginTop = `-${this.box.clientHeight}px`;
    fill(this.legend, this.litItem(), legend(this.mode, this.pagesInCell, this.pages));
    this.ask();
  }

  /** Show what was chosen elsewhere (lit.js) and dim the rest; null: all as it is. Whether there is any. */
  light(lit) {
    this.lit = lit;
    this.lay();
    if (lit === null) return true;
    const first = this.layer.mask.indexOf(1);
    if (first >= 0) this.show(this.pages.page(first) * PAGE);
    return first >= 0;
  }

  litItem() {
    if (this.lit === null) return null;
    const words = `✕ only ${litWords(this.lit)}: ${size(this.layer.litPages * PAGE)} of pages`;
    const press = el(
      "button",
      { type: "button", title: "show all (Esc)", onclick: () => this.says.light(null) },
      words,
    );
    return el("li", {}, press);
  }

  ask() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
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
    shown.forEach((row, at) => {
      image.data.set(this.layer.colors(row), at * COLUMNS * 4);
      if (this.wiping) image.data.set(this.before.colors(row).subarray(0, this.wiped * 4), at * COLUMNS * 4);
    });
    small.putImageData(image, 0, 0);
    paint.imageSmoothingEnabled = false;
    paint.drawImage(cells, EDGE, offset, COLUMNS * cell, shown.length * cell);
    if (cell < 6) return;
    paint.fillStyle = theme().back;
    for (let at = 0; at <= COLUMNS; at += 1)
      paint.fillRect(EDGE + at * cell - 1, offset, 1, shown.length * cell);
    for (let at = 0; at <= shown.length; at += 1)
      paint.fillRect(EDGE, offset + at * cell - 1, COLUMNS * cell, 1);
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
        const { pages } = column < this.wiped && this.before !== null ? this.before : this.layer;
        const use = pages.use(row * COLUMNS + column);
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
    if (this.wiping) {
      paint.fillStyle = theme().grown;
      paint.fillRect(EDGE + this.wiped * this.cell - 2, 0, 3, this.box.clientHeight);
    }
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
    return {
      x: EDGE + (cellNumber - row * COLUMNS) * this.cell,
      y: TOP + at * this.cell - this.box.scrollTop,
    };
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

  /** What a cell is, in a line; while it is wiped also what it was. */
  words(address) {
    if (!this.wiping) return this.wordsOf(this.layer, address);
    const [then, now] = [this.before, this.layer].map((layer) => this.wordsOf(layer, address));
    return then === now ? `${now} (then too)` : `then ${then}; now ${now}`;
  }

  wordsOf({ space, pages }, address) {
    if (this.pagesInCell === 1) return `${hex(address)} ${space.whereis(address).what}`;
    const many = {};
    const first = address / PAGE;
    for (let page = first; page < first + this.pagesInCell; page += 1) {
      const use = USES[pages.use(page)];
      if (use) many[use] = (many[use] || 0) + PAGE;
    }
    const parts = Object.entries(many).map(([use, bytes]) => `${USE_WORDS[use] || use} ${size(bytes)}`);
    const end = address + this.pagesInCell * PAGE;
    const there = space.resident(address, end);
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
    new ResizeObserver(() => {
      if (!this.layer) return;
      this.lay();
      this.draw(); // before it is painted, which would stretch what was drawn
    }).observe(box);
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
    const steps = {
      ArrowRight: bytes,
      ArrowLeft: -bytes,
      ArrowDown: COLUMNS * bytes,
      ArrowUp: -COLUMNS * bytes,
    };
    if (event.key in steps) {
      event.preventDefault();
      const now =
        this.selected === null
          ? this.addressAt(this.box.scrollTop + TOP)
          : Math.floor(this.selected / bytes) * bytes;
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
}
