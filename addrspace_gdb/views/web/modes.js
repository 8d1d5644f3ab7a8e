// What the colours of the map can mean.
import { count, size } from "./format.js";
import { el } from "./dom.js";
import { manyColor, rampColor, rgb, theme } from "./colors.js";
import { PAGE } from "./where.js";
import { MOST_TYPES, OTHER_TYPE, UNKNOWN_TYPE, USES, USE_WORDS } from "./pages.js";

/** By the name of the codes: in words, the colours of the codes from 0 on, and what the legend says of some. */
export const MODES = {
  use: {
    words: "what pages are used for",
    colors: () => USES.map((use) => theme().uses[use]),
    legend: USES.slice(0, 5).map((use, code) => [code, USE_WORDS[use] || use]),
  },
  occupancy: {
    words: "how full spans are",
    colors: () => Array.from({ length: 101 }, (_, part) => rampColor(part / 100)),
    legend: [0, 50, 100].map((part) => [part, `${part}% of the slots`]),
  },
  class: {
    words: "size class",
    colors: () => Array.from({ length: 128 }, (_, code) => manyColor(code)),
    legend: [[0, "large objects; every other colour is a size class"]],
  },
  scan: {
    words: "pointers or none",
    colors: () => [theme().uses.objects, theme().uses.free],
    legend: [
      [0, "with pointers"],
      [1, "without"],
    ],
  },
  type: {
    words: "type of most objects",
    colors: () => {
      const colors = Array.from({ length: MOST_TYPES }, (_, code) => manyColor(code));
      colors[OTHER_TYPE] = theme().uses.returned;
      colors[UNKNOWN_TYPE] = theme().unknown;
      return colors;
    },
    legend: (pages) => [
      ...pages.types.map((name, code) => [code, name]),
      [OTHER_TYPE, "another type"],
      [UNKNOWN_TYPE, "no type known"],
    ],
  },
  age: {
    words: "age: survived the last GC",
    colors: () => Array.from({ length: 101 }, (_, part) => rampColor(part / 100)),
    legend: [
      [0, "all allocated since"],
      [50, "half of it"],
      [100, "all of it survived the last GC"],
    ],
  },
  resident: {
    words: "in memory",
    colors: () => theme().resident,
    legend: ["no part", "half", "all of it"].map((text, code) => [code, text]),
  },
  change: {
    words: "changed since the first moment",
    colors: () => [theme().uses.returned, theme().grown, theme().shrunk, theme().uses.stacks],
    legend: ["as it was", "came into use", "no longer in use", "another use"].map((text, code) => [
      code,
      text,
    ]),
  },
};

/** The colours of all 256 codes, each [red, green, blue]. */
export function colorTable(mode) {
  const made = new Array(256).fill(rgb(theme().none));
  MODES[mode].colors().forEach((color, code) => (made[code] = Array.isArray(color) ? color : rgb(color)));
  return made;
}

/** The items of the legend. */
export function legend(mode, pagesInCell, shown) {
  const table = colorTable(mode);
  const pages = `${size(pagesInCell * PAGE)}, ${count(pagesInCell)} pages`;
  const scale = pagesInCell === 1 ? "a page of 8 KiB" : pages;
  const told = MODES[mode].legend;
  const items = (typeof told === "function" ? told(shown) : told).map(([code, text]) => {
    const background = `rgb(${table[code].join(" ")})`;
    return el("li", { title: text }, el("span", { class: "swatch", style: { background } }), text);
  });
  return [el("li", { class: "quiet" }, `a cell is ${scale}`), ...items];
}
