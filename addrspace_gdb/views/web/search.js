// Search: an address, a goroutine, a function, a type, a region.
import { byId, el, fill } from "./dom.js";
import { hex, plural, size } from "./format.js";
import { act, number, say, space, state } from "./state.js";

export function search(text) {
  const wanted = text.trim();
  if (!wanted) return;
  const address = number(wanted);
  if (address !== null) {
    act.select(address, true);
    return;
  }
  const goid = /^g?(?:oroutine )?(\d+)$/i.exec(wanted);
  const found = goid ? space().goroutine(Number(goid[1])) : null;
  if (found !== null) {
    act.select(found.lo, true);
    return;
  }
  const hits = [...stackHits(wanted), ...typeHits(wanted), ...areaHits(wanted)];
  say(hits.length ? `${plural(hits.length, "hit")} for ${wanted}` : `nothing is called ${wanted}`);
  fill(
    byId("card"),
    el("h2", {}, `“${wanted}”`),
    hits.length ? el("ul", { class: "hits" }, hits.slice(0, 60)) : el("p", {}, "Nothing found."),
  );
}

const holds = (text, wanted) => (text || "").toLowerCase().includes(wanted.toLowerCase());

function hit(text, go) {
  return el("li", {}, el("button", { type: "button", onclick: go }, text));
}

function stackHits(wanted) {
  if (!space().stacks) return [];
  const { stacks, texts } = space().stacks;
  const goids = space().columns["g.stack"];
  return stacks
    .map((stack, at) => ({ stack, at }))
    .filter(({ stack }) => stack.frames.some((text) => holds(texts[text], wanted)))
    .map(({ stack, at }) =>
      hit(`${plural(stack.count, "goroutine")} in ${stack.function || "?"}`, () => {
        const row = goids ? goids.indexOf(at) : -1;
        if (row >= 0) act.select(space().columns["g.lo"][row], true);
        act.open("goroutines");
      }),
    );
}

function typeHits(wanted) {
  const { types } = space().told;
  if (!types) return [];
  return types.types
    .filter((row) => holds(row.type, wanted))
    .map((row) =>
      hit(`type ${row.type}: ${size(row.bytes)}, ${plural(row.objects, "object")}`, () => {
        state.table = "types";
        act.open("tables");
        filterBy(row.type);
        if (space().columns["span.type"]) {
          act.colour("type");
          act.light(`type:${row.type}`);
        }
      }),
    );
}

/** As if a text had been typed into the filter of the first table. */
function filterBy(text) {
  const filter = document.querySelector("#panel .table input");
  if (filter === null) return;
  filter.value = text;
  filter.dispatchEvent(new Event("input"));
}

function areaHits(wanted) {
  const hits = [];
  for (let at = 0; at < space().regionCount && hits.length < 60; at += 1) {
    const region = space().region(at);
    if ([region.area, region.kind, region.label, region.file].some((text) => holds(text, wanted))) {
      hits.push(
        hit(
          `${hex(region.start)} ${[region.area, region.kind, region.label].filter(Boolean).join(" ")}, ${size(region.size)}`,
          () => act.select(region.start),
        ),
      );
    }
  }
  return hits;
}
