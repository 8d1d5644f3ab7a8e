// Several moments: a slider through them, what each area did over time, and what differs from the first.
import { el, fill } from "./dom.js";
import { change, count, plain, size } from "./format.js";
import { areaColor } from "./colors.js";
import { table } from "./table.js";

const WIDE = 600;
const HIGH = 64;

/** The strip above all: a slider, a button that plays, and the areas over time. `show(number)` is called. */
export function timeline(parent, spaces, now, show) {
  const slider = el("input", {
    type: "range",
    min: "0",
    max: String(spaces.length - 1),
    value: String(now),
    "aria-label": "moment",
    oninput: () => show(Number(slider.value)),
  });
  let timer = null;
  const play = el("button", { type: "button", onclick: () => (timer === null ? start() : stop()) }, "▶ play");
  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "▶ play";
  };
  const start = () => {
    play.textContent = "❚❚ pause";
    timer = setInterval(() => {
      slider.value = String((Number(slider.value) + 1) % spaces.length);
      show(Number(slider.value));
    }, 900);
  };
  const name = el("output", {}, spaces[now].name);
  const legend = el("ul", { class: "legend" });
  const controls = el("div", { class: "moment" }, play, slider, name);
  fill(parent, el("div", {}, controls, legend), chart(spaces, now));
  return (number) => {
    slider.value = String(number);
    const { told } = spaces[number];
    const when = [told.name, told.taken].filter(Boolean).join(", ");
    name.textContent = plain(`${number + 1} of ${spaces.length}: ${when}`);
    fill(legend, chartLegend(spaces, number));
    parent
      .querySelector(".now")
      .setAttribute("x", String((number / Math.max(1, spaces.length - 1)) * WIDE - 1));
  };
}

const SVG = "http://www.w3.org/2000/svg";

function shape(name, properties) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(properties)) made.setAttribute(key, value);
  return made;
}

/** The areas of all moments, each with its colour and its resident bytes by moment; the largest first. */
function layers(spaces) {
  const found = new Map();
  spaces.forEach((space, at) => {
    for (const { area, part, resident } of space.told.areas) {
      if (!found.has(area))
        found.set(area, { area, color: areaColor(part || area), bytes: spaces.map(() => 0) });
      found.get(area).bytes[at] = resident || 0;
    }
  });
  return [...found.values()].sort((one, other) => Math.max(...other.bytes) - Math.max(...one.bytes));
}

/** Resident bytes by area, one above the other. */
function chart(spaces, now) {
  const all = layers(spaces);
  const sums = spaces.map((_, at) => all.reduce((sum, one) => sum + one.bytes[at], 0));
  const most = Math.max(...sums, 1);
  const svg = shape("svg", {
    viewBox: `0 0 ${WIDE} ${HIGH}`,
    preserveAspectRatio: "none",
    class: "chart",
    role: "img",
  });
  svg.append(shape("title", {}));
  svg.firstChild.textContent = `resident bytes by area over ${spaces.length} moments, at most ${size(most)}`;
  const x = (at) => (spaces.length > 1 ? (at / (spaces.length - 1)) * WIDE : 0);
  const y = (sum) => HIGH - (sum / most) * HIGH;
  let below = spaces.map(() => 0);
  for (const { bytes, color } of all) {
    const above = below.map((sum, at) => sum + bytes[at]);
    const points = [
      ...above.map((sum, at) => `${x(at)},${y(sum)}`),
      ...below.map((sum, at) => `${x(at)},${y(sum)}`).reverse(),
    ];
    const layer = shape("polygon", { points: points.join(" ") });
    layer.style.fill = color;
    svg.append(layer);
    below = above;
  }
  svg.append(
    shape("rect", { x: String(x(now) - 1), y: "0", width: "2", height: String(HIGH), class: "now" }),
  );
  return svg;
}

/** What the layers of the chart are, and how large at one moment; those that are hardly seen are left out. */
function chartLegend(spaces, now) {
  const all = layers(spaces);
  const most = Math.max(...all.map((one) => Math.max(...one.bytes)), 1);
  return all
    .filter((one) => Math.max(...one.bytes) * 50 > most)
    .map(({ area, color, bytes }) =>
      el(
        "li",
        {},
        el("span", { class: "swatch", style: { background: color } }),
        `${area} ${size(bytes[now])}`,
      ),
    );
}

// As views/diff_sentence.py names them.
const GREW = {
  "shared-libs": "shared libraries",
  heap: "the Go heap",
  "goroutine-stacks": "goroutine stacks",
  runtime: "Go's runtime",
  "thread-stacks": "thread stacks",
  vdso: "the vDSO",
  "mapped-files": "mapped files",
  foreign: "other memory",
};

/** By how much memory has grown between two moments, and what that is, as `addrspace diff` says it. */
export function whatGrew(first, second) {
  const known = [first, second].every(({ told }) => told.areas.every((one) => one.resident !== null));
  const bytes = (one) => (known ? one.resident : one.size);
  const areas = joined(
    first.told.areas,
    second.told.areas,
    (one) => one.area,
    (one) => [bytes(one) || 0],
  ).map((row) => ({ area: row.key, grown: row.now[0] - row.then[0], now: row.now[0] }));
  const total = areas.reduce((sum, one) => sum + one.grown, 0);
  const now = size(areas.reduce((sum, one) => sum + one.now, 0));
  const what = known ? "Resident memory" : "Mapped memory";
  if (!total) return `${what} is as large as in ${first.name}: ${now}.`;
  const sign = Math.sign(total);
  const parts = areas
    .filter((one) => one.grown * sign * 10 >= Math.abs(total))
    .sort((one, other) => sign * (other.grown - one.grown))
    .slice(0, 3)
    .map((one) => `${GREW[one.area] || one.area} by ${size(Math.abs(one.grown))}`);
  const course = `${sign > 0 ? "grew" : "shrank"} by ${size(Math.abs(total))} since ${first.name}, to ${now}`;
  return `${what} ${course}${parts.length ? `: ${parts.join(", ")}` : ""}.`;
}

/** What differs between two moments, as tables. */
export function changes(first, second) {
  const byArea = joined(
    first.told.areas,
    second.told.areas,
    (one) => one.area,
    (one) => [one.size, one.resident],
  );
  const moved = (row) => Math.abs(less(row.now[1], row.then[1]) || 0);
  byArea.sort((one, other) => moved(other) - moved(one));
  const made = [
    table(
      `areas, ${first.name} to ${second.name}`,
      [
        { name: "Area", left: true, of: (row) => row.key },
        ...(second.told.figures
          ? []
          : [
              { name: "Size", of: (row) => row.now[0], text: size },
              { name: "Change", of: (row) => row.now[0] - row.then[0], text: change },
            ]),
        { name: "Resident", of: (row) => row.now[1], text: size },
        { name: "Change", of: (row) => less(row.now[1], row.then[1]), text: change },
      ],
      byArea,
    ),
  ];
  if (first.told.figures && second.told.figures) made.push(figureChanges(first.told, second.told));
  const [then, now] = [first, second].map((space) => space.told.spans);
  if (then && now) made.push(classChanges(then, now));
  if (first.stacks && second.stacks) made.push(stackChanges(first, second));
  return made;
}

/** What a watch counts beside the parts of what is resident. */
function figureChanges({ figures: then }, { figures: now }) {
  const text = (number, row) => (row.bytes ? size(number) : count(number));
  const signed = (number, row) => (row.bytes ? change(number) : more(number));
  return table(
    "figures",
    [
      { name: "Figure", left: true, of: (row) => row.name },
      { name: "Now", of: (row) => now[row.name], text },
      { name: "Change", of: (row) => less(now[row.name], then[row.name]), text: signed },
    ],
    Object.keys(now).map((name) => ({ name, bytes: !/^(goroutines|threads)$/.test(name) })),
  );
}

/** A count that is more or less than before: "+3", "", "-3". */
function more(number) {
  return number ? `${number > 0 ? "+" : ""}${count(number)}` : "";
}

function less(now, then) {
  return now === null || then === null ? null : now - then;
}

function joined(then, now, key, values) {
  const found = new Map();
  const empty = values(then[0] || now[0] || {}).map(() => 0);
  for (const one of then) found.set(key(one), { key: key(one), then: values(one), now: empty });
  for (const one of now) {
    const row = found.get(key(one)) || { key: key(one), then: empty, now: empty };
    row.now = values(one);
    found.set(key(one), row);
  }
  return [...found.values()];
}

function classChanges(then, now) {
  const name = (one) =>
    `${one.size ? `${count(one.size)} B` : "large objects"}${one.noscan ? ", no pointers" : ""}`;
  const rows = joined(then, now, name, (one) => [one.bytes, one.objects]);
  rows.sort((one, other) => Math.abs(other.now[0] - other.then[0]) - Math.abs(one.now[0] - one.then[0]));
  return table(
    "size classes",
    [
      { name: "Objects of", left: true, of: (row) => row.key },
      { name: "Bytes of spans", of: (row) => row.now[0], text: size },
      { name: "Change", of: (row) => row.now[0] - row.then[0], text: change },
      { name: "Objects", of: (row) => row.now[1], text: count },
      {
        name: "Change",
        of: (row) => row.now[1] - row.then[1],
        text: more,
      },
    ],
    rows,
  );
}

function stackChanges(first, second) {
  const told = (space) =>
    space.stacks.stacks.map((stack) => ({
      ...stack,
      key: stack.frames.map((at) => space.stacks.texts[at]).join("\n"),
    }));
  const rows = joined(
    told(first),
    told(second),
    (one) => one.key,
    (one) => [one.count, one.size, one.function],
  );
  rows.sort((one, other) => other.now[0] - other.then[0] - (one.now[0] - one.then[0]));
  return table(
    "goroutines by stack",
    [
      { name: "Function", left: true, of: (row) => row.now[2] || row.then[2] || "?" },
      { name: "Goroutines", of: (row) => row.now[0], text: count },
      {
        name: "Change",
        of: (row) => row.now[0] - row.then[0],
        text: more,
      },
      { name: "Stack bytes", of: (row) => row.now[1], text: size },
    ],
    rows,
  );
}
