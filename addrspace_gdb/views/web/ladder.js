// The address space as a ladder of boxes, the highest addresses on top; gaps are folded.
import { el, fill } from "./dom.js";
import { hex, plural, share, size } from "./format.js";
import { areaColor } from "./colors.js";

const NAMES = {
  heap: "Go heap",
  "goroutine-stacks": "Goroutine stacks",
  runtime: "Go runtime",
  code: "Code",
  globals: "Globals / data",
  "shared-libs": "Shared libraries",
  "thread-stacks": "Thread stacks",
  "mapped-files": "Mapped files",
  foreign: "Foreign (C, mmap)",
  vdso: "vDSO",
};
const SMALL_GAP = 1 << 20; // a gap below is not drawn
const HALF = 2 ** 62; // of the addresses: the kernel's are above
const MOST_BOXES = 60; // boxes

/** Boxes in address order, the lowest first: neighbours of one area are one; stacks are in the heap's. */
export function boxes(space) {
  const made = [];
  for (let at = 0; at < space.regionCount; at += 1) {
    const region = space.region(at);
    const area = region.area === "goroutine-stacks" ? "heap" : region.area;
    const last = made[made.length - 1];
    if (last && last.area === area && region.start - last.end < SMALL_GAP) grow(last, region);
    else
      made.push(
        grow({ area, start: region.start, end: 0, size: 0, resident: 0, stacks: null, regions: 0 }, region),
      );
  }
  return thinned(made);
}

function grow(box, region) {
  box.end = region.end;
  box.size += region.size;
  box.regions += 1;
  box.resident = box.resident === null || region.resident === null ? null : box.resident + region.resident;
  if (region.area === "goroutine-stacks") {
    const stacks = box.stacks || (box.stacks = { size: 0, resident: 0 });
    stacks.size += region.size;
    stacks.resident =
      stacks.resident === null || region.resident === null ? null : stacks.resident + region.resident;
  }
  return box;
}

/** Not more than MOST_BOXES: the smallest neighbours go together. */
function thinned(made) {
  while (made.length > MOST_BOXES) {
    let best = 1;
    for (let at = 1; at < made.length; at += 1) {
      if (made[at].size + made[at - 1].size < made[best].size + made[best - 1].size) best = at;
    }
    const [low, high] = [made[best - 1], made[best]];
    const resident = low.resident === null || high.resident === null ? null : low.resident + high.resident;
    const area = low.size > high.size ? low.area : high.area;
    const regions = low.regions + high.regions;
    const stacks = low.stacks || high.stacks;
    made.splice(best - 1, 2, {
      area,
      start: low.start,
      end: high.end,
      size: low.size + high.size,
      resident,
      stacks,
      regions,
    });
  }
  return made;
}

/** Draws it into `parent`; `chosen(box)` is called for a click. Returns what marks the box of an address. */
export function ladder(parent, space, scale, chosen, say) {
  const made = boxes(space);
  const all = made.reduce((sum, box) => sum + (box.resident || 0), 0);
  const largest = Math.max(...made.map((box) => weight(box, scale)), 1);
  const rows = [];
  made.forEach((box, at) => {
    const below = made[at - 1];
    const gap = box.start - (below ? below.end : 0);
    if (gap >= SMALL_GAP) rows.push(el("li", { class: "gap" }, gapWords(gap, box)));
    rows.push(el("li", {}, rung(box)));
  });
  rows.reverse();
  fill(parent, rows);

  function gapWords(gap, box) {
    if (box.start > HALF) return "the kernel's half, and non-canonical addresses";
    return box === made[0] ? `${size(gap)} not mapped: nil faults here` : `${size(gap)} free`;
  }

  function rung(box) {
    const name = NAMES[box.area] || box.area;
    const part = box.resident === null ? null : box.resident / box.size;
    const inside =
      box.stacks &&
      el(
        "span",
        { class: "inside", style: { borderColor: areaColor("goroutine-stacks") } },
        `${NAMES["goroutine-stacks"]} ${size(box.stacks.size)}${box.stacks.resident === null ? "" : `, resident ${size(box.stacks.resident)}`}`,
      );
    return el(
      "button",
      {
        type: "button",
        class: "rung",
        "data-start": String(box.start),
        "data-end": String(box.end),
        onclick: () => chosen(box),
        onmouseenter: () => say(said(box)),
        onfocus: () => say(said(box)),
        style: {
          minHeight: `${34 + 44 * (weight(box, scale) / largest)}px`,
          borderLeftColor: areaColor(box.area),
        },
        title: `${hex(box.start)}-${hex(box.end)}`,
      },
      el("span", { class: "name" }, name),
      el(
        "span",
        { class: "amount" },
        box.resident === null ? size(box.size) : `${size(box.size)} · ${size(box.resident)} res.`,
      ),
      inside,
      el(
        "span",
        { class: "meter" },
        el("span", { style: { width: `${(part || 0) * 100}%`, background: areaColor(box.area) } }),
      ),
    );
  }

  function said(box) {
    const there =
      box.resident === null ? "" : `, resident ${size(box.resident)} (${share(box.resident, all)} of RSS)`;
    return `${hex(box.start)}-${hex(box.end)} ${NAMES[box.area] || box.area}: ${size(box.size)}${there}, ${plural(box.regions, "region")}`;
  }

  return (address) => {
    for (const button of parent.querySelectorAll(".rung")) {
      const inside =
        address !== null && Number(button.dataset.start) <= address && address < Number(button.dataset.end);
      button.classList.toggle("here", inside);
    }
  };
}

function weight(box, scale) {
  if (scale === "resident") return box.resident || 0;
  if (scale === "virtual") return box.size;
  return Math.log2(box.size + 1);
}
