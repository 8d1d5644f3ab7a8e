// What is selected: its facts, its slots or frames, and commands to copy.
import { STATES } from "./where.js";
import { byId, el, fill } from "./dom.js";
import { count, exact, hex, size } from "./format.js";
import { theme } from "./colors.js";
import { USE_WORDS } from "./pages.js";
import { act, say, space, state } from "./state.js";
import { table } from "./table.js";

/** Two columns of facts, and commands to copy. */
export function facts(title, rows, commands, ...more) {
  fill(
    byId("card"),
    el("h2", {}, title),
    el(
      "dl",
      {},
      rows
        .filter((row) => row[1] !== null && row[1] !== "")
        .flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)]),
    ),
    more,
    el("p", { class: "commands" }, commands.map(copied)),
  );
}

/** A command as it is typed where the page was made: in a debugger, or a shell. */
function command(word, rest) {
  return `${space().told.commands[word]} ${rest}`;
}

/** A button that copies a command. */
function copied(command) {
  const press = el(
    "button",
    { type: "button", class: "copy", title: "copy as command", "aria-label": `copy: ${command}` },
    command,
  );
  press.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command);
      say(`copied: ${command}`);
    } catch {
      getSelection().selectAllChildren(press);
      say("select and copy it by hand: this page may not use the clipboard");
    }
  });
  return press;
}

export function card() {
  if (state.address === null) {
    fill(
      byId("card"),
      el("p", { class: "quiet" }, "Nothing is selected. Click into the map or the ladder, or search."),
      whole(),
    );
    return;
  }
  const found = space().whereis(state.address);
  const { region, span, slot, stack } = found;
  const at = hex(found.address);
  const rows = [
    ["what", found.what],
    ["area", found.area || "not mapped"],
  ];
  if (region) {
    const resident = region.resident === null ? "" : `, resident ${size(region.resident)}`;
    rows.push([
      "region",
      `${hex(region.start)}-${hex(region.end)} ${region.permissions}, ${size(region.size)}${resident}`,
    ]);
    if (region.file) rows.push(["file", region.file]);
  }
  if (span) {
    const name = span.size_class ? `size class ${span.size_class}, ${count(span.element)} bytes` : "";
    rows.push([
      "span",
      [`${hex(span.start)}-${hex(span.end)}`, span.holds, name, span.sweep].filter(Boolean).join(", "),
    ]);
    if (span.slots) rows.push(["slots", `${count(span.used)} of ${count(span.slots)} taken`]);
    const type = space().typeOf(span.number);
    if (type !== null)
      rows.push(["type", `${type || "not known"}${span.slots > 1 ? ", of most objects in the span" : ""}`]);
    const there = space().resident(span.start, span.end);
    if (there !== null) rows.push(["in memory", `${size(there)} of ${size(span.size)}`]);
  }
  if (slot && slot.number !== null)
    rows.push([
      "object",
      `slot ${count(slot.number)} at ${hex(slot.base)}${slot.offset ? `, + ${count(slot.offset)}` : ""}`,
    ]);
  const goid = stack && stack.kind === "goroutine" ? stack.owner : null;
  if (stack) rows.push(["stack", `${hex(stack.start)}-${hex(stack.end)}, ${size(stack.end - stack.start)}`]);
  const commands = [command("whereis", at), command("regions", at)];
  if (span && !stack) commands.push(command("spans", at));
  if (goid !== null) commands.push(command("goroutine-stacks", `${goid} --frames`));
  facts(at, rows, commands, span && span.slots ? slots(span) : null, goid === null ? null : frames(goid));
}

/** What the whole heap is used for; null where that is not known. */
function whole() {
  const { heap } = space().told;
  if (!heap) return null;
  const rows = heap.uses.filter((one) => one.size);
  return table(
    "the whole heap",
    [
      { name: "Pages", left: true, of: (row) => USE_WORDS[row.use] || row.use },
      { name: "Size", of: (row) => row.size, text: size },
      { name: "Resident", of: (row) => row.resident, text: size },
    ],
    rows,
    (row) => act.light(`use:${row.use}`),
  );
}

/** The frames of a goroutine, the innermost first. */
function frames(goid) {
  const found = space().goroutine(goid);
  if (found === null) return null;
  return el(
    "ol",
    { class: "frames" },
    found.frames.map(([name, place]) => el("li", {}, el("b", {}, name), ` ${place}`)),
  );
}

/** The slots of a span, a cell each; a click selects one. */
function slots(span) {
  const states = space().slotsOf(span.number);
  if (states === null)
    return el("p", { class: "quiet" }, space().told.heap.slots || "What its slots hold is not in this file.");
  const many = {};
  for (const one of states) many[one] = (many[one] || 0) + 1;
  const columns = Math.min(states.length, 32);
  const cell = 11;
  const canvas = el("canvas", {
    role: "img",
    "aria-label": `slots: ${JSON.stringify(many)}`,
    class: "slots",
  });
  const rows = Math.ceil(states.length / columns);
  canvas.width = columns * cell;
  canvas.height = rows * cell;
  const paint = canvas.getContext("2d");
  const uses = theme().uses;
  const color = { live: uses.objects, since: uses.stacks, dead: uses.other, free: uses.returned };
  states.forEach((one, at) => {
    paint.fillStyle = color[one];
    paint.fillRect((at % columns) * cell, Math.floor(at / columns) * cell, cell - 1, cell - 1);
  });
  const here = Math.floor((state.address - span.start) / span.element);
  paint.strokeStyle = theme().ink;
  paint.lineWidth = 2;
  paint.strokeRect((here % columns) * cell, Math.floor(here / columns) * cell, cell - 1, cell - 1);
  canvas.addEventListener("click", (event) => {
    const slot = Math.floor(event.offsetY / cell) * columns + Math.floor(event.offsetX / cell);
    if (slot < states.length) act.select(span.start + slot * span.element);
  });
  const words = {
    live: "survived the last GC",
    since: "allocated since",
    dead: "dead, not swept yet",
    free: "free",
  };
  const legend = STATES.filter((one) => many[one]).map((one) =>
    el(
      "li",
      {},
      el("span", { class: "swatch", style: { background: color[one] } }),
      `${count(many[one])} ${words[one]}`,
    ),
  );
  return el("div", {}, canvas, el("ul", { class: "legend" }, legend));
}

/** What is between two addresses: totals of heap pages, and the regions. */
export function range(low, high) {
  const regions = [];
  for (let at = 0; at < space().regionCount; at += 1) {
    const region = space().region(at);
    if (region.start < high && region.end > low) regions.push(region);
  }
  const rows = table(
    `regions in ${hex(low)}-${hex(high)}`,
    [
      { name: "Start", left: true, of: (row) => row.start, text: hex },
      { name: "Size", of: (row) => row.size, text: size },
      { name: "Resident", of: (row) => row.resident, text: size },
      { name: "Perm", left: true, of: (row) => row.permissions },
      {
        name: "What",
        left: true,
        of: (row) => [row.kind, row.label, row.file].filter(Boolean).join(" ") || row.area,
      },
    ],
    regions,
    (row) => act.select(row.start),
  );
  const heap = regions.some((one) => one.area === "heap" || one.area === "goroutine-stacks");
  const commands = [command("regions", hex(low))];
  if (heap) commands.push(command("spans", `--range ${hex(low)},${hex(high)}`));
  const sums = [["addresses", exact(high - low)], ...(heap ? totals(low, high) : [])];
  facts(`${hex(low)}-${hex(high)}`, sums, commands, rows);
}

/** Totals of heap pages, as facts. */
function totals(low, high) {
  const found = space().totals(low, high);
  return [
    ...Object.entries(found.uses).map(([use, bytes]) => [USE_WORDS[use] || use, exact(bytes)]),
    ["in memory", exact(found.resident)],
    ["spans", count(found.spans)],
    ["objects", count(found.objects)],
  ];
}
