// Several moments: a slider through them, what each area did over time, and what differs from the first.
import { el, fill } from "./dom.js";
import { change, count, size } from "./format.js";
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
  fill(parent, el("div", { class: "moment" }, play, slider, name), chart(spaces, now));
  return (number) => {
    slider.value = String(number);
    name.textContent = `${number + 1} of ${spaces.length}: ${spaces[number].name}`;
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

/** Resident bytes by area, one above the other. */
function chart(spaces, now) {
  const names = [...new Set(spaces.flatMap((space) => space.told.areas.map((one) => one.area)))];
  const of = (space, area) => {
    const found = space.told.areas.find((one) => one.area === area);
    return found ? (found.resident === null ? 0 : found.resident) : 0;
  };
  const most = Math.max(...spaces.map((space) => names.reduce((sum, area) => sum + of(space, area), 0)), 1);
  const svg = shape("svg", {
    viewBox: `0 0 ${WIDE} ${HIGH}`,
    preserveAspectRatio: "none",
    class: "chart",
    role: "img",
  });
  svg.append(shape("title", {}));
  svg.firstChild.textContent = `resident bytes by area over ${spaces.length} moments, at most ${size(most)}`;
  const x = (at) => (spaces.length > 1 ? (at / (spaces.length - 1)) * WIDE : 0);
  let below = spaces.map(() => 0);
  for (const area of names) {
    const above = below.map((sum, at) => sum + of(spaces[at], area));
    const y = (sum) => HIGH - (sum / most) * HIGH;
    const points = [
      ...above.map((sum, at) => `${x(at)},${y(sum)}`),
      ...below.map((sum, at) => `${x(at)},${y(sum)}`).reverse(),
    ];
    const layer = shape("polygon", { points: points.join(" ") });
    layer.style.fill = areaColor(area);
    svg.append(layer);
    below = above;
  }
  svg.append(
    shape("rect", { x: String(x(now) - 1), y: "0", width: "2", height: String(HIGH), class: "now" }),
  );
  return svg;
}

/** What differs between two moments, as tables. */
export function changes(first, second) {
  const byArea = joined(
    first.told.areas,
    second.told.areas,
    (one) => one.area,
    (one) => [one.size, one.resident],
  );
  const made = [
    table(
      `areas, ${first.name} to ${second.name}`,
      [
        { name: "Area", left: true, of: (row) => row.key },
        { name: "Size", of: (row) => row.now[0], text: size },
        { name: "Change", of: (row) => row.now[0] - row.then[0], text: change },
        { name: "Resident", of: (row) => row.now[1], text: size },
        { name: "Change", of: (row) => less(row.now[1], row.then[1]), text: change },
      ],
      byArea,
    ),
  ];
  const [then, now] = [first, second].map((space) => space.told.spans);
  if (then && now) made.push(classChanges(then, now));
  if (first.stacks && second.stacks) made.push(stackChanges(first, second));
  return made;
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
        text: (number) => (number ? `${number > 0 ? "+" : ""}${count(number)}` : ""),
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
        text: (number) => (number ? `${number > 0 ? "+" : ""}${count(number)}` : ""),
      },
      { name: "Stack bytes", of: (row) => row.now[1], text: size },
    ],
    rows,
  );
}
